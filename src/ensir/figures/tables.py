"""Tables: scores as papers print them, and what EM did in each LUT."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from ensir.lut import LUT

FEW, ESTIMATED, FAILED = 1, 2, 3  # status of a cell, as in `ensir.methods.CellWeights`


class Metric(NamedTuple):
    """How a metric is printed."""

    label: str
    unit: str
    decimals: int

    def text(self, value: float) -> str:
        """Print a value; a dash where there is none."""
        if math.isnan(value):
            return "–"
        return "∞" if math.isinf(value) else f"{value:.{self.decimals}f}"

    def gain(self, value: float) -> str:
        """Print a difference of two values with its sign, to one decimal more."""
        if math.isnan(value):
            return "–"
        number = "∞" if math.isinf(value) else f"{abs(value):.{self.decimals + 1}f}"
        return ("" if number.strip("0.") == "" else "−" if value < 0 else "+") + number


METRICS = {"psnr": Metric("PSNR", "dB", 2), "ssim": Metric("SSIM", "", 4)}


class Cell(NamedTuple):
    """One number of a table; the mark is "best", "second" or empty."""

    text: str
    value: float
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells under grouped columns.

    Attributes
    ----------
    groups : list of (str, list of str)
        Heading of each group of columns, and the headings below it.
    rows : list of (str, str, list of Cell)
        Group and name of each row, and its numbers.
    """

    groups: list[tuple[str, list[str]]]
    rows: list[tuple[str, str, list[Cell]]]


@dataclass(frozen=True)
class Scores:
    """All scores of a run.

    Attributes
    ----------
    means : dict
        Mean by (experiment, dataset, method, metric).
    values : dict
        Value by (experiment, dataset, method, metric), then by image.
    """

    means: dict[tuple[str, ...], float]
    values: dict[tuple[str, ...], dict[str, float]]

    def gain(self, key: tuple[str, str, str, str], baseline: str) -> dict[str, float]:
        """Return, for each image, how far a method is above the baseline; NaN between two infinities."""
        experiment, dataset, _, metric = key
        below = self.values.get((experiment, dataset, baseline, metric), {})
        return {
            image: value - below.get(image, math.nan) for image, value in self.values.get(key, {}).items()
        }


def read(scores: str, summary: str) -> Scores:
    """Read the scores of every image, and their means."""
    values: dict[tuple[str, ...], dict[str, float]] = {}
    for row in _rows(scores):
        values.setdefault(_key(row), {})[row["image"]] = float(row["value"])
    return Scores({_key(row): float(row["mean"]) for row in _rows(summary)}, values)


def _rows(path: str) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _key(row: dict[str, str]) -> tuple[str, ...]:
    return row["experiment"], row["dataset"], row["method"], row["metric"]


def baseline(experiment: dict[str, Any]) -> str | None:
    """Return the name of the method that averages, which gains are counted from."""
    return next((name for name, method in experiment["methods"].items() if method["kind"] == "average"), None)


def competitors(experiment: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (group, name) of the base models, then of the methods."""
    return [("Base models", name) for name in experiment["models"]] + [
        ("Methods", name) for name in experiment["methods"]
    ]


def ranked(values: Sequence[float], metric: Metric) -> list[Cell]:
    """Print the values of one contest, best and second best marked; equal in print is equal in rank."""
    printed = [round(value, metric.decimals) for value in values]
    places = sorted({value for value in printed if not math.isnan(value)}, reverse=True)
    marks = dict(zip(places, ("best", "second"), strict=False)) if len(places) > 1 else {}
    return [
        Cell(metric.text(value), value, marks.get(rounded, ""))
        for value, rounded in zip(values, printed, strict=True)
    ]


def results(name: str, experiment: dict[str, Any], scores: Scores) -> Table:
    """Return the table of means: dataset × metric, with the gain over the average in the first metric."""
    metrics, average = experiment["score"]["metrics"], baseline(experiment)
    names = competitors(experiment)
    columns: list[list[Cell]] = []
    groups = []
    for dataset in experiment["tests"]:
        labels = []
        for metric in metrics:
            means = {
                method: scores.means.get((name, dataset, method, metric), math.nan) for _, method in names
            }
            columns.append(ranked(list(means.values()), METRICS[metric]))
            labels.append(METRICS[metric].label)
            if average and metric == metrics[0]:
                gains = [mean - means[average] for mean in means.values()]
                columns.append([Cell(METRICS[metric].gain(gain), gain) for gain in gains])
                labels.append("gain")
        groups.append((dataset, labels))
    rows = [(group, method, [column[i] for column in columns]) for i, (group, method) in enumerate(names)]
    return Table(groups, rows)


def per_image(name: str, experiment: dict[str, Any], dataset: str, scores: Scores) -> Table:
    """Return the first metric of every image: image × base models and methods."""
    metric = experiment["score"]["metrics"][0]
    names = competitors(experiment)
    columns = [scores.values.get((name, dataset, method, metric), {}) for _, method in names]
    images = sorted({image for column in columns for image in column})
    rows = [
        ("", image, ranked([column.get(image, math.nan) for column in columns], METRICS[metric]))
        for image in images
    ]
    groups = [
        (group, [method for other, method in names if other == group]) for group in ("Base models", "Methods")
    ]
    return Table(groups, rows)


LUT_COLUMNS = [
    ("Bins", ["width", "groups"]),
    ("Cells", ["all", "occupied", "estimated", "few", "failed"]),
    ("Reference values", ["all", "estimated"]),
    ("EM steps", ["median", "most"]),
    ("RMSE", ["expected"]),
]


def lut_row(lut: LUT) -> list[Cell]:
    """Return what EM did in the cells of a LUT, under `LUT_COLUMNS`."""
    estimated = lut.status == ESTIMATED
    occupied, values = len(lut.status), int(lut.count.sum())
    steps = lut.iterations[estimated]
    squared_error = float(lut.count @ lut.expected_squared_error) / max(values, 1)
    shares = [float((lut.status == status).sum()) / max(occupied, 1) for status in (ESTIMATED, FEW, FAILED)]
    share_of_values = float(lut.count[estimated].sum()) / max(values, 1)
    return [
        *(Cell(f"{number:,}", number) for number in (lut.bin_width, lut.channels, lut.cells, occupied)),
        *(Cell(f"{share:.1%}", share) for share in shares),
        Cell(f"{values:,}", values),
        Cell(f"{share_of_values:.1%}", share_of_values),
        *(Cell(f"{number:,.0f}", number) for number in (_median(steps), float(steps.max(initial=0)))),
        Cell(f"{math.sqrt(squared_error) / (1 if lut.bits == 8 else 257):.2f}", squared_error),
    ]


def _median(steps: Int[np.ndarray, " cell"]) -> float:
    return float(np.median(steps)) if len(steps) else 0.0
