"""Counting: predictions and targets in memory → statistics, in one pass.

For every value, the kernel finds the slot of its cell and adds the products of x_1 … x_M and y. Products of 8-bit
values are added two at a time, as the halves of a 64-bit word, which is emptied before a half overflows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ensir.cells import statistics
from ensir.cells.key import key_tables
from ensir.cells.statistics import Statistics
from ensir.execution.kernels import njit, overload

if TYPE_CHECKING:
    from jaxtyping import Shaped

DENSE_KEYS = 2**20  # up to this number of cells, a table of all cells finds slots; beyond, a hash table does
SLOTS = 2**15  # slots at first (unused ones take no memory); doubled when they are used up
BLOCK = 2**16  # this many products of two 8-bit values add up to less than 2^32
LOW, HALF, ONE = np.uint64(2**32 - 1), np.uint64(32), np.uint64(1)
HASH, HASH_SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(20)  # multiplicative hashing


def count(
    x: Sequence[Shaped[np.ndarray, "channel pixel"]],
    y: Shaped[np.ndarray, "channel pixel"],
    models: Sequence[str],
    bin_width: int,
    fold: int = 0,
) -> Statistics:
    """Compute the statistics of the pixels of one fold.

    Parameters
    ----------
    x, y, fold
        As for `Counter.add`.
    models : sequence of str
        Names of the models.
    bin_width : int
        b, in levels of 0–255.
    """
    counter = Counter(models, bin_width, y.dtype.itemsize * 8, len(y))
    counter.add(x, y, fold)
    return counter.statistics()


class Counter:
    """Adds up pixels, fold by fold; memory grows with the number of cells that occur.

    Each cell has a slot, numbered as it first occurs.

    Parameters
    ----------
    models : sequence of str
        Names of the models.
    bin_width : int
        b, in levels of 0–255; a 16-bit value x is in bin x // (257 b).
    bits : int
        8 or 16.
    channels : int

    Attributes
    ----------
    used : int
        Slots in use.
    number : uint64 array, (slot,)
        Key · channels + channel.
    sums : uint64 array, (slot, lane)
        Sums of products; see `_lanes`.
    histogram : uint32 array, (slot, level)
        How often each target occurs (8 bit).
    entries : list of int64 arrays, (value,)
        Slot · 2¹⁶ + target of each value (16 bit).
    runs : list of (int, int)
        Each fold that was added, and its first slot.
    """

    def __init__(self, models: Sequence[str], bin_width: int, bits: int, channels: int):
        lanes = len(_lanes(len(models)))
        self.models, self.bin_width, self.bits, self.channels = tuple(models), bin_width, bits, channels
        self.tables = channels * key_tables(len(models), bin_width, bits)
        cells = int(self.tables[:, -1].sum()) + channels
        self.dense = cells <= DENSE_KEYS
        self.table = np.empty(cells if self.dense else 4 * SLOTS, np.int32)
        self.used = 0
        self.number = np.zeros(SLOTS, np.uint64)
        self.sums = np.zeros((SLOTS, lanes), np.uint64)
        self.words = np.zeros((SLOTS, lanes // 2), np.uint64)
        self.histogram = np.zeros((SLOTS, 256 if bits == 8 else 0), np.uint32)
        self.entries: list[np.ndarray] = []
        self.runs: list[tuple[int, int]] = []

    def add(
        self,
        x: Sequence[Shaped[np.ndarray, "channel pixel"]],
        y: Shaped[np.ndarray, "channel pixel"],
        fold: int,
    ) -> None:
        """Add pixels of one fold.

        Parameters
        ----------
        x : uint8 or uint16 arrays, (channel, pixel), one per model
            Predictions, in code values; fewer than 2³¹ pixels.
        y : array of the same dtype, (channel, pixel)
            Targets.
        fold : int
        """
        if not self.runs or self.runs[-1][0] != fold:
            self.table.fill(-1)  # slots of earlier folds are no longer used
            self.runs.append((fold, self.used))
        first = self.runs[-1][1]
        for channel in range(self.channels):
            *predictions, target = (np.ascontiguousarray(values[channel]) for values in (*x, y))
            slot = np.empty(0 if self.bits == 8 else target.size, np.int32)
            done = 0
            while done < target.size:
                if self.used == len(self.number):
                    self._grow(first)
                done, self.used = _accumulate(
                    tuple(predictions), target, self.tables, np.uint64(channel),
                    self.dense, self.table, first, self.number, self.used,
                    self.words, self.sums, self.histogram, slot, done,
                )  # fmt: skip
            if self.bits == 16:
                self.entries.append(slot.astype(np.int64) << 16 | target)

    def _grow(self, first: int) -> None:
        for name in ("number", "sums", "words", "histogram"):
            old = getattr(self, name)
            new = np.zeros((2 * len(old), *old.shape[1:]), old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)
        if not self.dense:
            self.table = np.full(4 * len(self.number), -1, np.int32)
            _rehash(self.table, self.number[: self.used], first)

    def statistics(self) -> Statistics:
        """Return the statistics of all pixels added so far."""
        if not self.used:
            return statistics.empty(self.models, self.bin_width, self.bits)
        models = len(self.models)
        number = self.number[: self.used]
        folds, starts = zip(*self.runs, strict=True)
        fold = np.repeat(folds, np.diff([*starts, self.used]))
        order = np.lexsort((number, fold))
        if self.bits == 8:
            offset, level, level_count = _compact(self.histogram, order)
        else:
            entry = np.concatenate(self.entries)
            entry, level_count = np.unique(
                np.argsort(order)[entry >> 16] << 16 | entry & 0xFFFF, return_counts=True
            )
            offset, level = np.searchsorted(entry >> 16, np.arange(self.used + 1)), entry & 0xFFFF
        sums, products = self.sums[order].T, np.zeros((self.used, models, models + 3), np.int64)
        for lane, (i, j) in zip(sums, _lanes(models), strict=True):
            products[:, i, j] = lane
            if j < models:
                products[:, j, i] = products[:, i, j]
        counted = Statistics(
            self.models,
            self.bin_width,
            self.bits,
            fold=fold[order],
            key=(number[order] // self.channels).astype(np.int64),
            channel=(number[order] % self.channels).astype(np.int64),
            count=np.add.reduceat(level_count, offset[:-1]),
            sum=products[:, :, models + 1],
            gram=products[:, :, :models],
            cross=products[:, :, models],
            target_square=np.add.reduceat(level_count * level**2, offset[:-1]),
            offset=offset,
            level=level,
            level_count=level_count,
        )
        return counted.regrouped(counted.fold, counted.key, counted.channel)  # joins folds that came twice


def _lanes(models: int) -> list[tuple[int, int]]:
    """Return which two of x_1 … x_M, y, 1, 0 are multiplied in each lane; two lanes make a word."""
    return [(m, k) for m in range(models) for j in range(m, models + 2, 2) for k in (j, j + 1)]


def _values(x, i):
    """Return (x_1, …, x_M) of value i, for kernels only."""
    raise NotImplementedError


@overload(_values)
def _compile_values(x, i):
    if len(x) == 1:
        return lambda x, i: (np.uint64(x[0][i]),)
    return lambda x, i: (np.uint64(x[0][i]), *_values(x[1:], i))


@njit(nogil=True, cache=True)
def _accumulate(
    x, y, tables, channel, dense, table, first, number, used, words, sums, histogram, slot_of, done
):  # fmt: skip
    """Add values to their slots, starting at `done`; return where the slots ran out, and the slots in use.

    All loops over the models unroll: the number of models is part of the type of `x`.
    """
    models, narrow = len(x), y.itemsize == 1
    mask = np.uint64(table.size - 1)
    start, end = np.uint64(done), np.uint64(y.size)
    while start < end:
        full = min(start + np.uint64(BLOCK), end)
        stop = full
        for i in range(start, full):
            at = channel
            for m in range(models):
                at += tables[m, x[m][i]]
            factors = (*_values(x, i), np.uint64(y[i]), ONE, np.uint64(0))
            cell = at
            if not dense:
                at = (cell * HASH >> HASH_SHIFT) & mask
                while table[at] >= 0 and number[table[at]] != cell:
                    at = (at + ONE) & mask
            entry = table[at]
            if entry < 0:
                if used == number.size:
                    stop = i
                    break
                entry = np.int32(used)
                table[at], number[used] = entry, cell
                used += 1
            slot = np.uint64(entry)
            word = np.uint64(0)
            if narrow:
                histogram[slot, y[i]] += np.uint32(1)
                for m in range(models):
                    for k in range(m, models + 2, 2):
                        words[slot, word] += factors[m] * (factors[k] | factors[k + 1] << HALF)
                        word += ONE
            else:
                slot_of[i] = entry
                for m in range(models):
                    for k in range(m, models + 2):
                        sums[slot, word] += factors[m] * factors[k]
                        word += ONE
                    word += np.uint64((models - m) % 2)
        if narrow:
            for slot in range(first, used):
                for n in range(words.shape[1]):
                    sums[slot, 2 * n] += words[slot, n] & LOW
                    sums[slot, 2 * n + 1] += words[slot, n] >> HALF
                    words[slot, n] = 0
        start = stop
        if stop < full:
            break
    return np.int64(start), used


@njit(nogil=True, cache=True)
def _rehash(table, number, first):
    """Enter the slots, starting at `first`, into an empty hash table."""
    mask = np.uint64(table.size - 1)
    for slot in range(first, number.size):
        at = (number[slot] * HASH >> HASH_SHIFT) & mask
        while table[at] >= 0:
            at = (at + ONE) & mask
        table[at] = slot


@njit(nogil=True, cache=True)
def _compact(histogram, order):
    """Return offset, level and count of the nonzero entries of the histograms, with slots in the given order."""
    offset = np.zeros(order.size + 1, np.int64)
    for i in range(order.size):
        levels = np.uint32(0)
        for n in range(256):
            levels += np.uint32(histogram[order[i], n] != 0)
        offset[i + 1] = offset[i] + levels
    level, count = np.empty((2, offset[-1] + 1), np.int64)  # one more: a zero is written, then overwritten
    for i in range(order.size):
        at = offset[i]
        for first in range(0, 256, 16):
            some = np.uint32(0)
            for n in range(first, first + 16):
                some |= histogram[order[i], n]
            if some:
                for n in range(first, first + 16):
                    level[at], count[at] = n, histogram[order[i], n]
                    at += histogram[order[i], n] != 0
    return offset, level[:-1], count[:-1]
