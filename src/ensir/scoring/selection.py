"""Selection: which models are worth running, by the held-out PSNR of every subset of them."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple, Self, get_type_hints

import numpy as np

from ensir.scoring.interval import intervals
from ensir.scoring.rows import write_csv
from ensir.storage.atomic import written
from ensir.storage.digests import check_before_reading
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from jaxtyping import Float

MOST_MODELS = 10  # up to this number, every subset is tried; beyond, one model more or less at a time

Tried = dict[tuple[int, ...], "HeldOut"]


class HeldOut(NamedTuple):
    """One subset of the models: PSNR of each image, held out, in dB; and what was chosen by these, as by "auto"."""

    psnr: Float[np.ndarray, " image"]
    bin_width: int
    strength: float


class Subset(NamedTuple):
    """A row of `subsets.csv`.

    Attributes
    ----------
    models : tuple of str
    psnr : float
        Mean over the held-out images, in dB.
    difference, low, high : float
        To that of all models, with its paired 95 % interval.
    seconds : float
        Per image, to run all its models; NaN where that is not known.
    on_front : bool
        Whether no other subset is as good and as fast. Where seconds are not known, fewer models are faster.
    bin_width : int
    strength : float
    """

    models: tuple[str, ...]
    psnr: float
    difference: float
    low: float
    high: float
    seconds: float
    on_front: bool
    bin_width: int
    strength: float


class Model(NamedTuple):
    """A row of `models.csv`.

    Attributes
    ----------
    model : str
    psnr : float
        Alone.
    seconds : float
        Per image; NaN where that is not known.
    loss, loss_low, loss_high : float
        How far all models are above all but this one, with the paired 95 % interval, in dB.
    gain, gain_low, gain_high : float
        What it adds to a subset of the others, mean over those that were tried with and without it.
    """

    model: str
    psnr: float
    seconds: float
    loss: float
    loss_low: float
    loss_high: float
    gain: float
    gain_low: float
    gain_high: float


class Gain(NamedTuple):
    """A row of `gains.csv`: what a model adds to a subset, in dB, which is what leaving it out loses."""

    models: tuple[str, ...]
    added: str
    gain: float
    low: float
    high: float


class OfImage(NamedTuple):
    """A row of `images.csv`: the PSNR of one held-out image."""

    models: tuple[str, ...]
    image: str
    psnr: float


class Selection(NamedTuple):
    """What was found; without rows where the reference is a single image, so that none can be held out."""

    subsets: list[Subset]
    models: list[Model]
    gains: list[Gain]
    images: list[OfImage]

    def save(self, places: Iterable[Place]) -> None:
        """Write the CSV files of `files`."""
        for place, table in zip(places, self.tables().values(), strict=True):
            with written(place) as partial:
                write_csv(partial, *table)

    def tables(self) -> dict[str, tuple[Sequence[str], list[list[Any]]]]:
        """Return header and rows of each table, by its name."""
        return {
            name: (
                ROWS[name]._fields,
                [["+".join(cell) if isinstance(cell, tuple) else cell for cell in row] for row in rows],
            )
            for name, rows in self._asdict().items()
        }

    @classmethod
    def load(cls, folder: str) -> Self:
        """Read the files that `save` writes."""
        return cls(*map(_read, files(folder), ROWS.values()))

    @property
    def is_timed(self) -> bool:
        """Whether the seconds of all models are known."""
        return bool(self.models) and not any(math.isnan(row.seconds) for row in self.models)

    def cost(self, subset: Subset) -> float:
        """Return the seconds of a subset; the number of its models where those of some model are not known."""
        return subset.seconds if self.is_timed else len(subset.models)


ROWS: dict[str, Any] = {"subsets": Subset, "models": Model, "gains": Gain, "images": OfImage}


def files(folder: str) -> list[str]:
    """Return the files of a selection: one for each kind of row."""
    return [f"{folder}/{name}.csv" for name in ROWS]


def _read(path: str, kind: Any) -> list[Any]:
    check_before_reading(path)
    types = get_type_hints(kind)
    parse: dict[Any, Callable[[str], Any]] = {
        bool: lambda text: text == "True",
        int: int,
        float: float,
        str: str,
    }
    with open(path, newline="", encoding="utf-8") as file:
        return [
            kind(
                *(
                    parse.get(types[name], lambda text: tuple(text.split("+")))(row[name])
                    for name in kind._fields
                )
            )
            for row in csv.DictReader(file)
        ]


# ── which subsets are tried ──────────────────────────────────────────────────────────────────────────────────


def explore(models: int, fitted: Callable[[Sequence[tuple[int, ...]]], Iterable[HeldOut]]) -> Tried:
    """Try every subset of up to ten models; of more, add and leave out one at a time, the best first.

    Parameters
    ----------
    models : int
    fitted : callable
        Returns the held-out PSNR of some subsets, in their order.
    """
    everything = tuple(range(models))
    tried: Tried = {}

    def best(subsets: list[tuple[int, ...]]) -> tuple[int, ...]:
        new = [subset for subset in subsets if subset not in tried]
        tried.update(zip(new, fitted(new), strict=True))
        return max(subsets, key=lambda subset: tried[subset].psnr.mean())

    if models <= MOST_MODELS:
        best([subset for size in everything for subset in combinations(everything, size + 1)])
        return tried
    here: tuple[int, ...] = ()
    while len(here) < models:
        here = best([tuple(sorted((*here, m))) for m in everything if m not in here])
    while len(here) > 1:
        here = best([tuple(m for m in here if m != left_out) for left_out in here])
    return tried


# ── what follows from them ───────────────────────────────────────────────────────────────────────────────────


def selection(
    models: Sequence[str], images: Sequence[str], tried: Tried, runs: Mapping[str, Mapping[str, float]]
) -> Selection:
    """Compare the subsets that were tried.

    Parameters
    ----------
    models : sequence of str
        All models.
    images : sequence of str
        The images that were held out.
    tried : dict
        By the numbers of the models, ascending.
    runs : dict
        For each model, the seconds per image of what has to run: its own network and, of a refiner, those that it
        refines; NaN where they are not known.
    """
    subsets = sorted(tried, key=lambda subset: (len(subset), subset))
    psnr = np.stack([tried[subset].psnr for subset in subsets])
    row = {subset: i for i, subset in enumerate(subsets)}
    names = {subset: tuple(models[m] for m in subset) for subset in subsets}
    seconds = [_seconds(names[subset], runs) for subset in subsets]
    cost = [float(len(subset)) for subset in subsets] if np.isnan(seconds).any() else seconds
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        to_all = intervals(psnr - psnr[-1])
        steps = [
            (smaller, m, psnr[row[subset]] - psnr[row[smaller]])
            for subset in subsets
            for m in subset
            if (smaller := tuple(n for n in subset if n != m)) in row
        ]
        gains = intervals(np.stack([gain for _, _, gain in steps]))
        added = [np.mean([gain for _, n, gain in steps if n == m], axis=0) for m in range(len(models))]
    mean_gains = intervals(np.stack(added))
    losses = {
        m: gain for (smaller, m, _), gain in zip(steps, gains, strict=True) if len(smaller) == len(models) - 1
    }
    front = on_front(cost, psnr.mean(axis=1))
    return Selection(
        [
            Subset(names[subset], float(psnr[i].mean()), *to_all[i], seconds[i], front[i], *tried[subset][1:])
            for i, subset in enumerate(subsets)
        ],
        [
            Model(
                model,
                float(psnr[row[m,]].mean()),
                _seconds((model,), runs),
                *losses[m],
                *mean_gains[m],
            )
            for m, model in enumerate(models)
        ],
        [Gain(names[smaller], models[m], *gain) for (smaller, m, _), gain in zip(steps, gains, strict=True)],
        [
            OfImage(names[subset], image, float(value))
            for subset in subsets
            for image, value in zip(images, psnr[row[subset]], strict=True)
        ],
    )


def _seconds(models: Iterable[str], runs: Mapping[str, Mapping[str, float]]) -> float:
    """Return the seconds per image of several models; what two of them need runs once."""
    needed: dict[str, float] = {}
    for model in models:
        needed |= runs[model]
    return math.fsum(needed.values())


def on_front(cost: Sequence[float], psnr: Sequence[float]) -> list[bool]:
    """Return which are on the Pareto front: all others cost more, or have less PSNR."""
    order = sorted(range(len(cost)), key=lambda i: (cost[i], -psnr[i]))
    front, best = [False] * len(cost), -math.inf
    for i in order:
        if psnr[i] > best:
            front[i], best = True, psnr[i]
    return front
