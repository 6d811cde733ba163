"""What a fitted method shows of itself: a table, and a small picture of its weights."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ensir.cells import context
from ensir.cells.filters import FilterMethod
from ensir.cells.key import bins_of
from ensir.cells.lut import LUT
from ensir.images.depth import unit
from ensir.scoring import leaving_out

if TYPE_CHECKING:
    from jaxtyping import Float64

    from ensir.library.table import Lut

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#7f7f7f")  # as in the figures
WIDTH, HEIGHT, LEFT, BELOW, TOP = 360, 130, 34, 26, 6  # pixels of the picture and of its margins
LEVELS = 16  # of the picture, at most


class Curves(NamedTuple):
    """Mean weights by brightness.

    Attributes
    ----------
    level : float64 array, (level,)
        Mean brightness of what is taken together, in levels of 0–255.
    weight : float64 array, (level, model)
        Means over the reference values.
    """

    level: Float64[np.ndarray, " level"]
    weight: Float64[np.ndarray, "level model"]


def facts(lut: Lut) -> dict[str, str]:
    """Return what a table holds, by name."""
    content = lut.content
    told = {"method": lut.method, "models": ", ".join(lut.models), "bits": str(lut.bits)}
    options = ", ".join(f"{name}={value!r}" for name, value in lut.options.items())
    told |= {"options": options} if options else {}
    if "chosen" in getattr(lut.table, "arrays", {}):
        told["chosen"] = str(lut.table.arrays["chosen"])  # type: ignore[union-attr]
    if content is not None:
        count = _held(content, "count")
        every = content.cells if isinstance(content, LUT) else context.KEYS
        told["cells"] = f"{int((count > 0).sum()):,} of {every:,} hold reference values"
        told["mean weights" if isinstance(content, LUT) else "mean weights of the value itself"] = ", ".join(
            f"{model} {weight:.3f}" for model, weight in zip(lut.models, _mean_weights(content), strict=True)
        )
        error = _mean_error(content)
        if np.isfinite(error):
            told["expected RMSE"] = f"{np.sqrt(error) / unit(lut.bits):.2f} levels"
    told["reference images"] = str(len(lut.reference_images) or "unknown")
    if lut.gain is not None:
        told["gain over the average"] = leaving_out.said(lut.gain)
    return told


def text(lut: Lut) -> str:
    """Return the facts, one per line."""
    return "\n".join(["<Lut>", *(f"  {name + ':':33} {fact}" for name, fact in facts(lut).items())])


def html(lut: Lut) -> str:
    """Return the facts as a table, and a picture of the weights."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(fact)}</td></tr>"
        for name, fact in facts(lut).items()
    )
    return f"<table>{rows}</table>{picture(lut)}"


def picture(lut: Lut) -> str:
    """Return the mean weight of each model by brightness, as SVG; empty where that is not known."""
    curves = _curves(lut.content) if lut.content is not None else None
    if curves is None or not len(curves.level):
        return ""
    low, high = min(0.0, float(curves.weight.min())), max(1.0, float(curves.weight.max()))
    right, bottom = WIDTH - 90, HEIGHT - BELOW

    def across(level: float) -> float:
        return LEFT + (right - LEFT) * level / 255

    def up(weight: float) -> float:
        return bottom - (bottom - TOP) * (weight - low) / (high - low)

    marks = [
        f"<line x1='{LEFT}' x2='{right}' y1='{up(value):.1f}' y2='{up(value):.1f}' stroke='#8888' />"
        f"<text x='{LEFT - 4}' y='{up(value) + 4:.1f}' text-anchor='end'>{value:g}</text>"
        for value in (0, 0.5, 1)
    ]
    marks += [
        f"<text x='{across(level):.1f}' y='{bottom + 12}' text-anchor='middle'>{level}</text>"
        for level in (0, 128, 255)
    ]
    marks.append(
        f"<text x='{across(128):.1f}' y='{HEIGHT - 3}' text-anchor='middle'>mean of the models, levels</text>"
    )
    for m, model in enumerate(lut.models):
        colour, y = COLOURS[m % len(COLOURS)], TOP + 12 * (m + 1)
        points = [
            (across(level), up(weight))
            for level, weight in zip(curves.level, curves.weight[:, m], strict=True)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        marks.append(f"<polyline points='{line}' fill='none' stroke='{colour}' stroke-width='2' />")
        marks += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='2' fill='{colour}' />" for x, y in points]
        marks.append(f"<text x='{right + 8}' y='{y}' fill='{colour}'>{escape(model[:12])}</text>")
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}' font-family='sans-serif' "
        f"font-size='10' fill='currentColor'><title>Mean weights by brightness</title>{''.join(marks)}</svg>"
    )


def _cells(content: LUT | FilterMethod) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights, values and brightness of the cells: that of a cell is the mean of its bins' middles."""
    if isinstance(content, LUT):
        bin_of = bins_of(content.key, content.bin_width, len(content.models))
        edges = np.minimum(np.stack([bin_of, bin_of + 1]) * content.bin_width, 256)
        count = content.count if content.count.any() else np.ones_like(content.count)
        return content.weights, count, edges.mean(axis=(0, 2)) - 0.5
    step = 256 // context.LEVELS
    brightness = context.parts_of(np.arange(context.KEYS))[2] * step + (step - 1) / 2
    return content.centre, content.fit.arrays["count"], brightness


def _mean_weights(content: LUT | FilterMethod) -> Float64[np.ndarray, " model"]:
    """Return the mean over the reference values; of filters, of what is taken of the value itself."""
    weights, count, _ = _cells(content)
    return np.asarray(count @ weights / max(count.sum(), 1))


def _mean_error(content: LUT | FilterMethod) -> float:
    """Return the mean expected squared error, in squared code values; NaN where it is not known."""
    count, errors = _held(content, "count"), _held(content, "expected_squared_error")
    return float(count @ errors / count.sum()) if count.any() else float("nan")


def _held(content: LUT | FilterMethod, name: str) -> np.ndarray:
    """Return a column of the cells."""
    return np.asarray(getattr(content, name) if isinstance(content, LUT) else content.fit.arrays[name])


def _curves(content: LUT | FilterMethod) -> Curves:
    weights, count, brightness = _cells(content)
    group = (brightness * LEVELS / 256).astype(np.int64)
    total = np.bincount(group, count, LEVELS)
    sums = np.stack([np.bincount(group, count * weight, LEVELS) for weight in weights.T], axis=1)
    at = np.bincount(group, count * brightness, LEVELS)
    held = total > 0
    return Curves(at[held] / total[held], sums[held] / total[held, None])
