"""Gain over the average: every image, and the mean over the images with its paired 95 % interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ensir.drawing import style
from ensir.drawing.style import Drawing
from ensir.figures import PaperFigure, Reading, Subject
from ensir.scoring.interval import intervals
from ensir.scoring.scores import Scores, baseline, competitors, first_metric, read_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_DOTS = 60  # with more images, a box replaces them
SPREAD = 0.28  # half the height of a row of dots


class Gain(PaperFigure):
    """How far each base model and method is above the average, image by image."""

    reads: ClassVar[tuple[Reading, ...]] = ("scores",)
    depends_on: ClassVar[tuple[Any, ...]] = ("models", "methods", "score")
    caption: ClassVar[str] = (
        "Score of every base model and method on **{dataset}**, minus that of the average: every image (dots; a box of "
        "the middle half with whiskers from 5 to 95 % where there are many), the mean (diamond), and its paired "
        "95 % interval (bar). Images that some row restores perfectly (infinite) are in no mean."
    )


def draw(subject: Subject) -> Drawing:
    """Draw the gains of one test set."""
    scores = Scores({}, read_values(subject.results["scores"]))
    return drawing(subject.experiment, subject.section, subject.dataset, scores)


def drawing(name: str, experiment: dict[str, Any], dataset: str, scores: Scores) -> Drawing:
    """Return the figure: a row per base model and method, gains of the first metric over the average.

    Without a method that averages, gains are over the first base model.
    """
    (metric, printed) = first_metric(experiment)
    below = baseline(experiment) or experiment["models"][0]
    names = [(group, method) for group, method in competitors(experiment) if method != below]
    images = sorted(scores.values.get((name, dataset, below, metric), {}))
    gains = [scores.gain((name, dataset, method, metric), below) for _, method in names]
    gain = np.array([[row.get(image, np.nan) for image in images] for row in gains])
    left_out = scores.left_out(name, dataset, metric)
    sure = intervals(gain[:, [image not in left_out for image in images]])
    label = printed._replace(label=f"{printed.label} above {style.short(below)}").heading
    if left_out:
        label += f"\n{len(left_out)} of {len(images)} images left out of the means (infinite)"

    def plot(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.axvline(0, color=style.INK, linewidth=0.6)
        models = sum(group == "Base models" for group, _ in names)
        for i, (row, interval) in enumerate(zip(gain, sure, strict=True)):
            colour = style.COLOURS[-1] if i < models else style.COLOURS[0]
            _images(axes, row[np.isfinite(row)], i, colour)
            if np.isfinite(interval.mean):
                axes.plot([interval.low, interval.high], [i, i], color=style.INK, linewidth=1.2, zorder=3)
                axes.plot(
                    interval.mean,
                    i,
                    "D",
                    color=colour,
                    markeredgecolor=style.INK,
                    markeredgewidth=0.6,
                    zorder=4,
                )
        axes.axhline(models - 0.5, color=style.INK, linewidth=0.4, linestyle=":")
        axes.set_yticks(range(len(names)), [style.short(method) for _, method in names])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.grid(axis="x")
        _limit(axes, gain, [bound for interval in sure for bound in interval])
        axes.set_xlabel(label)

    rows = [
        (group, method, image, float(value), *interval)
        for (group, method), row, interval in zip(names, gain, sure, strict=True)
        for image, value in zip(images, row, strict=True)
    ]
    columns = ["group", "method", "image", "gain", "mean_gain", "low", "high"]
    return Drawing(
        style.COLUMN, (0.65 if left_out else 0.5) + style.ROW * max(len(names), 3), plot, columns, rows
    )


def _images(axes: Any, row: np.ndarray, at: int, colour: str) -> None:
    """Draw the gains of all images: dots, or a box of the middle half with whiskers from 5 to 95 %."""
    if len(row) > MOST_DOTS:
        low, first, third, high = np.quantile(row, [0.05, 0.25, 0.75, 0.95])
        axes.plot([low, high], [at, at], color=colour, linewidth=0.6, alpha=0.8)
        axes.barh(at, third - first, 2 * SPREAD, first, color=colour, alpha=0.35, linewidth=0)
    else:
        apart = (
            np.random.default_rng(at).uniform(-SPREAD, SPREAD, len(row))
            if len(row) > 1
            else np.zeros(len(row))
        )
        axes.plot(row, at + apart, "o", color=colour, markersize=2.2, alpha=0.75, markeredgewidth=0, zorder=2)


def _limit(axes: Any, gain: np.ndarray, bounds: list[float]) -> None:
    """Leave out what is far off, so that a method that fails does not squeeze all others together."""
    shown = gain[np.isfinite(gain)]
    if not len(shown):
        return
    inner = np.array([value for value in [*np.median(gain, axis=1), *bounds] if np.isfinite(value)])
    middle = np.median(inner) if len(inner) else 0.0
    reach = 6 * max(np.quantile(np.abs(shown - middle), 0.75), 1e-6)
    low, high = max(shown.min(), middle - reach), min(shown.max(), middle + reach)
    low, high = min(low, 0), max(high, 0)
    margin = 0.04 * max(high - low, 1e-6)
    axes.set_xlim(low - margin, high + margin)
    for i, row in enumerate(gain):  # an arrow points to what lies beyond
        row = row[np.isfinite(row)]
        for beyond, edge, marker in (((row < low).sum(), low, "<"), ((row > high).sum(), high, ">")):
            if beyond:
                axes.plot(edge, i, marker, color=style.INK, markersize=2.5, clip_on=False, zorder=5)
