"""EM convergence: how the likelihood of the cells rises step by step, and when their EM stops."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ensir.cells import lut, statistics
from ensir.cells.lut import ESTIMATED
from ensir.cells.statistics import Statistics
from ensir.drawing import style
from ensir.drawing.style import Drawing
from ensir.figures import PaperFigure, Reading, Subject
from ensir.methods import CombiningMethod, Progress, ensir

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from matplotlib.figure import Figure

LEAST = 1e-7  # smaller rises, and falls, are drawn at this value
QUANTILES = (0.1, 0.5, 0.9)


class Convergence(PaperFigure):
    """The course of EM, step by step."""

    of: ClassVar[tuple[Any, ...]] = ("method",)
    reads: ClassVar[tuple[Reading, ...]] = ("statistics", "lut")
    depends_on: ClassVar[tuple[Any, ...]] = ("methods",)
    caption: ClassVar[str] = (
        "EM of **{method}**, step by step: rise of the mean log-likelihood per value over the cells that still run "
        "(dotted: where EM stops), and how many have stopped."
    )

    @classmethod
    def suits(cls, method: CombiningMethod) -> bool:
        """Whether EM fits it."""
        return isinstance(method, ensir.Ensir)


@dataclass(frozen=True)
class Course:
    """What EM did, step by step; one cell, one vote.

    Attributes
    ----------
    running : int64 array, (step,)
        Cells that took the step.
    rise : float array, (step, 3)
        Rise of their mean log-likelihood per value: 10 %, 50 % and 90 % quantile; NaN in the first step.
    stopped, values_stopped : float arrays, (step,)
        Shares of the cells, and of the values in them, whose EM has stopped after the step.
    """

    running: Int[np.ndarray, " step"]
    rise: Float[np.ndarray, "step 3"]
    stopped: Float[np.ndarray, " step"]
    values_stopped: Float[np.ndarray, " step"]


def draw(subject: Subject) -> Drawing:
    """Run EM once more and draw its course; the LUT records what "auto" has chosen."""
    settings = subject.settings | json.loads(lut.load(subject.results["lut"]).attributes["settled"])
    everything, _ = statistics.load(subject.results["statistics"])
    cells = statistics.cells_of(everything, settings).without_folds()
    return drawing(course(cells, settings, subject.progress))


def course(cells: Statistics, settings: dict[str, Any], progress: Progress) -> Course:
    """Follow EM through its steps in all cells."""
    before = np.full(len(cells), np.nan)
    step = np.zeros(len(cells), np.int64)
    rises: list[list[np.ndarray]] = []

    def watch(cell: np.ndarray, likelihood: np.ndarray, *_: Any) -> None:
        at = step[cell[0]]  # cells that run together are at one step
        if at == len(rises):
            rises.append([])
        rises[at].append(likelihood - before[cell])
        before[cell] = likelihood
        step[cell] += 1

    estimated = ensir.estimate_weights(cells, cells, settings, "cpu", progress, watch)
    ran = estimated.status == ESTIMATED
    last, count = estimated.iterations[ran], cells.count[ran]
    steps = np.arange(1, len(rises) + 1)
    joined = [np.concatenate(rise) for rise in rises]
    return Course(
        np.array([len(rise) for rise in joined], np.int64),
        np.array([np.quantile(rise, QUANTILES) for rise in joined]).reshape(-1, len(QUANTILES)),
        np.array([(last <= s).mean() for s in steps]),
        np.array([count[last <= s].sum() / count.sum() for s in steps]),
    )


def drawing(course: Course) -> Drawing:
    """Return the figure: the rise of the likelihood, and how many cells have stopped."""
    steps = np.arange(1, len(course.running) + 1)

    def plot(figure: Figure) -> None:
        from ensir.cells.em import TOLERANCE

        upper, lower = figure.subplots(2, 1, sharex=True)
        low, middle, high = np.maximum(course.rise, LEAST).T
        upper.fill_between(
            steps, low, high, color=style.COLOURS[0], alpha=0.25, linewidth=0, label="10–90 % of the cells"
        )
        upper.plot(steps, middle, color=style.COLOURS[0], label="median")
        upper.axhline(TOLERANCE, color=style.INK, linewidth=0.6, linestyle=":")
        upper.set_yscale("log")
        upper.set_ylabel("rise of the mean\nlog-likelihood")
        lower.step(steps, course.stopped * 100, where="post", color=style.COLOURS[0], label="cells")
        lower.step(
            steps,
            course.values_stopped * 100,
            where="post",
            color=style.COLOURS[1],
            linestyle="--",
            label="values",
        )
        lower.set_ylabel("% stopped")
        lower.set_ylim(0, 104)
        lower.set_xlabel("EM step")
        if len(steps) > 20:
            lower.set_xscale("log")
        for axes in (upper, lower):
            axes.grid()
            axes.legend(loc="upper right" if axes is upper else "lower right")

    rows = [
        (int(s), int(running), *map(float, rise), float(stopped), float(values))
        for s, running, rise, stopped, values in zip(
            steps, course.running, course.rise, course.stopped, course.values_stopped, strict=True
        )
    ]
    columns = ["step", "running_cells", "rise_10", "rise_50", "rise_90", "cells_stopped", "values_stopped"]
    return Drawing(style.COLUMN, 2.6, plot, columns, rows)
