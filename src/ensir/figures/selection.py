"""Which models are worth running: held-out PSNR of every subset against its seconds, the Pareto front labelled."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from ensir.drawing import style
from ensir.drawing.style import Drawing
from ensir.figures import PaperFigure, Reading, Subject
from ensir.methods import CombiningMethod
from ensir.scoring.selection import Selection, Subset

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEIGHT = 2.5  # inches
ACROSS, UP = 190.0, 140.0  # points inside the axes
LETTER, LINE = 3.9, 9.0  # points: width of a letter, height of a line of a label
AWAY = 4.0  # points from a marker to its label
LONGEST = 28  # letters of a label
MOST_LABELS = 7
MANY_DOTS = 60  # are drawn smaller
BELOW = 0.6  # of the height of the front: what is seen below it
SPREAD = 8  # seconds that differ by a larger factor get a logarithmic axis


class SelectionFigure(PaperFigure):
    """PSNR and seconds of every subset of the models."""

    of: ClassVar[tuple[Any, ...]] = ("method",)
    reads: ClassVar[tuple[Reading, ...]] = ("selection",)
    caption: ClassVar[str] = (
        "Mean PSNR of the reference images, each held out in turn, by **{method}** of every subset of the models, "
        "against the seconds per image that these models take (their number, where seconds are not known). Blue: "
        "subsets than which no other is as good and as fast; where they are many, the largest steps are labelled. "
        "Dotted: all models."
    )

    @classmethod
    def suits(cls, method: CombiningMethod) -> bool:
        """Whether it can fit to subsets of the models."""
        return method.selects


def draw(subject: Subject) -> Drawing:
    """Draw the subsets of one experiment, combined by one method."""
    return drawing(Selection.load(subject.results["selection"]))


def drawing(found: Selection) -> Drawing:
    """Return the figure: a dot for every subset that was tried, a line along the Pareto front."""

    def plot(figure: Figure) -> None:
        axes = figure.add_subplot()
        if found.subsets:
            _plot(axes, found)
        else:
            axes.set_axis_off()
            axes.text(
                0.5, 0.5, "The reference is one image:\nnone can be held out.", ha="center", va="center"
            )

    rows = [("+".join(row.models), *row[1:]) for row in found.subsets]
    return Drawing(style.COLUMN, HEIGHT, plot, Subset._fields, rows)


def _plot(axes: Any, found: Selection) -> None:
    front = sorted((row for row in found.subsets if row.on_front), key=found.cost)
    others = [row for row in found.subsets if not row.on_front]
    axes.axhline(found.subsets[-1].psnr, color=style.INK, linewidth=0.6, linestyle=":", zorder=1)
    axes.plot(
        [found.cost(row) for row in others],
        [row.psnr for row in others],
        "o",
        color=style.COLOURS[-1],
        markersize=3.2 if len(others) < MANY_DOTS else 2,
        markeredgewidth=0,
        alpha=0.6,
        zorder=2,
    )
    for row in others:
        if row.psnr < _bottom(found):
            axes.plot(
                found.cost(row),
                0,
                "v",
                transform=axes.get_xaxis_transform(),
                color=style.INK,
                markersize=2.5,
                clip_on=False,
            )
    x, y = [found.cost(row) for row in front], [row.psnr for row in front]
    axes.step(x, y, where="post", color=style.COLOURS[0], linewidth=1, zorder=3)
    axes.plot(x, y, "o", color=style.COLOURS[0], markersize=4.5, zorder=4)
    costs = list(map(found.cost, found.subsets))
    logarithmic = found.is_timed and 0 < min(costs) < max(costs) / SPREAD
    for row, text, up in _labels(axes, _labelled(front), found, logarithmic):
        leader = {
            "arrowstyle": "-",
            "linewidth": 0.4,
            "color": style.COLOURS[-1],
            "shrinkA": 0,
            "shrinkB": 2.5,
            "relpos": (1, 0),
        }
        axes.annotate(
            text,
            (found.cost(row), row.psnr),
            (-AWAY + 2, up),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=6.5,
            arrowprops=leader if up > 2 * AWAY else None,
        )
    axes.grid(axis="y")
    axes.set_ylabel("held-out PSNR (dB)")
    axes.set_xlabel("seconds per image, all models of a subset" if found.is_timed else "models in a subset")
    if not found.is_timed:
        axes.set_xticks(range(1, len(found.models) + 1))


def _labelled(front: list[Subset]) -> list[Subset]:
    """Return the first and the last of the front and, of many between them, those that gain the most."""
    gains = [math.inf, *(row.psnr - before.psnr for before, row in pairwise(front))]
    gains[-1] = math.inf
    least = sorted(gains)[-MOST_LABELS:][0]
    return [row for row, gain in zip(front, gains, strict=True) if gain >= least]


def _labels(
    axes: Any, front: list[Subset], found: Selection, logarithmic: bool
) -> list[tuple[Subset, str, float]]:
    """Put labels above their markers and to the left, where no dots are, and make room for them inside the axes.

    Returns
    -------
    list of (Subset, str, float)
        A subset on the front, its label, and how many points above its marker that begins.
    """

    def place(row: Subset) -> tuple[float, float]:
        return math.log10(found.cost(row)) if logarithmic else found.cost(row), row.psnr

    places = list(map(place, found.subsets))
    left, right = min(x for x, _ in places), max(x for x, _ in places)
    bottom, top = _bottom(found), max(y for _, y in places)
    width, height = right - left or 1.0, top - bottom or 1.0
    shares = [((x - left) / width, (y - bottom) / height) for x, y in map(place, front)]
    texts = _named(front, found)
    needed = [LETTER * len(text) + AWAY for text in texts]
    margin = max(
        (long - share * ACROSS) / (1 - min(share, 0.9))
        for long, (share, _) in zip(needed, shares, strict=True)
    )
    margin = min(max(margin, 0.06 * ACROSS), 0.45 * ACROSS)
    room = UP
    while True:  # room for labels at the top moves the markers down
        starts, end = list[float](), 0.0
        for _, share in shares:
            starts.append(max(share * room + AWAY, end))
            end = starts[-1] + LINE
        if end <= UP or room < UP / 2:
            break
        room -= LINE / 2
    limits = (left - width * margin / (ACROSS - margin), right + 0.05 * width)
    axes.set_xlim(*(10**limit if logarithmic else limit for limit in limits))
    axes.set_ylim(bottom - 0.06 * height, bottom + height * UP / room)
    if logarithmic:
        from matplotlib.ticker import LogLocator, NullFormatter

        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())  # Matplotlib's own would stand among these
    offsets = [start - share * room for start, (_, share) in zip(starts, shares, strict=True)]
    return list(zip(front, texts, offsets, strict=True))


def _bottom(found: Selection) -> float:
    """Return the least PSNR that is shown: some subsets may be far worse than those of interest."""
    front = [row.psnr for row in found.subsets if row.on_front]
    return max(min(row.psnr for row in found.subsets), min(front) - BELOW * (max(front) - min(front)))


def _named(front: list[Subset], found: Selection) -> list[str]:
    """Return the label of each subset: its models or, where these are many, those beside the label before."""
    everything, labels, before = found.subsets[-1].models, list[str](), set[str]()
    for row in front:
        label = " + ".join(style.short(model, LONGEST // 2) for model in row.models)
        left_out = [style.short(model, LONGEST // 2) for model in everything if model not in row.models]
        if len(label) > LONGEST and len(left_out) <= 1:
            label = f"all but {left_out[0]}" if left_out else f"all {len(everything)}"
        elif len(label) > LONGEST and before < set(row.models):
            label = " + ".join(["…", *(style.short(m, LONGEST // 2) for m in row.models if m not in before)])
        labels.append(style.short(label, 2 * LONGEST))
        before = set(row.models)
    return labels
