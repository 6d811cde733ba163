"""Descent: what a mean-shift restorer reduces step by step and, where the target is known, the PSNR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ensir.drawing import style
from ensir.drawing.style import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = tuple[int, float, float, float, float | None]


def drawing(rows: Sequence[Row]) -> Drawing:
    """Return the figure of a trace.

    Parameters
    ----------
    rows : list of (step, data, prior, sigma, psnr)
        Mean squared residual and mean squared length of the mean shift, in squared levels of 0–255; the assumed noise,
        in levels; PSNR in dB, or None.
    """
    step, data, prior, _, psnr = zip(*rows, strict=True)

    def plot(figure: Figure) -> None:
        energies, *quality = figure.subplots(1, 1 if psnr[0] is None else 2, squeeze=False)[0]
        energies.plot(step, data, label="residual of the observation", **style.of(0))
        energies.plot(step, prior, label="mean shift", **style.of(1))
        energies.set(yscale="log", xlabel="step", ylabel="mean square (levels²)")
        energies.legend()
        for axes in quality:
            axes.plot(step, psnr, **style.of(2))
            axes.set(xlabel="step", ylabel="PSNR (dB)")
        for axes in figure.axes:
            axes.grid()

    width = style.COLUMN if psnr[0] is None else style.TEXT
    return Drawing(width, 2.2, plot, ["step", "data", "prior", "sigma", "psnr"], rows)
