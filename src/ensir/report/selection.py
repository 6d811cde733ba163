"""Which models are worth running: the tables and the figure of a selection."""

from __future__ import annotations

import math
from typing import NamedTuple

from ensir.drawing import style
from ensir.figures import selection as figure
from ensir.scoring.scores import Cell, Metric, Table, ranked
from ensir.scoring.selection import Selection, Subset

NOTES = (
    "− all models: with its paired 95 % interval over images; n.s.: not significant, it holds zero. Lost "
    "without it: all models minus all but this one; gained: added to a subset of the others, mean over these.",
    "The best of many subsets looks better than it is.",
)
NEARLY = 0.05  # dB: nearly as good, for who has to choose
FEW_SUBSETS = 15  # of four models: so many rows are all shown
PSNR = Metric("PSNR", "dB", 2)
SECONDS = Metric("Time", "s", 3, higher_is_better=False)


class Shown(NamedTuple):
    """What the page and the command show of one selection.

    Attributes
    ----------
    method : str
        How the models of a subset are combined.
    images : int
        How many were held out in turn.
    tried : int
        How many subsets.
    is_timed : bool
        Whether the seconds of all models are known.
    subsets, models : Table
    chart : str
        The figure, as SVG.
    """

    method: str
    images: int
    tried: int
    is_timed: bool
    subsets: Table
    models: Table
    chart: str


def shown(experiment: str, selections: dict[str, Selection]) -> list[Shown]:
    """Return what is shown of the selections of an experiment, by method; nothing where the reference is one image."""
    return [
        Shown(
            method,
            len({row.image for row in one.images}),
            len(one.subsets),
            one.is_timed,
            subsets_table(one),
            models_table(one),
            style.inline(figure.drawing(one), f"{experiment}/selection/{method}"),
        )
        for method, one in selections.items()
        if one.subsets
    ]


def worth(selections: dict[str, Selection]) -> str:
    """Say in a sentence which fewer models are nearly as good as all; empty where no selection tells.

    By the method that is best with all models, on reference images that are held out; the fastest of the subsets,
    or the smallest where times are not known.
    """
    best: tuple[str, Selection, Subset] | None = None
    for method, found in selections.items():
        everything = next((row for row in found.subsets if len(row.models) == len(found.models)), None)
        if everything and len(found.models) > 1 and (best is None or everything.psnr > best[2].psnr):
            best = method, found, everything
    if best is None:
        return ""
    method, found, everything = best
    fewer = [row for row in found.subsets if row is not everything and row.psnr >= everything.psnr - NEARLY]
    number = len(found.models)
    if not fewer:
        told = f"On held-out reference images, {method} needs all {number} models"
        return f"{told}: of fewer, none are within {NEARLY} dB."
    chosen = min(fewer, key=lambda row: (row.seconds if found.is_timed else len(row.models), -row.psnr))
    gain = PSNR.with_unit(PSNR.gain(chosen.difference))
    if not math.isnan(chosen.low):
        gain += f" [{PSNR.gain(chosen.low)}, {PSNR.gain(chosen.high)}]"
    times = (
        f", in {SECONDS.text(chosen.seconds)} s instead of {SECONDS.text(everything.seconds)} s an image"
        if found.is_timed
        else ""
    )
    alone = " alone" if len(chosen.models) == 1 else ""
    return (
        f"On held-out reference images, the mean PSNR of {' + '.join(chosen.models)}{alone} is within {NEARLY} dB of "
        f"that of {method} of all {number} models: {gain}{times}."
    )


def subsets_table(found: Selection) -> Table:
    """Return the subsets: all of a few models; else the best of each number of models, and the Pareto front."""
    rows = found.subsets
    if len(rows) > FEW_SUBSETS:
        best: dict[int, Subset] = {}
        for row in rows:
            size = len(row.models)
            best[size] = max(best.get(size, row), row, key=lambda one: one.psnr)
        rows = [row for row in rows if row.on_front or row is best[len(row.models)]]
    rows = sorted(rows, key=lambda row: (len(row.models), -row.psnr))
    psnr = ranked([row.psnr for row in rows], PSNR)
    everything = len(found.models)
    body = [
        (
            "",
            " + ".join(row.models),
            [
                cell,
                Cell("–", 0.0)
                if len(row.models) == everything
                else interval(row.difference, row.low, row.high),
                Cell(SECONDS.text(row.seconds), row.seconds),
                Cell("✓" if row.on_front else "", float(row.on_front)),
            ],
        )
        for row, cell in zip(rows, psnr, strict=True)
    ]
    return Table(
        [("Held-out PSNR", ["dB", "− all models"]), ("Per image", ["s"]), ("Pareto", ["front"])], body
    )


def models_table(found: Selection) -> Table:
    """Return the models: alone, left out of all, and added to others."""
    alone = ranked([row.psnr for row in found.models], PSNR)
    body = [
        (
            "",
            row.model,
            [
                cell,
                interval(row.loss, row.loss_low, row.loss_high),
                interval(row.gain, row.gain_low, row.gain_high),
                Cell(SECONDS.text(row.seconds), row.seconds),
            ],
        )
        for row, cell in zip(found.models, alone, strict=True)
    ]
    heads = [("Alone", ["dB"]), ("dB", ["lost without it", "gained, mean"]), ("Per image", ["s"])]
    return Table(heads, body)


def interval(mean: float, low: float, high: float) -> Cell:
    """Print a difference with its paired interval; marked where that holds zero."""
    if math.isnan(low):
        return Cell(PSNR.gain(mean), mean)
    unsure = " n.s." if low <= 0 <= high else ""
    return Cell(f"{PSNR.gain(mean)} [{PSNR.gain(low)}, {PSNR.gain(high)}]{unsure}", mean)
