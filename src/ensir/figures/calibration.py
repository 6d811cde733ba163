"""Calibration: whether the weight that a method gives a model reflects how accurate that model is.

Values are sorted into tenths of the weight. Where weights are calibrated, a model of weight 0.7 is the nearest to the
target in 70 % of such values, and its error falls as its weight rises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ensir import methods
from ensir.drawing import style
from ensir.drawing.style import Drawing
from ensir.figures import PaperFigure, Reading, Subject
from ensir.images.depth import unit
from ensir.methods import CombiningMethod
from ensir.storage import reading

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped
    from matplotlib.figure import Figure

TENTHS = 10
FEWEST = 100  # values that a point represents at least


class Calibration(PaperFigure):
    """What the weights of a method are worth: how often the model that they favour is the nearest."""

    of: ClassVar[tuple[Any, ...]] = ("dataset", "method")
    reads: ClassVar[tuple[Reading, ...]] = ("test", "lut")
    depends_on: ClassVar[tuple[Any, ...]] = ("models", "methods")
    loads_methods: ClassVar[bool] = True
    caption: ClassVar[str] = (
        "Values of **{dataset}** by the weight that **{method}** gives a model, in tenths: how often the model is the "
        "nearest to the target (dotted: as often as its weight says), and its actual error."
    )

    @classmethod
    def suits(cls, method: CombiningMethod) -> bool:
        """Whether it has a LUT."""
        return method.made == "lut"


@dataclass(frozen=True)
class Tally:
    """Sums over the values whose weight lies in one tenth; all float arrays, (model, tenth).

    Attributes
    ----------
    count : values
    weight : Σ w_m
    nearest : values in which the model is the nearest to the target; models that tie share one
    square : Σ (x_m − y)², in squared levels of 0–255
    """

    count: Float[np.ndarray, "model tenth"]
    weight: Float[np.ndarray, "model tenth"]
    nearest: Float[np.ndarray, "model tenth"]
    square: Float[np.ndarray, "model tenth"]

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(a + b for a, b in zip(self.columns, other.columns, strict=True)))

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        """The sums, in order."""
        return self.count, self.weight, self.nearest, self.square


def draw(subject: Subject) -> Drawing:
    """Draw the calibration of a method on all images of a test set."""
    method, models = subject.load(subject.method, subject.results["lut"]), subject.section["models"]
    total, parts = Tally(*np.zeros((4, len(models), TENTHS))), subject.results["test"]
    for done, (path, paths) in enumerate(parts, 1):
        part, *predictions = map(reading.Part, [path, *paths])
        reading.aligned([part, *predictions])
        for i in range(len(part.names)):
            x = np.stack([prediction.planes(i) for prediction in predictions])
            weights = methods.for_image(method, part, i).weights(x)
            assert weights is not None
            total += tally(weights, x, part.planes(i), part.bits)
        subject.progress(done, len(parts))
    return drawing(models, total)


def tally(
    weights: Float[np.ndarray, "model channel *pixels"],
    x: Shaped[np.ndarray, "model channel *pixels"],
    y: Shaped[np.ndarray, " channel *pixels"],
    bits: int,
) -> Tally:
    """Sum up one image; weights below zero and above one count as the first and the last tenth."""
    error = np.abs(x.astype(np.float32) - y) / unit(bits)
    nearest = error == error.min(axis=0)
    share = nearest / nearest.sum(axis=0)
    weights = np.broadcast_to(weights, x.shape)
    tenth = np.clip((weights * TENTHS).astype(np.int64), 0, TENTHS - 1)
    summed: tuple[list[np.ndarray], ...] = ([], [], [], [])
    for m in range(len(x)):
        into = tenth[m].ravel()
        for rows, value in zip(summed, (None, weights[m], share[m], error[m] ** 2), strict=True):
            rows.append(np.bincount(into, None if value is None else value.ravel(), TENTHS).astype(float))
    return Tally(*(np.stack(rows) for rows in summed))


def drawing(models: Sequence[str], total: Tally) -> Drawing:
    """Return the figure: how often each model is the nearest, and its error, by its weight."""
    with np.errstate(invalid="ignore"):
        weight, nearest, square = (column / total.count for column in total.columns[1:])
    error, enough = np.sqrt(square), total.count >= FEWEST

    def plot(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True)
        upper.plot([0, 1], [0, 1], color=style.INK, linewidth=0.6, linestyle=":")
        for m, model in enumerate(models):
            shown, looks = enough[m], style.of(m)
            for axes, height in ((upper, nearest), (lower, error)):
                axes.plot(
                    weight[m, shown],
                    height[m, shown],
                    marker=style.MARKERS[m % len(style.MARKERS)],
                    label=style.short(model, 18),
                    **looks,
                )
        upper.set_ylim(0, 1)
        upper.set_ylabel("nearest to the target,\nshare of the values")
        lower.set_ylabel("RMSE of the model,\nlevels")
        lower.set_ylim(bottom=0)
        lower.set_xlim(0, 1)
        lower.set_xlabel("weight of the model")
        upper.set_aspect("auto")
        for axes in (upper, lower):
            axes.grid()
        figure.legend(*upper.get_legend_handles_labels(), loc="outside upper center", ncols=3)

    rows = [
        (model, int(total.count[m, tenth]), *(float(c[m, tenth]) for c in (weight, nearest, error)))
        for m, model in enumerate(models)
        for tenth in np.flatnonzero(total.count[m])
    ]
    lines = -(-len(models) // 3)
    return Drawing(
        style.COLUMN, 2.9 + style.ROW * lines, plot, ["model", "values", "weight", "nearest", "rmse"], rows
    )
