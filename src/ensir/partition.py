"""Partition: reference targets and predictions → additive statistics of every occupied cell, in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from copy import copy
from itertools import pairwise
from typing import Any

import numpy as np

from ensir import provenance, scheduling, statistics, store
from ensir.counting import Counter
from ensir.layout import Place
from ensir.statistics import Statistics

Progress = Callable[[int, int], None]
FOLDS = 64
FAN_IN = 4
CHUNKS_PER_RUN = 3


def partition(
    place: Place,
    reference: str,
    models: list[str],
    dataset_parts: list[str],
    prediction_parts: list[list[str]],
    bin_width: int,
    dask: dict[str, Any],
    progress: Progress,
    threads: int | None = None,
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
    dask : dict
        Who counts: the section of the configuration, as plain data.
    progress : callable
    threads : int or None
        Of this machine; None: as many as it has cores.
    """
    from dask import delayed

    parts = [store.Part(path) for path in dataset_parts]
    folds = fold_of(sorted(name for part in parts for name in part.names))
    tasks = []
    columns: dict[str, list[str]] = {"image": [], "digest": []}
    predictions: dict[str, list[str]] = {model: [] for model in models}
    for part, predicted in zip(parts, prediction_parts, strict=True):
        others = [store.Part(path) for path in predicted]
        store.aligned([part, *others])
        columns["image"] += part.names
        columns["digest"] += [str(digest) for digest in part.column("digest")]
        for model, other in zip(models, others, strict=True):
            pairs = zip(other.names, other.column("digest"), strict=True)
            predictions[model] += [f"{name} {digest}" for name, digest in pairs]
        part_folds = [folds[name] for name in part.names]
        tasks += [delayed(_run)([part, *others], models, bin_width, part_folds, run) for run in runs(part)]
    with scheduling.workers(dask, threads) as workers:
        result = workers.compute(tasks, reduced, progress)
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


def runs(part: store.Part) -> list[range]:
    """Divide the chunks of a part into runs of a few: fewer sums to add up, and work for every thread."""
    pixels, step = part.value.shape[1], part.value.chunks[1]
    chunks = -(-pixels // step)
    count = -(-chunks // CHUNKS_PER_RUN)
    edges = [i * chunks // count * step for i in range(count)] + [pixels]
    return [range(start, stop, step) for start, stop in pairwise(edges)]


def reduced(tasks: list[Any]) -> Any:
    """Add up delayed statistics in a tree: what waits in memory are occupied cells only."""
    import dask

    while len(tasks) > 1:
        tasks = [dask.delayed(statistics.total)(tasks[i : i + FAN_IN]) for i in range(0, len(tasks), FAN_IN)]
    return tasks[0]


def _run(
    parts: list[store.Part], models: list[str], bin_width: int, folds: list[int], run: range
) -> Statistics:
    """Read a run of chunks of the target and of all predictions, and count them image by image."""
    target, parts = parts[0], [copy(part) for part in parts]  # a part keeps its last chunk: the copies go
    counter = Counter(models, bin_width, target.bits, target.value.shape[0])
    for start in run:
        stop = min(start + run.step, run.stop)
        y, *x = [part.pixels(start, stop) for part in parts]
        for offset, (height, width, _), fold in zip(target.offsets, target.shapes, folds, strict=True):
            inside = slice(max(offset - start, 0), max(min(offset + height * width, stop) - start, 0))
            if inside.start < inside.stop:
                counter.add([prediction[:, inside] for prediction in x], y[:, inside], fold)
    return counter.statistics()
