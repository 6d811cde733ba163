"""What was found: for each test set, in a sentence and a row made of the scores, how good the best is, and how sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ensir.report import tables
from ensir.scoring.interval import Interval, intervals
from ensir.scoring.scores import Cell, Metric, Scores, baseline, metrics_of

PAPER = "ensir"  # the kind of the method that gets a sentence of its own


@dataclass(frozen=True)
class Finding:
    """What was found on one test set.

    Attributes
    ----------
    dataset : str
    sentences : str
    images : int
        Over how many images; 0 where nothing can be said.
    metric : str
        Its heading, with unit.
    model, average, method : tuple of (str, Cell), or None
        Name and mean of the best base model, of the method that averages, and of the best other method.
    above_average, above_model : Cell or None
        How far that method is above the others, with the interval.
    scored : bool
        False where there are no targets.
    """

    dataset: str
    sentences: str
    images: int = 0
    metric: str = ""
    model: tuple[str, Cell] | None = None
    average: tuple[str, Cell] | None = None
    method: tuple[str, Cell] | None = None
    above_average: Cell | None = None
    above_model: Cell | None = None
    scored: bool = True


def of_experiment(name: str, experiment: dict[str, Any], scores: Scores) -> list[Finding]:
    """Return what was found on each test set, in the first metric.

    The best base model or method is named, with its distance from the average and from the best of the other group, and
    the 95 % intervals of both over the images; then EnsIR, where it is not the best; then in which other metric one of
    these is worse than the average.
    """
    scored = scores.tests(name, experiment)
    return [
        _on_test_set(name, experiment, dataset, scores)
        if dataset in scored
        else Finding(dataset, "No targets: the images are fused, and not scored.", scored=False)
        for dataset in experiment["tests"]
    ]


class _Compared:
    """The rows of one test set that have finite means, in one metric."""

    def __init__(
        self,
        name: str,
        experiment: dict[str, Any],
        dataset: str,
        scores: Scores,
        metric: str,
        printed: Metric,
    ):
        self.printed = printed
        left_out = scores.left_out(name, dataset, metric)
        self.values = {
            row: {image: value for image, value in found.items() if image not in left_out}
            for row in (*experiment["models"], *experiment["methods"])
            if (found := scores.values.get((name, dataset, row, metric)))
        }
        self.sign = 1 if self.printed.higher_is_better else -1
        means = {row: self.sign * scores.means[name, dataset, row, metric] for row in self.values}
        self.perfect = [row for row, mean in means.items() if mean == np.inf]
        self.means = {row: mean for row, mean in means.items() if np.isfinite(mean)}
        self.models, self.methods = (
            [row for row in experiment[group] if row in self.means] for group in ("models", "methods")
        )
        self.average = next((row for row in self.methods if row == baseline(experiment)), None)

    def best(self, rows: list[str]) -> str | None:
        """Return the best of some rows but the average; None of none."""
        return max((row for row in rows if row != self.average), key=self.means.__getitem__, default=None)

    def mean(self, row: str | None) -> tuple[str, Cell] | None:
        """Return the name of a row and its mean, printed."""
        value = self.sign * self.means[row] if row else np.nan
        return (row, Cell(self.printed.text(value), value)) if row else None

    def interval(self, row: str, other: str) -> Interval:
        """Return how much better one row is than another."""
        images = self.values[row].keys() & self.values[other].keys()
        pairs = [
            self.sign * (self.values[row][image] - self.values[other][image]) for image in sorted(images)
        ]
        return intervals(np.array([pairs]))[0]

    def difference(self, row: str | None, other: str | None) -> Cell | None:
        """Return how far one row is above another; below it where lower is better."""
        return (
            tables.difference(self.interval(row, other), self.printed, self.sign) if row and other else None
        )

    def distance(self, row: str, other: str, called: str) -> str:
        """Say how far one row is from another."""
        return _distance(self.interval(row, other), called, self.printed)


def _on_test_set(name: str, experiment: dict[str, Any], dataset: str, scores: Scores) -> Finding:
    rows, *others = (
        _Compared(name, experiment, dataset, scores, metric, printed)
        for metric, printed in metrics_of(experiment).items()
    )
    if rows.perfect:
        perfect = ", ".join(rows.perfect)
        return Finding(
            dataset, f"{perfect}: no difference from the targets in any image. Are they the predictions?"
        )
    if not rows.means:
        return Finding(dataset, "No finite scores.")
    best, average, printed = max(rows.means, key=rows.means.__getitem__), rows.average, rows.printed
    compared = [rows.distance(best, average, "the average")] if average and best != average else []
    if rival := rows.best(rows.models if best in rows.methods else rows.methods):
        group = "base model" if best in rows.methods else "method"
        compared.append(rows.distance(best, rival, f"the best {group}, {rival}"))
    value = printed.with_unit(printed.text(rows.sign * rows.means[best]))
    groups = f"{_count(rows.models, 'base model')} and {_count(rows.methods, 'method')}"
    ranking = f"{best} is the best of {groups}: {printed.label} {value}"
    sentences = [", ".join([ranking, *filter(None, [" and ".join(compared)])])]
    named = [
        row
        for row in rows.methods
        if average and row not in (best, average) and experiment["methods"][row]["kind"] == PAPER
    ]
    sentences += [f"{row} is {rows.distance(row, str(average), 'the average')}" for row in named]
    sentences += [_worse(one, [best, *named]) for one in others]
    sentences = list(filter(None, sentences))
    images = len(rows.values[best])
    sentences.append(f"{images} images" if images > 1 else "One image: no intervals")
    model, method = rows.best(rows.models), rows.best(rows.methods)
    return Finding(
        dataset,
        ". ".join(sentences) + ".",
        images,
        printed.heading,
        rows.mean(model),
        rows.mean(average),
        rows.mean(method),
        rows.difference(method, average),
        rows.difference(method, model),
    )


def _worse(rows: _Compared, named: list[str]) -> str:
    """Say which of the rows that are named are significantly worse than the average in another metric."""
    average = rows.average
    found = [
        f"{row} is {rows.distance(row, average, 'the average')}"
        for row in named
        if average and row in rows.means and row != average and rows.interval(row, average).high < 0
    ]
    return f"In {rows.printed.label}, {' and '.join(found)}" if found else ""


def _count(rows: list[str], word: str) -> str:
    return f"{len(rows)} {word}" + ("" if len(rows) == 1 else "s")


def _distance(interval: Interval, other: str, printed: Metric) -> str:
    """Say how far one row is from another: ``0.404 dB above the average [+0.292, +0.513]``."""
    if not np.isfinite(interval.mean):
        return f"not comparable with {other}"
    size = printed.with_unit(printed.gain(interval.mean).lstrip("+−"))
    words = ("above", "below") if printed.higher_is_better else ("better than", "worse than")
    text = f"{size} {words[interval.mean < 0]} {other}"
    if np.isfinite(interval.low):
        chance = ", may be chance" if interval.holds_zero else ""
        text += f" [{printed.gain(interval.low)}, {printed.gain(interval.high)}{chance}]"
    return text
