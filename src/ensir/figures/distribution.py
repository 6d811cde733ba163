"""Distributions in bin sets: target and predictions of the reference, and the mixture fitted by EM."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from ensir.cells import lut, statistics
from ensir.cells.key import bins_of
from ensir.cells.lut import ESTIMATED, LUT, LutMethod
from ensir.cells.statistics import Statistics
from ensir.drawing import style
from ensir.drawing.style import Drawing
from ensir.figures import PaperFigure, Reading, Subject
from ensir.images.depth import unit
from ensir.methods import CombiningMethod, Progress, ensir
from ensir.section import Context, Problem, shown, texts
from ensir.storage import reading

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from matplotlib.figure import Figure

AGREEING, DIFFERING = 2, 2  # bin sets that are drawn where none are named
COLUMNS = 2
LEVELS = 256


class Distribution(PaperFigure):
    """Distributions of target and predictions in some bin sets, with the mixture fitted by EM."""

    bin_sets: list[list[Annotated[int, Field(ge=0, le=255)]]] = Field(
        [],
        title="list of lists of whole numbers, 0–255",
        description="bin sets whose distributions are drawn, each named by one level of every model that lies in it; "
        "without any, the two with the most values, and the two with the most where the models differ",
    )

    of: ClassVar[tuple[Any, ...]] = ("method",)
    reads: ClassVar[tuple[Reading, ...]] = ("reference", "statistics", "lut")
    depends_on: ClassVar[tuple[Any, ...]] = ("methods",)
    caption: ClassVar[str] = (
        "Reference values in chosen bin sets of **{method}**: the target (grey), the predictions (lines), and the "
        "Gaussian mixture that EM has fitted (black; its weighted components dotted)."
    )

    @classmethod
    def suits(cls, method: CombiningMethod) -> bool:
        """Whether EM fits it."""
        return isinstance(method, ensir.Ensir)

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that bin sets have a level for every model."""
        yield from super().check(context)
        bin_sets, models = context.section.get("bin_sets"), texts(context.experiments[0], "models")
        for levels in bin_sets if isinstance(bin_sets, list) else []:
            if isinstance(levels, list) and len(levels) != len(models):
                yield Problem(
                    f"{context.key}.bin_sets",
                    f"{shown(levels)} must hold {len(models)} levels, one per model",
                )


@dataclass(frozen=True)
class Cell:
    """What is drawn of one cell; x and y in levels of 0–255.

    Attributes
    ----------
    title : str
        The ranges of its bins, in the order of the models, and the channel where cells are per channel.
    count : int
        N.
    target : float array, (level,)
        Share of y at each level.
    predictions : float array, (model, level)
        Shares of each x_m.
    weights, mean, variance : float arrays, (model,)
        The fitted mixture.
    """

    title: str
    count: int
    target: Float[np.ndarray, " level"]
    predictions: Float[np.ndarray, "model level"]
    weights: Float[np.ndarray, " model"]
    mean: Float[np.ndarray, " model"]
    variance: Float[np.ndarray, " model"]

    @property
    def density(self) -> Float[np.ndarray, "model level"]:
        """Weighted density of each component, at the levels."""
        y = np.arange(LEVELS)
        variance = self.variance[:, None]
        gauss = np.exp(-((y - self.mean[:, None]) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        return self.weights[:, None] * gauss


def draw(subject: Subject) -> Drawing:
    """Draw the distributions in some bin sets of the reference."""
    table = lut.load(subject.results["lut"])
    settings = subject.settings | json.loads(table.attributes["settled"])
    everything, _ = statistics.load(subject.results["statistics"])
    cells = statistics.cells_of(everything, settings).without_folds()
    chosen = choose(cells, table, subject.options["bin_sets"])
    shares = predicted(table, chosen, [parts for _, parts in subject.results["reference"]], subject.progress)
    drawn = [_cell(cells.taken(slice(i, i + 1)), settings, shares[:, row]) for row, i in enumerate(chosen)]
    return drawing(cells.models, drawn)


def choose(cells: Statistics, table: LUT, bin_sets: list[list[int]]) -> list[int]:
    """Return the rows of the cells to be drawn; of the channels of a bin set, the one with the most values."""
    bins = bins_of(cells.key, cells.bin_width, len(cells.models))
    order = np.argsort(-cells.count, kind="stable")
    if bin_sets:
        wanted = [(np.array(levels) // cells.bin_width) for levels in bin_sets]
        matches = [[int(i) for i in order if (bins[i] == bin_set).all()] for bin_set in wanted]
        return [rows[0] for rows in matches if rows]  # bin sets without reference values have no distribution
    order = order[table.status[order] == ESTIMATED]
    differ = (bins[order] != bins[order, :1]).any(axis=1)
    return [*map(int, order[~differ][:AGREEING]), *map(int, order[differ][:DIFFERING])]


def predicted(
    table: LUT, rows: list[int], prediction_parts: list[list[str]], progress: Progress
) -> Int[np.ndarray, "model row level"]:
    """Read the reference's predictions, and count their levels in some cells of the LUT."""
    method = LutMethod({}, table)
    counts = np.zeros((len(table.models), len(rows), LEVELS), np.int64)
    for done, paths in enumerate(prediction_parts, 1):
        parts = [reading.Part(path) for path in paths]
        for i in range(len(parts[0].names)):
            x = np.stack([part.rows(i) for part in parts])
            numbers = method.numbers(x)
            levels = np.rint(x / unit(table.bits)).astype(np.int64)
            for row, cell in enumerate(rows):
                inside = numbers == table.number[cell]
                for m, level in enumerate(levels):
                    counts[m, row] += np.bincount(level[inside], minlength=LEVELS)
        progress(done, len(prediction_parts))
    return counts


def _cell(cell: Statistics, settings: dict[str, Any], counts: Int[np.ndarray, "model level"]) -> Cell:
    """Fit the mixture of one cell once more: a LUT holds weights, but no variances."""
    variance = ensir.initial_variance(cell)

    def watch(_: Any, likelihood: Any, weights: Any, latest: np.ndarray) -> None:
        variance[...] = latest

    estimated = ensir.estimate_weights(cell, cell, settings, "cpu", lambda done, total: None, watch)
    levels = np.rint(cell.level / cell.unit).astype(np.int64)
    bins = bins_of(cell.key, cell.bin_width, len(cell.models))[0] * cell.bin_width
    title = " × ".join(f"[{start}, {min(start + cell.bin_width, 256)})" for start in bins)
    if settings["channels"] == "separate":
        title += f", channel {cell.channel[0]}"
    return Cell(
        title,
        int(cell.count[0]),
        np.bincount(levels, cell.level_count, LEVELS) / cell.count[0],
        counts / counts.sum(axis=1, keepdims=True),
        estimated.weights[0],
        cell.sum[0] / (cell.count[0] * cell.unit),
        variance[0],
    )


def drawing(models: Sequence[str], cells: list[Cell]) -> Drawing:
    """Return the figure: a panel per cell."""
    lines = max(1, -(-len(cells) // COLUMNS))

    def plot(figure: Figure) -> None:
        panels = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
        for axes, cell in zip(panels, cells, strict=False):
            _panel(axes, models, cell)
        for axes in panels[len(cells) :]:
            axes.axis("off")
        for axes in panels[max(0, len(cells) - COLUMNS) : len(cells)]:
            axes.set_xlabel("level")
        if not cells:
            figure.suptitle("no value of the reference is in these bin sets")
        else:
            handles, labels = panels[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside upper center", ncols=min(6, len(labels)))

    columns = ["bin_set", "values", "level", "quantity", "model", "share"]
    return Drawing(style.TEXT, 0.5 + 1.5 * lines, plot, columns, list(_rows(models, cells)))


def _panel(axes: Any, models: Sequence[str], cell: Cell) -> None:
    y = np.arange(LEVELS)
    density = cell.density
    axes.fill_between(y, cell.target, step="mid", color="0.8", linewidth=0, label="target")
    for m, model in enumerate(models):
        looks = style.of(m)
        axes.step(y, cell.predictions[m], where="mid", linewidth=0.9, label=style.short(model), **looks)
        axes.plot(y, density[m], linewidth=0.6, color=looks["color"], linestyle=":")
    axes.plot(y, density.sum(axis=0), color=style.INK, linewidth=1.2, label="fitted mixture")
    axes.set_title(f"{cell.title}\nN = {cell.count:,}; weights {', '.join(f'{w:.2f}' for w in cell.weights)}")
    seen = np.flatnonzero(np.cumsum(cell.target) * (1 - np.cumsum(cell.target)) > 1e-3)
    inside = np.flatnonzero(cell.predictions.sum(axis=0))
    axes.set_xlim(
        min(seen[0], inside[0]) - 2 if len(seen) else inside[0] - 2, max([*seen[-1:], inside[-1]]) + 2
    )
    tallest = max(cell.target.max(), np.sort(cell.predictions.ravel())[-len(models) - 1])
    axes.set_ylim(0, 1.15 * min(tallest, 4 * cell.target.max()))
    axes.set_ylabel("share")
    axes.grid(axis="y")


def _rows(models: Sequence[str], cells: list[Cell]) -> Any:
    for cell in cells:
        mixture = cell.density
        curves = [("target", "", cell.target), ("mixture", "", mixture.sum(axis=0))]
        curves += [("prediction", model, cell.predictions[m]) for m, model in enumerate(models)]
        curves += [("component", model, mixture[m]) for m, model in enumerate(models)]
        for quantity, model, curve in curves:
            for level in np.flatnonzero(curve > 1e-6):
                yield cell.title, cell.count, int(level), quantity, model, float(curve[level])
