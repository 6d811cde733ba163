"""Charts: vector graphics that take the page's font and colour."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#7f7f7f")  # Okabe and Ito's
INK = "#010203"  # stands for the page's text colour
BARS = 60  # with more, a curve per method is drawn instead


def gains(images: list[str], gain: dict[str, list[float]], unit: str, salt: str) -> str:
    """Draw how far each method is above the average: bars per image, or sorted curves where there are many.

    Parameters
    ----------
    images : list of str
    gain : dict
        For each method, one number per image; what is not finite is left out.
    unit : str
        Of the gain.
    salt : str
        Makes the identifiers inside the graphic unique on the page.

    Returns
    -------
    str
        An SVG element.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_style(salt)):
        figure = Figure(figsize=(9, 3), layout="constrained", facecolor="none")
        axes = figure.add_subplot(facecolor="none")
        values = {method: np.where(np.isfinite(row), row, np.nan) for method, row in gain.items()}
        draw = _bars if len(images) * len(gain) <= BARS else _curves
        draw(axes, images, values)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_ylabel(f"gain over average{f' ({unit})' if unit else ''}")
        figure.legend(loc="outside upper left", ncols=6, frameon=False, handlelength=1.2)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return _inline(buffer.getvalue())


def descent(rows: Sequence[tuple[int, float, float, float, float | None]]) -> str:
    """Draw the trace of a mean-shift descent: what it lowers and, where the target is known, the PSNR.

    Parameters
    ----------
    rows : list of (step, data, prior, sigma, psnr)
        Mean squared residual and mean squared length of the mean shift, in squared levels of 0–255.

    Returns
    -------
    str
        An SVG file.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    step, data, prior, _, psnr = zip(*rows, strict=True)
    with mpl.rc_context(_style("descent")):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        panels = figure.subplots(1, 1 if psnr[0] is None else 2, squeeze=False)[0]
        panels[0].plot(step, data, color=COLOURS[0], label="residual of the observation")
        panels[0].plot(step, prior, color=COLOURS[1], label="mean shift")
        panels[0].set(yscale="log", xlabel="step", ylabel="mean square (levels²)")
        panels[0].legend(frameon=False)
        if psnr[0] is not None:
            panels[1].plot(step, psnr, color=COLOURS[2])
            panels[1].set(xlabel="step", ylabel="PSNR (dB)")
        for axes in panels:
            axes.grid(color=INK, alpha=0.15, linewidth=0.6)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue().replace(INK, "#000000")


def _style(salt: str) -> Any:
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
        ),
    }


def _bars(axes: Any, images: list[str], values: dict[str, np.ndarray]) -> None:
    width = 0.8 / len(values)
    for i, (method, row) in enumerate(values.items()):
        x = np.arange(len(images)) + (i - (len(values) - 1) / 2) * width
        axes.bar(x, row, width * 0.92, color=COLOURS[i % len(COLOURS)], label=method)
    long = max(map(len, images)) * len(images) > 110
    axes.set_xticks(range(len(images)), images, rotation=30 if long else 0, ha="right" if long else "center")
    axes.set_xlim(-0.5, max(len(images), 4) - 0.5)
    axes.tick_params(axis="x", length=0)


def _curves(axes: Any, images: list[str], values: dict[str, np.ndarray]) -> None:
    for i, (method, row) in enumerate(values.items()):
        ordered = np.sort(row[~np.isnan(row)])[::-1]
        style = ("-", "--", ":")[i // len(COLOURS) % 3]
        axes.plot(
            np.arange(1, len(ordered) + 1),
            ordered,
            style,
            color=COLOURS[i % len(COLOURS)],
            linewidth=2,
            label=method,
        )
    axes.set_xlabel("images, from the largest gain to the smallest")


def _inline(svg: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # not unique on the page
    return svg.replace(INK, "currentColor")
