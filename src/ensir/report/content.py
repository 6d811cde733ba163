"""What the page shows: the run, its experiments, their test sets, and the pictures of some images of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ensir.cells.support import Support
from ensir.report.findings import Finding
from ensir.report.opening import Stage
from ensir.report.selection import Shown
from ensir.scoring.scores import Table


@dataclass(frozen=True)
class Run:
    """What the page tells of the run.

    Attributes
    ----------
    title : str
        Heading of the page.
    facts : dict
        How it was made, fact by name.
    stages : list of Stage
        Where its time went.
    """

    title: str
    facts: dict[str, str]
    stages: list[Stage]


@dataclass(frozen=True)
class Weighing:
    """How a method weighs the models in the images that are pictured.

    Attributes
    ----------
    method : str
    calibration : str
        Its figure; empty where weights are the same everywhere.
    support : Support or None
        Support of the images' values; None where no LUT holds counts.
    """

    method: str
    calibration: str
    support: Support | None


@dataclass(frozen=True)
class TestSet:
    """What the page shows of one test set.

    Attributes
    ----------
    id, name : str
    images : list of str
        Names of those that are pictured.
    choices : list of (str, str, str)
        Key, group and name of each picture of an image.
    maps : list of (str, str)
        Key and name of each base model, whose weights can be shown.
    data : str
        The pictures, as JSON for the page's script.
    weighings : list of Weighing
    gain_of : str
        Whose gain over what images are chosen by, or empty.
    plotted : list
        Of the plot of all images: which row it shows first, minus which.
    gain : str
        The figure of gains; empty where there are no targets.
    compared : int
        Over how many images means are.
    table : Table
        The score of every image, in the first metric.
    metrics : list of str
        Headings of all metrics.
    rows : str
        The rows of such a table of each metric, and what else is known of the images, as JSON for the page's script.
    """

    id: str
    name: str
    images: list[str]
    choices: list[tuple[str, str, str]]
    maps: list[tuple[str, str]]
    data: str
    weighings: list[Weighing]
    gain_of: str
    plotted: list[Any]
    gain: str
    compared: int
    table: Table
    metrics: list[str]
    rows: str


@dataclass(frozen=True)
class Experiment:
    """What the page shows of one experiment."""

    name: str
    section: dict[str, Any]
    conventions: str
    findings: list[Finding]
    results: Table
    tests: list[TestSet]
    direction: str
    luts: Table
    warnings: list[str]
    occupancy: dict[str, str]
    fits: dict[str, dict[str, str]]
    training: str
    selections: list[Shown]
    worth: str
