"""Mean-shift descent: what it lowers step by step and, where the target is known, the PSNR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ensir.figures import style
from ensir.figures.style import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ensir.restorers.meanshift import Row

COLUMNS = ("step", "data", "prior", "sigma", "psnr")


def drawing(rows: Sequence[Row]) -> Drawing:
    """Return the figure of a trace: a panel of mean squares in squared levels of 0–255, and one of the PSNR in dB."""
    told = rows[-1].psnr is not None
    steps = [row.step for row in rows]

    def plot(figure: Figure) -> None:
        panels = figure.subplots(1, 2 if told else 1, squeeze=False)[0]
        panels[0].plot(steps, [row.data for row in rows], **style.of(0), label="residual of the observation")
        panels[0].plot(steps, [row.prior for row in rows], **style.of(1), label="mean shift")
        panels[0].set(yscale="log", xlabel="step", ylabel="mean square (levels²)")
        panels[0].legend()
        if told:
            panels[1].plot(steps, [row.psnr for row in rows], **style.of(2))
            panels[1].set(xlabel="step", ylabel="PSNR (dB)")
        for axes in panels:
            axes.grid()

    values = [(row.step, row.data, row.prior, row.sigma, row.psnr) for row in rows]
    return Drawing(style.TEXT if told else style.COLUMN, 2.2, plot, COLUMNS, values)
