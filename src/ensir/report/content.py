"""What the page shows: experiments, their test sets, and the pictures of one image of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ensir.cells.support import Support
from ensir.drawing.pictures import Window
from ensir.report.selection import Shown
from ensir.scoring.scores import Table


@dataclass(frozen=True)
class Picture:
    """One picture of a test image.

    Attributes
    ----------
    id : str
        Identifier on the page.
    group, name : str
        "Data" (input and target), "Base models" or "Methods"; what it shows.
    score : str
        Its score in the experiment's first metric, with unit; empty for input and target.
    uri : str
        The picture itself.
    close_up : str
        A part of it at full resolution; empty where the whole picture has that.
    """

    id: str
    group: str
    name: str
    score: str
    uri: str
    close_up: str


@dataclass(frozen=True)
class Weighing:
    """How a method weighs the models in one image.

    Attributes
    ----------
    method : str
    means : dict
        Mean weight of each model.
    maps : dict
        For each model, a map of its weight at every pixel; empty where it is the same everywhere.
    calibration : str
        Its figure; empty where there are no maps.
    support : Support or None
        Support of the image's values; None where no LUT holds counts.
    """

    method: str
    means: dict[str, float]
    maps: dict[str, str]
    calibration: str
    support: Support | None


@dataclass(frozen=True)
class TestSet:
    """What the page shows of one test set."""

    id: str
    name: str
    image: str
    size: str
    source: str
    frame: Window
    close_up: Window
    pictures: list[Picture]
    weighings: list[Weighing]
    gain: str
    compared: int
    table: Table
    rows: str


@dataclass(frozen=True)
class Experiment:
    """What the page shows of one experiment."""

    name: str
    section: dict[str, Any]
    findings: dict[str, str]
    results: Table
    tests: list[TestSet]
    direction: str
    notes: list[str]
    luts: Table
    warnings: list[str]
    occupancy: dict[str, str]
    fits: dict[str, dict[str, str]]
    training: str
    selections: list[Shown]
