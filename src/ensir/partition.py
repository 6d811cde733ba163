"""Partition: reference targets and predictions → additive statistics of every occupied cell, in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from jaxtyping import Int, Shaped

from ensir import provenance, statistics, store
from ensir.layout import Place
from ensir.statistics import Statistics

Progress = Callable[[int, int], None]
FOLDS = 64
DENSE_KEYS = 2**22  # up to here a table of all bin sets finds a cell; beyond, a hash table does
FAN_IN = 16


def partition(
    place: Place,
    reference: str,
    models: list[str],
    dataset_parts: list[str],
    prediction_parts: list[list[str]],
    bin_width: int,
    scheduler: str,
    progress: Progress,
) -> None:
    """Compute the statistics of a reference and write them.

    Parameters
    ----------
    place : Place
        Where the statistics go.
    reference : str
        Name of the reference dataset.
    models : list of str
        Names of the models.
    dataset_parts : list of str
        Parts of the reference.
    prediction_parts : list of list of str
        For each of those, the parts of the models' predictions.
    bin_width : int
        The finest width that is needed.
    scheduler : str
        Dask's: "threads" or "processes".
    progress : callable
    """
    import dask

    names = sorted(name for path in dataset_parts for name in store.Part(path).names)
    folds = fold_of(names)
    tasks = []
    columns: dict[str, list[str]] = {"image": [], "digest": []}
    predictions: dict[str, list[str]] = {model: [] for model in models}
    for dataset_part, predicted in zip(dataset_parts, prediction_parts, strict=True):
        part, *others = map(store.Part, [dataset_part, *predicted])
        store.aligned([part, *others])
        columns["image"] += part.names
        columns["digest"] += [str(digest) for digest in part.column("digest")]
        for model, other in zip(models, others, strict=True):
            pairs = zip(other.names, other.column("digest"), strict=True)
            predictions[model] += [f"{name} {digest}" for name, digest in pairs]
        part_folds = [folds[name] for name in part.names]
        for start in range(0, part.value.shape[1], part.value.chunks[1]):
            stop = min(start + part.value.chunks[1], part.value.shape[1])
            tasks.append(
                dask.delayed(_chunk)(dataset_part, predicted, models, bin_width, part_folds, start, stop)
            )
    with dask.config.set(scheduler=scheduler), _Counted(progress, len(tasks)):
        (result,) = dask.compute(_reduced(tasks))
    attributes = {
        "reference": reference,
        "model_digests": [
            hashlib.sha256("\n".join(sorted(predictions[m])).encode()).hexdigest() for m in models
        ],
        "versions": provenance.versions("numpy", "numba", "dask"),
    }
    order = np.argsort(columns["image"])  # whatever the parts
    texts = {name: [texts[i] for i in order] for name, texts in columns.items()}
    statistics.save(result, place, attributes, texts)


def fold_of(names: Sequence[str]) -> dict[str, int]:
    """Return the fold of each image: its own, or one of FOLDS by a hash of its name where there are more."""
    if len(names) <= FOLDS:
        return {name: i for i, name in enumerate(sorted(names))}
    return {name: int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % FOLDS for name in names}


def _reduced(tasks: list[Any]) -> Any:
    """Add up delayed statistics in a tree: what waits in memory are occupied cells only."""
    import dask

    while len(tasks) > 1:
        tasks = [dask.delayed(statistics.total)(tasks[i : i + FAN_IN]) for i in range(0, len(tasks), FAN_IN)]
    return tasks[0]


class _Counted:
    """Reports every finished chunk to a progress callback."""

    def __init__(self, progress: Progress, total: int):
        from dask.callbacks import Callback

        self.done, self.total, self.progress = 0, total, progress
        self.callback = Callback(posttask=self._posttask)

    def _posttask(self, key: Any, *_: Any) -> None:
        if str(key).startswith("_chunk"):
            self.done += 1
            self.progress(self.done, self.total)

    def __enter__(self) -> None:
        self.callback.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.callback.__exit__(*error)


def _chunk(
    dataset_part: str,
    predicted: list[str],
    models: list[str],
    bin_width: int,
    folds: list[int],
    start: int,
    stop: int,
) -> Statistics:
    """Read one chunk of the target and of all predictions, and count it image by image."""
    part = store.Part(dataset_part)
    y = part.pixels(start, stop)
    x = np.stack([store.Part(path).pixels(start, stop) for path in predicted])
    pieces = []
    for offset, (height, width, _), fold in zip(part.offsets, part.shapes, folds, strict=True):
        inside = slice(max(offset - start, 0), max(min(offset + height * width, stop) - start, 0))
        if inside.start < inside.stop:
            pieces.append(count(x[:, :, inside], y[:, inside], models, bin_width, fold))
    return statistics.total(pieces)


def count(
    x: Shaped[np.ndarray, "model channel pixel"],
    y: Shaped[np.ndarray, "channel pixel"],
    models: Sequence[str],
    bin_width: int,
    fold: int = 0,
) -> Statistics:
    """Compute the statistics of predictions and targets in memory.

    Parameters
    ----------
    x : uint8 or uint16 array, (model, channel, pixel)
        Predictions, in code values.
    y : array of the same dtype, (channel, pixel)
        Targets.
    models : sequence of str
        Names of the models.
    bin_width : int
        b, in levels of 0–255; a 16-bit value x is in bin x // (257 b).
    fold : int
        The fold of all these pixels.
    """
    return statistics.total(
        [_count_channel(x[:, c], y[c], models, bin_width, fold, c) for c in range(x.shape[1])]
        or [statistics.empty(models, bin_width, y.dtype.itemsize * 8)]
    )


def key_tables(models: int, bin_width: int, bits: int) -> Int[np.ndarray, "model value"]:
    """Return what each value of each model adds to the key: bin · T^(M-1-m)."""
    bins = -(-256 // bin_width)
    bin_of = np.arange(2**bits) // (bin_width * (1 if bits == 8 else 257))
    return np.stack([bin_of * bins ** (models - 1 - m) for m in range(models)]).astype(np.int64)


def _count_channel(
    x: Shaped[np.ndarray, "model pixel"],
    y: Shaped[np.ndarray, " pixel"],
    models: Sequence[str],
    bin_width: int,
    fold: int,
    channel: int,
) -> Statistics:
    m, bits = len(models), y.dtype.itemsize * 8
    tables = key_tables(m, bin_width, bits)
    keys = (-(-256 // bin_width)) ** m
    dense = keys <= DENSE_KEYS
    slots = np.full(keys if dense else 1 << (2 * y.size - 1).bit_length(), -1, np.int32)
    capacity = int(min(keys, y.size))
    slot_key = np.empty(capacity, np.int64)
    slot_of_value = np.empty(y.size, np.int32)
    used = _find_slots(np.ascontiguousarray(x), tables, dense, slots, slot_key, slot_of_value)
    sums = np.zeros((used, 1 + 2 * m + m * m), np.int64)
    _accumulate(np.ascontiguousarray(x), y, slot_of_value, sums)
    code = slot_of_value.astype(np.int64) << bits | y
    if used << bits <= 2**16 + 4 * y.size:
        histogram = np.bincount(code, minlength=used << 8)
        entry = np.flatnonzero(histogram)
        level_count = histogram[entry]
    else:
        entry, level_count = np.unique(code, return_counts=True)
    offset = np.searchsorted(entry >> bits, np.arange(used + 1))
    gram = sums[:, 1 + 2 * m :].reshape(used, m, m)
    return Statistics(
        tuple(models),
        bin_width,
        bits,
        fold=np.full(used, fold, np.int64),
        key=slot_key[:used].copy(),
        channel=np.full(used, channel, np.int64),
        count=sums[:, 0].copy(),
        sum=sums[:, 1 : 1 + m].copy(),
        gram=np.maximum(gram, gram.transpose(0, 2, 1)),  # the kernel fills the upper half
        cross=sums[:, 1 + m : 1 + 2 * m].copy(),
        target_square=np.add.reduceat(level_count * (entry & (2**bits - 1)) ** 2, offset[:-1])
        if used
        else sums[:, 0],
        offset=offset,
        level=entry & (2**bits - 1),
        level_count=level_count,
    )


@numba.njit(nogil=True, cache=True)
def _find_slots(x, tables, dense, slots, slot_key, slot_of_value):
    """Number the bin sets in order of appearance; returns how many there are."""
    used = 0
    mask = slots.size - 1
    for i in range(x.shape[1]):
        key = np.int64(0)
        for m in range(x.shape[0]):
            key += tables[m, x[m, i]]
        if dense:
            at = key
        else:
            at = (key * np.int64(-7046029254386353131) >> 20) & mask  # multiplicative hash, linear probing
            while slots[at] >= 0 and slot_key[slots[at]] != key:
                at = (at + 1) & mask
        slot = slots[at]
        if slot < 0:
            slot = used
            slots[at] = slot
            slot_key[slot] = key
            used += 1
        slot_of_value[i] = slot
    return used


@numba.njit(nogil=True, cache=True)
def _accumulate(x, y, slot_of_value, sums):
    """Add up count, x, x·y and the upper half of x·x, per slot."""
    models = x.shape[0]
    for i in range(x.shape[1]):
        row = sums[slot_of_value[i]]
        row[0] += 1
        yi = np.int64(y[i])
        for m in range(models):
            xm = np.int64(x[m, i])
            row[1 + m] += xm
            row[1 + models + m] += xm * yi
            for k in range(m, models):
                row[1 + 2 * models + m * models + k] += xm * np.int64(x[k, i])
