"""Training: the loss of networks trained by the workflow, and their PSNR on held-out images."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from ensir.drawing import style
from ensir.drawing.style import Drawing
from ensir.storage.digests import check_before_reading

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawing(curves: dict[str, str]) -> Drawing:
    """Return the figure of some trainings.

    Parameters
    ----------
    curves : dict
        The CSV file of each training's curve, by name.
    """
    rows = []
    for name, path in curves.items():
        check_before_reading(path)
        with open(path, newline="", encoding="utf-8") as file:
            rows += [
                (name, int(row["step"]), float(row["loss"]), float(row["psnr"]))
                for row in csv.DictReader(file)
            ]

    def plot(figure: Figure) -> None:
        both = figure.subplots(1, 2)
        for i, name in enumerate(curves):
            _, step, *columns = zip(*(row for row in rows if row[0] == name), strict=True)
            for axes, column in zip(both, columns, strict=True):
                axes.plot(step, column, marker=".", label=style.short(name), **style.of(i))
        for axes, label in zip(both, ("loss", "PSNR (dB)"), strict=True):
            axes.set(xlabel="step", ylabel=label)
            axes.grid()
        figure.legend(
            *both[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, columnspacing=1
        )

    return Drawing(style.TEXT, 2.4, plot, ["training", "step", "loss", "psnr"], rows)
