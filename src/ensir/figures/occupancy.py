"""Bin occupancy: how many reference values the cells of a LUT have, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ensir.cells import lut
from ensir.cells.lut import ESTIMATED, FAILED, FEW, LUT
from ensir.drawing import style
from ensir.drawing.style import Drawing
from ensir.figures import PaperFigure, Reading, Subject
from ensir.methods import CombiningMethod

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FATES = {  # of a cell: label, colour
    ESTIMATED: ("estimated", style.COLOURS[0]),
    FEW: ("few values", style.COLOURS[1]),
    FAILED: ("failed", style.COLOURS[4]),
}
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")  # Matplotlib's own mathematics take a second to start


class Occupancy(PaperFigure):
    """How many values the cells of a LUT have."""

    of: ClassVar[tuple[Any, ...]] = ("method",)
    reads: ClassVar[tuple[Reading, ...]] = ("lut",)
    caption: ClassVar[str] = (
        "How many reference values the occupied cells of **{method}** have, and what share of all values lies in them; "
        "by what became of the cell in the estimation."
    )

    @classmethod
    def suits(cls, method: CombiningMethod) -> bool:
        """Whether it has a LUT."""
        return method.made == "lut"


def draw(subject: Subject) -> Drawing:
    """Draw the occupancy of the cells of a LUT."""
    return drawing(lut.load(subject.results["lut"]))


def drawing(table: LUT) -> Drawing:
    """Return the figure: cells by their number of values, and the share of all values that they hold."""
    size = np.log2(table.count).astype(np.int64)  # cells of 2^size values or more
    sizes = np.arange(size.max(initial=0) + 1)
    fates = {fate: looks for fate, looks in FATES.items() if (table.status == fate).any()}
    cells = {fate: np.bincount(size[table.status == fate], minlength=len(sizes)) for fate in fates}
    values = {
        fate: np.bincount(size[table.status == fate], table.count[table.status == fate], len(sizes))
        for fate in fates
    }
    empty = table.cells - len(table.count)

    def plot(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True)
        for axes, heights in ((upper, cells), (lower, values)):
            below = np.zeros(len(sizes))
            for fate, (label, colour) in fates.items():
                share = heights[fate] if axes is upper else heights[fate] / max(table.count.sum(), 1) * 100
                axes.bar(sizes, share, 0.9, below, align="edge", color=colour, label=label)
                below = below + share
            axes.grid(axis="y")
        upper.set_ylabel("cells")
        lower.set_ylabel("% of the values")
        lower.set_xlabel("reference values in the cell")
        ticks = sizes[:: max(1, -(-len(sizes) // 8))]
        lower.set_xticks(ticks, [f"2{str(tick).translate(RAISED)}" for tick in ticks])
        upper.set_title(
            f"{len(table.count):,} of {table.cells:,} cells occupied, {empty:,} empty", loc="left"
        )
        figure.legend(*upper.get_legend_handles_labels(), loc="outside upper left", ncols=3, columnspacing=1)

    rows = [
        (2 ** int(low), 2 ** (int(low) + 1), label, int(cells[fate][low]), int(values[fate][low]))
        for fate, (label, _) in fates.items()
        for low in sizes
    ]
    return Drawing(
        style.COLUMN, 2.3, plot, ["values_from", "values_below", "fate", "cells", "reference_values"], rows
    )
