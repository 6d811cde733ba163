"""Style: sizes, fonts and colours of a two-column paper; figures as files, and inside the page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ensir.scoring.rows import write_csv
from ensir.storage.atomic import written
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN, TEXT = 3.25, 6.875  # inches: width of a column and of the text (CVPR; IEEE's are a little wider)
ROW = 0.15  # inches: height of a line of text with its leading
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#7f7f7f")  # Okabe and Ito's
LINES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MAP = "viridis"  # of weights and distances: even to the eye, also without red or green, and in grey
INK = "#010203"  # stands for the page's text colour
LONGEST = 26  # characters of a name that are printed
PIXELS = 130  # of the page per inch: 7 points are 12.6 pixels there
RC: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "grid.linewidth": 0.4,
    "grid.alpha": 0.25,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "image.interpolation": "nearest",
    "figure.constrained_layout.w_pad": 0.02,
    "figure.constrained_layout.h_pad": 0.02,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
    "svg.hashsalt": "ensir",
}
DATES = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}


class Drawing(NamedTuple):
    """A figure yet to be drawn, and the numbers that it shows.

    Attributes
    ----------
    width, height : float
        Inches.
    plot : callable
        Draws on an empty figure.
    columns : list of str
    rows : iterable of tuple
        The numbers, as a table.
    """

    width: float
    height: float
    plot: Callable[[Figure], None]
    columns: Sequence[str]
    rows: Iterable[Sequence[Any]]


def write(drawing: Drawing, places: Iterable[Place]) -> None:
    """Write a figure as SVG, PDF or PNG, and its numbers as CSV, as the suffixes of the places say."""
    import matplotlib as mpl

    with mpl.rc_context(RC):
        figure = _drawn(drawing)
        for place in places:
            kind = place.path.suffix[1:]
            with written(place) as partial:
                if kind == "csv":
                    write_csv(partial, drawing.columns, drawing.rows)
                else:
                    figure.savefig(partial, format=kind, metadata=DATES.get(kind, {"Software": None}))


def inline(drawing: Drawing, salt: str) -> str:
    """Return a figure as an SVG element that takes the page's font and text colour.

    Parameters
    ----------
    drawing : Drawing
    salt : str
        Makes the identifiers inside the graphic unique on the page.
    """
    import matplotlib as mpl

    inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    page: Any = {"svg.fonttype": "none", "svg.hashsalt": salt, **dict.fromkeys(inks, INK)}
    with mpl.rc_context(RC | page):
        buffer, figure = io.StringIO(), _drawn(drawing)
        if engine := figure.get_layout_engine():
            engine.execute(figure)
            figure.set_layout_engine("none")  # laid out: saving would draw and lay out twice more
        figure.savefig(buffer, format="svg", transparent=True, metadata=DATES["svg"])
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # not unique on the page
    svg = svg.replace(" font-family: 'DejaVu Sans';", "")
    size = f'width="{drawing.width * PIXELS:.0f}" height="{drawing.height * PIXELS:.0f}"'
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', size, svg, count=1)
    return re.sub(r"\n\s*", "\n", svg.replace(INK, "currentColor"))


def _drawn(drawing: Drawing) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(drawing.width, drawing.height), layout="constrained")
    drawing.plot(figure)
    return figure


def short(name: str, longest: int = LONGEST) -> str:
    """Return a name that fits: a long one loses its middle, since names differ at their ends."""
    if len(name) <= longest:
        return name
    return f"{name[: (longest - 1) // 2]}…{name[-(longest // 2) :]}"


def of(i: int) -> dict[str, Any]:
    """Return the look of the i-th of several curves: by colour, then by line style, so that no two are alike."""
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": LINES[i // len(COLOURS) % len(LINES)]}
