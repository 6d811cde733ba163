"""Panels: pictures and maps in bands of columns, as wide as the text of a paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ensir.drawing import style

if TYPE_CHECKING:
    from jaxtyping import Shaped
    from matplotlib.figure import Figure

LONGEST = 200  # pixels of the longer side of a panel, which is an inch or so; the table holds them all
MOST_COLUMNS = 7
TALLEST = 1.6  # inches of a panel
BAR = 0.45  # inches of the colour bars below, with their labels


class Panel(NamedTuple):
    """One picture (height, width, 1 or 3) as uint8, or one map (height, width) of floats; a note below it."""

    pixels: Shaped[np.ndarray, "height width *channel"]
    note: str = ""


class Column(NamedTuple):
    """What is below one head: a panel for each row, None where there is none."""

    head: str
    panels: Sequence[Panel | None]


def size(columns: list[Column], shape: tuple[int, ...], rows: int) -> tuple[float, float]:
    """Return width and height of the figure in inches, for panels of images of (height, width, …)."""
    bands, width = _bands(len(columns))
    height = min((style.TEXT - 0.6) / width * shape[0] / shape[1], TALLEST)
    return style.TEXT, bands * (rows * (height + style.ROW) + 1.6 * style.ROW) + BAR


def _bands(columns: int) -> tuple[int, int]:
    """Return the number of bands and the columns of each, about equally many."""
    bands = -(-columns // MOST_COLUMNS)
    return bands, -(-columns // bands)


def show(
    figure: Figure, columns: list[Column], rows: list[str], scales: list[tuple[str, float, float] | None]
) -> None:
    """Draw columns of panels in bands, and a colour bar for each kind of map.

    Parameters
    ----------
    figure : Figure
    columns : list of Column
    rows : list of str
        Label to the left of each row.
    scales : list
        For each row of panels, the label, least and greatest value of its maps; None for rows of pictures.
    """
    bands, width = _bands(len(columns))
    halves: Any = figure.subfigures(2, 1, height_ratios=[figure.get_figheight() - BAR, BAR])
    above, below = halves
    axes = above.subplots(bands * len(rows), width, squeeze=False)
    drawn: dict[tuple[str, float, float], Any] = {}
    for cell in axes.ravel():
        cell.set_axis_off()
    for i, column in enumerate(columns):
        band, at = divmod(i, width)
        for row, panel in enumerate(column.panels):
            cell = axes[band * len(rows) + row, at]
            if row == 0:
                cell.set_title(style.short(column.head, 16), pad=3)
            if panel is None:
                continue
            scale = scales[row] if panel.pixels.ndim == 2 else None
            pixels = panel.pixels[..., 0] if panel.pixels.shape[2:] == (1,) else panel.pixels
            image = cell.imshow(pixels, **_colours(panel, scale))
            if scale:
                drawn[scale] = image
            if panel.note:
                cell.text(0.5, -0.03, panel.note, transform=cell.transAxes, ha="center", va="top", fontsize=6)
    for row, (first, *_) in enumerate(axes):
        label = style.short(rows[row % len(rows)], 18)
        first.text(-0.06, 0.5, label, transform=first.transAxes, rotation=90, ha="right", va="center")
    places = below.subplots(1, 2 * len(drawn) + 1, width_ratios=[1, *[3, 1] * len(drawn)], squeeze=False)[0]
    for i, place in enumerate(places):
        place.set_axis_off()
        if i % 2:
            (label, _, _), image = list(drawn.items())[i // 2]
            place.set_axis_on()
            bar = figure.colorbar(image, cax=place, orientation="horizontal", label=label)
            bar.outline.set_linewidth(0.4)


def _colours(panel: Panel, scale: tuple[str, float, float] | None) -> dict[str, Any]:
    if scale:
        return {"cmap": style.MAP, "vmin": scale[1], "vmax": scale[2]}
    return {"cmap": "gray", "vmin": 0, "vmax": 255} if panel.pixels.ndim == 3 else {}


def table(
    columns: list[Column], maps: list[str], rows: Callable[[int], bool]
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the maps of a figure as a table, a row for each pixel that is drawn: heads and rows."""
    named = [
        (f"{column.head}: {maps[row]}", panel.pixels)
        for column in columns
        for row, panel in enumerate(column.panels)
        if panel is not None and panel.pixels.ndim == 2 and rows(row)
    ]
    shape = np.array([pixels.shape for _, pixels in named]).max(axis=0)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    values = [np.broadcast_to(pixels, shape).ravel().tolist() for _, pixels in named]
    return (
        ["row", "column", *(name for name, _ in named)],
        list(zip(y.ravel().tolist(), x.ravel().tolist(), *values, strict=True)),
    )
