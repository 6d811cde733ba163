"""Scores as papers print them: read, ranked, best and second best marked."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ensir.errors import InputError
from ensir.storage.digests import check_before_reading


class Metric(NamedTuple):
    """How a metric is printed."""

    label: str
    unit: str
    decimals: int
    higher_is_better: bool = True

    @property
    def heading(self) -> str:
        """The label and the unit: ``PSNR (dB)``."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def with_unit(self, number: str) -> str:
        """Return a printed number and the unit: ``31.70 dB``."""
        return f"{number} {self.unit}" if self.unit else number

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


TIME_METRICS = {
    "seconds": Metric("Time", "s", 4, higher_is_better=False),
    "fit_seconds": Metric("Fit", "s", 2, higher_is_better=False),
}


def metrics_of(experiment: dict[str, Any]) -> dict[str, Metric]:
    """Return how each metric of an experiment is printed, in order."""
    return {
        name: metric(name, section["printed"]) for name, section in experiment["score"]["metrics"].items()
    }


def metric(name: str, printed: dict[str, Any]) -> Metric:
    """Return how a metric is printed, from the `printed` of its section."""
    return Metric(printed["label"] or name, printed["unit"], printed["digits"], printed["higher_is_better"])


def first_metric(experiment: dict[str, Any]) -> tuple[str, Metric]:
    """Return the metric of an experiment that pictures and charts show: its name, and how it is printed."""
    return next(iter(metrics_of(experiment).items()))


def direction(experiment: dict[str, Any]) -> str:
    """Say in which metrics lower is better; empty where there are none."""
    lower = [metric.label for metric in metrics_of(experiment).values() if not metric.higher_is_better]
    return f"; lower is better in {', '.join(lower)}" if lower else ""


class Cell(NamedTuple):
    """One number of a table.

    Attributes
    ----------
    text : str
    value : float
    mark : str
        "best", "second" or empty.
    interval : str
        That of the number, or empty.
    signs : str
        Of the notes that apply to it, or empty.
    """

    text: str
    value: float
    mark: str = ""
    interval: str = ""
    signs: str = ""


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

    def tests(self, name: str, experiment: dict[str, Any]) -> list[str]:
        """Return the test sets of an experiment that are scored: those without targets are not."""
        metrics = experiment["score"]["metrics"]
        scored = {dataset for one, dataset, _, metric in self.values if one == name and metric in metrics}
        return [dataset for dataset in experiment["tests"] if dataset in scored]

    @cached_property
    def _infinite(self) -> dict[tuple[str, str, str], tuple[set[str], set[str]]]:
        """The images with an infinite value in some row, and all images, by (experiment, dataset, metric)."""
        counted: dict[tuple[str, str, str], tuple[set[str], set[str]]] = {}
        for (experiment, dataset, _, metric), values in self.values.items():
            infinite, images = counted.setdefault((experiment, dataset, metric), (set(), set()))
            infinite.update(image for image, value in values.items() if math.isinf(value))
            images.update(values)
        return counted

    def left_out(self, experiment: str, dataset: str, metric: str) -> set[str]:
        """Return the images that all means of a metric leave out: those infinite for some base model or method.

        Empty where all images are: there are no others to compare on.
        """
        infinite, images = self._infinite.get((experiment, dataset, metric), (set(), set()))
        return infinite if infinite != images else set()

    def notes(self, experiment: str, metrics: dict[str, Metric]) -> list[str]:
        """Say which means leave out images; empty where none does."""
        return [
            note(" on ".join(filter(None, [metrics[metric].label, dataset])), len(infinite), len(images))
            for (name, dataset, metric), (infinite, images) in self._infinite.items()
            if name == experiment and metric in metrics and infinite
        ]

    def gain(self, key: tuple[str, str, str, str], baseline: str) -> dict[str, float]:
        """Return, for each image, how far a method is above the baseline; NaN between two infinities."""
        experiment, dataset, _, metric = key
        below = self.values.get((experiment, dataset, baseline, metric), {})
        return {
            image: value - below.get(image, math.nan) for image, value in self.values.get(key, {}).items()
        }


def note(what: str, infinite: int, images: int) -> str:
    """Say how many images have infinite values, and which images the means are over."""
    over = f"means are over the other {images - infinite}"
    if infinite == images:
        over = "there is no other, and means are infinite where a value is"
    are = "is" if infinite == 1 else "are"
    return f"{what}: {infinite} of {images} images {are} restored perfectly by some row (infinite); {over}"


def read(scores: str, summary: str) -> Scores:
    """Read the scores of every image, and their means."""
    means = {_key(row): value for row, value in _rows(summary, "mean")}
    return Scores(means, read_values([scores]))


def read_values(paths: Sequence[str]) -> dict[tuple[str, ...], dict[str, float]]:
    """Read tables of scores: the value by (experiment, dataset, method, metric), then by image."""
    values: dict[tuple[str, ...], dict[str, float]] = {}
    for path in paths:
        for row, value in _rows(path, "value"):
            values.setdefault(_key(row), {})[row["image"]] = value
    return values


def _rows(path: str, column: str) -> list[tuple[dict[str, str], float]]:
    """Return the rows of a table, each with the number in a column."""
    check_before_reading(path)
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        try:
            return [(row, float(row[column])) for row in reader]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: line {reader.line_num} is none of a table of scores; delete the file and run again"
            ) from error


def _key(row: dict[str, str]) -> tuple[str, ...]:
    return row["experiment"], row["dataset"], row["method"], row["metric"]


def baseline(experiment: dict[str, Any]) -> str | None:
    """Return the name of the method that averages, over which gains are measured; None where there is none."""
    return next((name for name, method in experiment["methods"].items() if method["kind"] == "average"), None)


def competitors(experiment: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (group, name) of the base models, then of the methods."""
    return [("Base models", name) for name in experiment["models"]] + [
        ("Methods", name) for name in experiment["methods"]
    ]


def ranked(values: Sequence[float], metric: Metric) -> list[Cell]:
    """Print the values of one comparison, best and second best marked; values that print alike rank alike."""
    printed = [round(value, metric.decimals) for value in values]
    places = sorted({value for value in printed if not math.isnan(value)}, reverse=metric.higher_is_better)
    marks = dict(zip(places, ("best", "second"), strict=False)) if len(places) > 1 else {}
    return [
        Cell(metric.text(value), value, marks.get(rounded, ""))
        for value, rounded in zip(values, printed, strict=True)
    ]
