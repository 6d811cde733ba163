"""Additive statistics: all that EM, least squares and the expected error ever need of the pixels.

Everything is an integer that adds up over chunks, parts, images and machines, in any order, with the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.arithmetic.functions import quadratic_form
from ensir.cells import key as keys
from ensir.errors import InputError
from ensir.execution.machine_code import Kernel
from ensir.images import depth
from ensir.storage import additive
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Int, Integer

SUMS = ("count", "sum", "gram", "cross", "target_square")
MERGE_HISTOGRAMS = Kernel(
    "ensir.cells.histogram_kernel",
    "merge_histograms",
    f"int64(int64, {', '.join(['CPointer(int64)'] * 10)})",
)
DIMENSIONS = {
    "fold": ("cell",),
    "key": ("cell",),
    "channel": ("cell",),
    "count": ("cell",),
    "sum": ("cell", "model"),
    "gram": ("cell", "model", "other_model"),
    "cross": ("cell", "model"),
    "target_square": ("cell",),
    "offset": ("boundary",),
    "level": ("entry",),
    "level_count": ("entry",),
}


@dataclass(frozen=True)
class Statistics:
    """Statistics of the occupied cells, sorted by (fold, key, channel).

    x are predictions and y targets, in code values (0–255 or 0–65535).

    Attributes
    ----------
    models : tuple of str
        Names of the models, in the order of every `model` axis.
    bin_width : int
        b, in levels of 0–255.
    bits : int
        8 or 16.
    fold, key, channel : int64 arrays, (cell,)
        What identifies a cell: a fold is an image (or a group of images), a key is a bin set.
    count : int64 array, (cell,)
        N.
    sum : int64 array, (cell, model)
        Σ x_m.
    gram : int64 array, (cell, model, model)
        Σ x_m x_l.
    cross : int64 array, (cell, model)
        Σ x_m y.
    target_square : int64 array, (cell,)
        Σ y².
    offset : int64 array, (cell + 1,)
        The histogram of y of cell i is at entries offset[i] … offset[i + 1].
    level, level_count : int64 arrays, (entry,)
        Values of y that occur, ascending, and how often.
    """

    models: tuple[str, ...]
    bin_width: int
    bits: int
    fold: Int[np.ndarray, " cell"]
    key: Int[np.ndarray, " cell"]
    channel: Int[np.ndarray, " cell"]
    count: Int[np.ndarray, " cell"]
    sum: Int[np.ndarray, "cell model"]
    gram: Int[np.ndarray, "cell model model"]
    cross: Int[np.ndarray, "cell model"]
    target_square: Int[np.ndarray, " cell"]
    offset: Int[np.ndarray, " cell+1"]
    level: Int[np.ndarray, " entry"]
    level_count: Int[np.ndarray, " entry"]

    def __len__(self) -> int:
        return len(self.key)

    @property
    def bins(self) -> int:
        """T: bins per model."""
        return keys.bins(self.bin_width)

    @property
    def unit(self) -> int:
        """Code values per level of 0–255."""
        return depth.unit(self.bits)

    @property
    def levels(self) -> Int[np.ndarray, " cell"]:
        """How many different values of y occur in each cell."""
        return np.diff(self.offset)

    def plus(self, other: Statistics) -> Statistics:
        """Return the statistics of both sets of pixels together."""
        return total([self, other])

    def minus(self, other: Statistics) -> Statistics:
        """Return the statistics without the pixels of others, which must be among them."""
        negative: dict[str, Any] = {name: -getattr(other, name) for name in SUMS}
        rest = total([self, replace(other, **negative, level_count=-other.level_count)])
        if (rest.count < 0).any() or (rest.level_count < 0).any():
            raise ValueError("the subtracted statistics are not part of these")
        return rest

    def regrouped(
        self,
        fold: Integer[np.ndarray, " cell"],
        key: Integer[np.ndarray, " cell"],
        channel: Integer[np.ndarray, " cell"],
    ) -> Statistics:
        """Give each cell a new identity and add up the cells that share one."""
        order = np.lexsort((channel, key, fold))
        identity = np.stack([fold, key, channel])[:, order]
        starts = np.flatnonzero(np.append(True, (np.diff(identity) != 0).any(axis=0))[: len(order)])
        if len(starts) == len(order) and (np.diff(order) == 1).all() and self.count.all():
            return replace(self, fold=fold, key=key, channel=channel)  # each cell occurs once, in order
        sums: dict[str, Any] = {name: _add(getattr(self, name)[order], starts, name) for name in SUMS}
        histograms = self.offset, self.level, self.level_count
        offset, level, level_count = _merged_histograms(order, starts, *histograms)
        kept = sums["count"] != 0  # a subtraction empties cells, and with them their histograms
        fold, key, channel = identity[:, starts[kept]]
        return replace(
            self,
            fold=fold,
            key=key,
            channel=channel,
            **{name: value[kept] for name, value in sums.items()},
            offset=np.append(0, offset[1:][kept]),
            level=level,
            level_count=level_count,
        )

    def without_folds(self) -> Statistics:
        """Add up the folds."""
        return self.regrouped(np.zeros_like(self.fold), self.key, self.channel)

    def joint(self) -> Statistics:
        """Pool the channels."""
        return self.regrouped(self.fold, self.key, np.zeros_like(self.channel))

    def coarsened(self, bin_width: int) -> Statistics:
        """Widen the bins to a multiple of their width."""
        key = keys.coarsened(self.key, self.bin_width, bin_width, len(self.models))
        return replace(self, bin_width=bin_width).regrouped(self.fold, key, self.channel)

    def taken(self, cells: slice) -> Statistics:
        """Return a run of cells."""
        start, stop, _ = cells.indices(len(self))
        entries = slice(self.offset[start], self.offset[stop])
        return replace(
            self,
            **{name: getattr(self, name)[cells] for name in ("fold", "key", "channel", *SUMS)},
            offset=self.offset[start : stop + 1] - self.offset[start],
            level=self.level[entries],
            level_count=self.level_count[entries],
        )

    def expected_squared_error(self, weights: Float[np.ndarray, "cell model"]) -> Float[np.ndarray, " cell"]:
        """Return the mean of (y − Σ w_m x_m)² over each cell, for any weights, in squared code values."""
        square = quadratic_form(self.gram, weights)
        cross: np.ndarray = sum(weights[:, m] * self.cross[:, m] for m in range(len(self.models)))
        return np.maximum(square - 2 * cross + self.target_square, 0) / self.count

    def shard(self, shard: int, shards: int) -> Statistics:
        """Return one of several runs of cells with about equally many levels, the cost of a step of EM."""
        edges = np.searchsorted(self.offset, np.linspace(0, self.offset[-1], shards + 1).round())
        edges[0], edges[-1] = 0, len(self)
        return self.taken(slice(edges[shard], edges[shard + 1]))


def empty(models: Sequence[str], bin_width: int, bits: int) -> Statistics:
    """Return the statistics of no pixels."""
    none, m = np.zeros(0, np.int64), len(models)
    return Statistics(
        tuple(models), bin_width, bits, none, none, none, none,
        np.zeros((0, m), np.int64), np.zeros((0, m, m), np.int64), np.zeros((0, m), np.int64),
        none, np.zeros(1, np.int64), none, none,
    )  # fmt: skip


def total(pieces: Sequence[Statistics]) -> Statistics:
    """Add up statistics of the same models and bin width.

    Raises
    ------
    InputError
        A sum exceeds the range of 64-bit integers.
    """
    names = ("fold", "key", "channel", *SUMS, "level", "level_count")
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in names
    }
    starts = np.cumsum([0] + [len(piece.level) for piece in pieces[:-1]])
    offsets = [piece.offset[:-1] + start for piece, start in zip(pieces, starts, strict=True)]
    together = replace(pieces[0], **joined, offset=np.concatenate([*offsets, [len(joined["level"])]]))
    return together.regrouped(together.fold, together.key, together.channel)


def _merged_histograms(
    order: Int[np.ndarray, " cell"],
    starts: Int[np.ndarray, " group"],
    offset: Int[np.ndarray, " cell_and_end"],
    level: Int[np.ndarray, " entry"],
    level_count: Int[np.ndarray, " entry"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Add up the histograms of each group of cells; return offset, level and count of the nonzero entries."""
    given = [
        np.ascontiguousarray(array, np.int64)
        for array in (order, starts, np.append(starts[1:], len(order)), offset, level, level_count)
    ]
    counts = np.zeros(level.max(initial=-1) + 1, np.int64)
    found = [np.empty(len(starts) + 1, np.int64), *np.empty((2, len(level)), np.int64)]
    entries = MERGE_HISTOGRAMS(len(starts), *given, counts, *found)
    offset, level, level_count = found
    if entries < len(level):  # give the unused memory back
        return offset, level[:entries].copy(), level_count[:entries].copy()
    return offset, level, level_count


def _add(values: np.ndarray, starts: np.ndarray, name: str) -> np.ndarray:
    if len(starts) == len(values):
        return values
    if len(values) * float(np.abs(values).max()) >= 2**63:  # only then can a sum overflow
        largest = np.add.reduceat(np.abs(values).astype(np.float64), starts, axis=0).max()
        if largest >= 2**63:
            raise InputError(f"statistics: Σ of {name} exceeds 64 bits; use a smaller reference")
    return np.add.reduceat(values, starts, axis=0)


# ── on disk ─────────────────────────────────────────────────────────────────────────────────────────────────


def save(
    statistics: Statistics, place: Place, attributes: dict[str, Any], columns: dict[str, list[str]]
) -> None:
    """Write statistics; see `ensir.storage.additive`."""
    counted = {
        "models": list(statistics.models),
        "bin_width": statistics.bin_width,
        "bits": statistics.bits,
    }
    arrays: dict[str, Any] = {name: (getattr(statistics, name), dims) for name, dims in DIMENSIONS.items()}
    additive.save(place, attributes, counted, arrays | {"model": (statistics.models, ("model",))}, columns)


def load(path: str) -> tuple[Statistics, dict[str, Any]]:
    """Read statistics and their attributes; per-image texts are among the attributes."""
    arrays, attributes = additive.load(path, DIMENSIONS)
    statistics = Statistics(
        tuple(attributes["models"]), attributes["bin_width"], attributes["bits"], **arrays
    )
    return statistics, attributes


def cells_of(everything: Statistics, settings: dict[str, Any]) -> Statistics:
    """Add up the bins and the channels that a method does not distinguish."""
    pooled = everything.joint() if settings["channels"] == "joint" else everything
    return pooled.coarsened(settings["bin_width"])


def folds_of(everything: Statistics) -> Int[np.ndarray, " cell"]:
    """Number the folds from 0 on.

    Raises
    ------
    InputError
        There is only one, so that none can be held out.
    """
    fold = np.unique(everything.fold, return_inverse=True)[1]
    if not fold.any():
        raise InputError(
            "nothing can be chosen by leave-one-image-out: the reference is a single image; "
            'give a number instead of "auto", or add images to the reference'
        )
    return fold


def error_matrix(everything: Statistics) -> Int[np.ndarray, "cell model model"]:
    """Return E = Σ (x_m − y)(x_l − y) of each cell, in squared code values."""
    cross = everything.cross
    return everything.gram - cross[:, :, None] - cross[:, None, :] + everything.target_square[:, None, None]


def fold_errors(
    everything: Statistics, weights: Float[np.ndarray, "cell model"]
) -> Float64[np.ndarray, " fold"]:
    """Return the squared error of each fold, in squared levels, with weights that sum to one."""
    errors = quadratic_form(error_matrix(everything) / everything.unit**2, weights)
    return np.bincount(folds_of(everything), errors)
