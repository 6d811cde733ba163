"""Charts: vector graphics that take the page's font and colour."""

from __future__ import annotations

import io
import re
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

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
        ),
    }
    with mpl.rc_context(style):
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
