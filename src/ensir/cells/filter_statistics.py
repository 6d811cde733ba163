"""The statistics of local filters: sums of products of features and targets, by fold and cell of context.

A module of statistics, as methods declare them; see `ensir.cells.bins` and `ensir.cells.context`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.cells import context
from ensir.cells.context import HALO
from ensir.errors import InputError
from ensir.storage import additive
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from jaxtyping import Int, Shaped

__all__ = ["HALO", "Counter", "FilterStatistics", "counter", "load", "save", "total"]

EXACT = 2.0**53  # up to here, float64 holds every integer
LARGEST = 2.0**63
VALUES_AT_ONCE = 2**20
DIMENSIONS = {
    "fold": ("cell",),
    "key": ("cell",),
    "count": ("cell",),
    "gram": ("cell", "feature", "other_feature"),
    "cross": ("cell", "feature"),
    "square": ("cell",),
}


@dataclass(frozen=True)
class FilterStatistics:
    """Sums over the values of every occupied fold and cell, sorted by both.

    Features f and targets r = y − m are `context.scale` times what they mean, so that all sums are whole.

    Attributes
    ----------
    models : tuple of str
    bits : int
        8 or 16.
    channels : int
    fold, key : int64 arrays, (cell,)
    count : int64 array, (cell,)
        Values.
    gram : int64 array, (cell, feature, feature)
        Σ f fᵀ.
    cross : int64 array, (cell, feature)
        Σ f r.
    square : int64 array, (cell,)
        Σ r².
    """

    models: tuple[str, ...]
    bits: int
    channels: int
    fold: Int[np.ndarray, " cell"]
    key: Int[np.ndarray, " cell"]
    count: Int[np.ndarray, " cell"]
    gram: Int[np.ndarray, "cell feature feature"]
    cross: Int[np.ndarray, "cell feature"]
    square: Int[np.ndarray, " cell"]


class Counter:
    """Adds up pixels, some rows of an image at a time.

    Parameters
    ----------
    models : sequence of str
    bits : int
        8 or 16.
    channels : int
    """

    def __init__(self, models: Sequence[str], bits: int, channels: int):
        self.models, self.bits, self.channels = tuple(models), bits, channels
        self.factors = context.number_of_features(len(self.models), channels) + 1
        self.products: dict[int, Int[np.ndarray, "cell factor factor"]] = {}
        self.count: dict[int, Int[np.ndarray, " cell"]] = {}

    def add(
        self,
        x: Sequence[Shaped[np.ndarray, "channel row column"]],
        y: Shaped[np.ndarray, "channel row column"],
        fold: int,
        rows: slice,
    ) -> None:
        """Add some rows of an image of one fold.

        Parameters
        ----------
        x, y : uint8 or uint16 arrays, (channel, row, column)
            The predictions of all models and the target, with `HALO` rows around those that are counted, where the
            image has any.
        fold : int
        rows : slice
            The rows that are counted.

        Raises
        ------
        InputError
            A sum exceeds the range of 64-bit integers.
        """
        from ensir.cells.filtering import VECTOR, add_products

        images, target = np.stack(x), np.ascontiguousarray(y)
        limits = context.limits(images)
        shape = (context.KEYS, self.factors, -(-self.factors // VECTOR) * VECTOR)
        if fold not in self.products:
            self.products[fold] = np.zeros((context.KEYS, self.factors, self.factors), np.int64)
            self.count[fold] = np.zeros(context.KEYS, np.int64)
        at_once = max(1, VALUES_AT_ONCE // target[:, 0].size)
        for first in range(rows.start, rows.stop, at_once):
            # Sums of 16 bits soon leave the range in which float64 is exact.
            products = np.zeros(shape, np.float64 if self.bits == 8 else np.int64)
            last = min(first + at_once, rows.stop)
            add_products(images, target, first, last, *limits, products, self.count[fold])
            self.products[fold] = _sum(self.products[fold], products[:, :, : self.factors].astype(np.int64))

    def statistics(self) -> FilterStatistics:
        """Return the statistics of all rows added so far."""
        cells = {fold: np.flatnonzero(count) for fold, count in sorted(self.count.items())}
        products = np.concatenate(
            [self.products[fold][own] for fold, own in cells.items()]
            or [np.zeros((0, self.factors, self.factors), np.int64)]
        )
        none = [np.zeros(0, np.int64)]
        return FilterStatistics(
            self.models,
            self.bits,
            self.channels,
            fold=np.concatenate([np.full(len(own), fold) for fold, own in cells.items()] or none),
            key=np.concatenate(list(cells.values()) or none),
            count=np.concatenate([self.count[fold][own] for fold, own in cells.items()] or none),
            gram=_mirrored(products[:, :-1, :-1]),
            cross=products[:, -1, :-1],
            square=products[:, -1, -1],
        )


def _mirrored(lower: Int[np.ndarray, "cell feature feature"]) -> Int[np.ndarray, "cell feature feature"]:
    return np.tril(lower) + np.tril(lower, -1).swapaxes(1, 2)


def counter(models: Sequence[str], bits: int, channels: int, settings: dict[str, Any]) -> Counter:
    """Return what counts the pixels of one job; there are no settings."""
    return Counter(models, bits, channels)


def total(pieces: Sequence[FilterStatistics]) -> FilterStatistics:
    """Add up statistics of the same models, each of which may hold several rows of a fold and cell.

    Raises
    ------
    InputError
        A sum exceeds the range of 64-bit integers.
    """
    number = np.concatenate([piece.fold * context.KEYS + piece.key for piece in pieces])
    occupied, row = np.unique(number, return_inverse=True)
    sums: dict[str, np.ndarray] = {}
    start = 0
    for piece in pieces:
        own = row[start : start + len(piece.key)]
        start += len(piece.key)
        for name in ("count", "gram", "cross", "square"):
            values = getattr(piece, name)
            held = sums.setdefault(name, np.zeros((len(occupied), *values.shape[1:]), np.int64))
            for rows in _without_repetition(own):
                held[own[rows]] = _sum(held[own[rows]], values[rows])
    first = pieces[0]
    fold, cell = np.divmod(occupied, context.KEYS)
    return FilterStatistics(first.models, first.bits, first.channels, fold, cell, **sums)


def _without_repetition(number: Int[np.ndarray, " cell"]) -> Iterator[Int[np.ndarray, " row"]]:
    """Yield rows, all of them in few runs, such that no number comes twice in a run."""
    rest = np.arange(len(number))
    while rest.size:
        first = np.unique(number[rest], return_index=True)[1]
        yield rest[first]
        rest = np.delete(rest, first)


def _sum(values: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Add, unless that exceeds the range of 64-bit integers."""
    if np.any(np.abs(values.astype(np.float64) + more.astype(np.float64)) >= LARGEST):
        raise InputError("statistics of local filters: a sum exceeds 64 bits; use a smaller reference")
    return values + more


def save(
    statistics: FilterStatistics, place: Place, attributes: dict[str, Any], columns: dict[str, list[str]]
) -> None:
    """Write statistics; see `ensir.storage.additive`."""
    counted = {
        "models": list(statistics.models),
        "bits": statistics.bits,
        "channels": statistics.channels,
    }
    arrays = {name: (getattr(statistics, name), dims) for name, dims in DIMENSIONS.items()}
    additive.save(place, attributes, counted, arrays, columns)


def load(path: str) -> tuple[FilterStatistics, dict[str, Any]]:
    """Read statistics and their attributes; per-image texts are among the attributes.

    Raises
    ------
    InputError
        No statistics, damaged, or of another version.
    """
    arrays, attributes = additive.load(path, DIMENSIONS)
    models, channels = tuple(attributes["models"]), attributes["channels"]
    if arrays["cross"].shape[1] != context.number_of_features(len(models), channels):
        raise InputError(
            f"{path}: was counted by another version of local filters; run the workflow again, which makes it anew"
        )
    return FilterStatistics(models, attributes["bits"], channels, **arrays), attributes
