"""Partition: reference targets and predictions → additive statistics of every occupied cell, in one pass."""

from __future__ import annotations

import hashlib
import importlib
import logging
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.execution.workers import open_workers
from ensir.storage import provenance, reading
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from ensir.storage.progress import Progress

log = logging.getLogger(__name__)

FOLDS = 64
FAN_IN = 4
CHUNKS_PER_RUN = 3


def partition(
    place: Place,
    statistics: str,
    settings: dict[str, Any],
    reference: str,
    models: list[str],
    parts: list[tuple[str, list[str]]],
    dask: dict[str, Any],
    progress: Progress,
    threads: int | None = None,
) -> None:
    """Compute statistics of a reference and write them.

    Parameters
    ----------
    place : Place
        Where the statistics go.
    statistics : str
        The module that counts them: `counter`, `total` and `save` are called, and `HALO` rows above and below are read,
        where a value's cell depends on its neighbours.
    settings : dict
        How they are counted, as the methods that use them need it: such as the finest `bin_width`.
    reference : str
        Name of the reference dataset.
    models : list of str
        Names of the models.
    parts : list of (str, list of str)
        Each part of the reference, and the parts of the models' predictions.
    dask : dict
        Where chunks are counted: the section `dask` of the configuration, as plain data.
    progress : callable
    threads : int or None
        Threads on this machine; None: one per core.
    """
    from dask import delayed

    kind = importlib.import_module(statistics)
    targets = [reading.Part(target) for target, _ in parts]
    folds = fold_of(sorted(name for target in targets for name in target.names))
    tasks = []
    columns: dict[str, list[str]] = {"image": [], "digest": [], "prediction_digests": []}
    predictions: dict[str, dict[str, str]] = {model: {} for model in models}
    perfect: dict[str, list[str]] = {model: [] for model in models}
    for target, (_, predicted) in zip(targets, parts, strict=True):
        others = [reading.Part(path) for path in predicted]
        reading.aligned([target, *others])
        columns["image"] += target.names
        columns["digest"] += [str(digest) for digest in target.column("digest")]
        predicted_digests = [other.column("digest").tolist() for other in others]
        columns["prediction_digests"] += [" ".join(row) for row in zip(*predicted_digests, strict=True)]
        for model, other, own in zip(models, others, predicted_digests, strict=True):
            predictions[model] |= zip(other.names, own, strict=True)
            perfect[model] += restored_perfectly(target, other)
        part_folds = [folds[name] for name in target.names]
        tasks += [
            delayed(_count)(statistics, settings, models, [target, *others], part_folds, run)
            for run in runs(target)
        ]
    warn_of_perfect(perfect, len(columns["image"]), reference)
    with open_workers(dask, threads) as workers:
        result = workers.compute(tasks, lambda tasks: reduced(tasks, kind.total), progress)
    attributes = {
        "reference": reference,
        "model_digests": [model_digest(predictions[model]) for model in models],
        "versions": provenance.versions("numpy", "numba", "dask"),
    }
    order = np.argsort(columns["image"])  # does not depend on the parts
    texts = {name: [texts[i] for i in order] for name, texts in columns.items()}
    kind.save(result, place, attributes, texts)


def model_digest(digests: Mapping[str, str]) -> str:
    """Return the digest of a model's predictions from those of its images, by their names."""
    lines = sorted(f"{name} {digest}" for name, digest in digests.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def warn_of_perfect(perfect: Mapping[str, list[str]], images: int, reference: str) -> None:
    """Warn of models whose predictions are the targets, bit for bit, in some of the reference images."""
    for model, names in perfect.items():
        if names:
            log.warning(
                "model %s: %d of %d predictions for reference %s are the targets bit for bit (first: %s); "
                "are the targets right?",
                *(model, len(names), images, reference, names[0]),
            )


def restored_perfectly(target: reading.Part, prediction: reading.Part) -> list[str]:
    """Return the images whose prediction is the target, bit for bit."""
    digests = zip(target.names, target.column("digest"), prediction.column("digest"), strict=True)
    return [name for name, target, prediction in digests if target == prediction]


def fold_of(names: Sequence[str]) -> dict[str, int]:
    """Return the fold of each image: its own or, with more than FOLDS images, one by a hash of its name."""
    if len(names) <= FOLDS:
        return {name: i for i, name in enumerate(sorted(names))}
    return {name: int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % FOLDS for name in names}


def runs(part: reading.Part) -> list[range]:
    """Divide the chunks of a part into runs of a few: fewer sums to add up, and work for every thread."""
    pixels, step = part.value.shape[1], part.value.chunks[1]
    chunks = -(-pixels // step)
    count = -(-chunks // CHUNKS_PER_RUN)
    edges = [i * chunks // count * step for i in range(count)] + [pixels]
    return [range(start, stop, step) for start, stop in pairwise(edges)]


def reduced(tasks: list[Any], total: Callable[[list[Any]], Any]) -> Any:
    """Add up delayed statistics in a tree: nothing but occupied cells waits in memory."""
    import dask

    while len(tasks) > 1:
        tasks = [dask.delayed(total)(tasks[i : i + FAN_IN]) for i in range(0, len(tasks), FAN_IN)]
    return tasks[0]


def _count(
    statistics: str,
    settings: dict[str, Any],
    models: list[str],
    parts: list[reading.Part],
    folds: list[int],
    run: range,
) -> Any:
    """Read a run of chunks of the target and of all predictions, and count them image by image."""
    kind = importlib.import_module(statistics)
    target, parts = parts[0], [copy(part) for part in parts]  # a part keeps its last chunk: the copies go
    counter = kind.counter(models, target.bits, target.value.shape[0], settings)
    if kind.HALO:
        _add_rows(counter, parts, folds, run, kind.HALO)
        return counter.statistics()
    for start in run:
        stop = min(start + run.step, run.stop)
        y, *x = [part.pixels(start, stop) for part in parts]
        for offset, (height, width, _), fold in zip(target.offsets, target.shapes, folds, strict=True):
            inside = slice(max(offset - start, 0), max(min(offset + height * width, stop) - start, 0))
            if inside.start < inside.stop:
                counter.add([prediction[:, inside] for prediction in x], y[:, inside], fold)
    return counter.statistics()


def _add_rows(counter: Any, parts: list[reading.Part], folds: list[int], run: range, halo: int) -> None:
    """Count the rows that begin in a run of pixels; the counter sees those around them, where the image has any."""
    for offset, (height, width, channels), fold in zip(parts[0].offsets, parts[0].shapes, folds, strict=True):
        first, last = (min(max(-(-(edge - offset) // width), 0), height) for edge in (run.start, run.stop))
        if first == last:
            continue
        top, bottom = max(first - halo, 0), min(last + halo, height)
        y, *x = (
            part.pixels(offset + top * width, offset + bottom * width).reshape(channels, -1, width)
            for part in parts
        )
        counter.add(x, y, fold, rows=slice(first - top, last - top))
