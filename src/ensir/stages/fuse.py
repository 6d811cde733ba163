"""Fuse: the predictions of all models for one part → one method's fused images."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import numpy as np

from ensir import methods, registry
from ensir.cells import support
from ensir.cells.lut import LutMethod
from ensir.cells.support import Support
from ensir.errors import InputError
from ensir.execution.workers import open_workers
from ensir.storage import digests, packing, provenance, reading, writing
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from jaxtyping import Shaped

    from ensir.storage.progress import Progress

log = logging.getLogger(__name__)
ERRORS = "expected_squared_error"
WARM_UP = 4096  # pixels
PIXELS = 2**20  # that are fused at once by methods that need no whole images; a multiple of `packing.BLOCK`


def fuse(
    place: Place,
    method: str,
    settings: dict[str, Any],
    fitted: str | None,
    dataset_part: str,
    models: list[str],
    prediction_parts: list[str],
    allow_overlap: list[str],
    expected_error: bool,
    dask: dict[str, Any],
    progress: Progress,
    network: Sequence[str] = (),
    device: str = "auto",
    pointwise: bool = False,
) -> dict[str, float]:
    """Combine the predictions of a part and write the fused images, neither rounded to integers nor clipped.

    They are float32; those of 8 bit are packed, unless one is NaN or far outside 0–255.

    The expected squared error of each value, if requested, becomes a second array of the part.

    Parameters
    ----------
    place : Place
        Where the part of the fused store goes.
    method : str
        Name of the method.
    settings : dict
        The method's section of the configuration, as plain data.
    fitted : str or None
        The method's LUT or fit, where it needs one.
    dataset_part : str
        The part of the dataset.
    models, prediction_parts : list of str
        Names of the models, and the parts with their predictions.
    allow_overlap : list of str
        Names of images that may have been in the reference.
    expected_error : bool
        Write `expected_squared_error (channel, pixel)`, too: float32, in squared code values, NaN in cells without
        reference values. Methods that expect none write none.
    dask : dict
        Where images are fused: the section `dask` of the configuration, as plain data.
    progress : callable
    network : list of str
        Weights of a method that is a network, then the files that belong to it.
    device : "auto", "cpu" or "cuda"
        Where the network runs.
    pointwise : bool
        Whether the method needs no whole images, as its section says: it gets runs of pixels.

    Returns
    -------
    dict
        Seconds that each image took, by name, without reading and writing; no result contains them.

    Raises
    ------
    InputError
        A test image was in the reference, or predictions do not fit together.
    """
    running = {"beside": list(network[1:]), "device": device} if network else {}
    task = Task(
        job=uuid4().hex,
        settings=json.dumps({**settings, **running}),
        fitted=network[0] if network else fitted,
        dataset_part=dataset_part,
        prediction_parts=tuple(prediction_parts),
        expected_error=expected_error,
        pointwise=pointwise,
    )
    combiner, part, _ = _opened(task)
    _check_images(part, combiner, fitted, allow_overlap)
    attributes = _attributes(part, method, settings, models, fitted, network)
    if part.bits == 8:
        try:
            return _write(place, attributes, task, np.int16, dask, progress)
        except packing.OutOfRange:
            log.info("a value is NaN or far outside 0–255: the images are fused again, and stored as float32")
    return _write(place, attributes, task, np.float32, dask, progress)


class Fused(NamedTuple):
    """A run of pixels of a fused image.

    Attributes
    ----------
    value, expected : array (channel, pixel)
        Itself, and its expected squared errors or None.
    seconds : float
        Without reading.
    support : Support
        Of a sample of its values; nothing where no LUT holds counts.
    """

    value: np.ndarray
    expected: np.ndarray | None
    seconds: float
    support: Support


def _has_counts(method: Any) -> bool:
    return isinstance(method, LutMethod) and support.is_known(method.lut)


@dataclass(frozen=True)
class Task:
    """What a worker gets, wherever it is. It opens the files itself, once for each `job`."""

    job: str
    settings: str
    fitted: str | None
    dataset_part: str
    prediction_parts: tuple[str, ...]
    expected_error: bool
    pointwise: bool

    def fused(self, run: Run) -> Fused:
        """Return a run of pixels fused."""
        combiner, part, _ = _opened(self)
        summing = 0.0
        if isinstance(combiner, methods.SumsUp):
            combiner, summing = _summed(self, run.image)
        x = self.predicted(run)
        combine = _combine(self, methods.for_image(combiner, part, run.image))
        started = time.perf_counter()
        fused, expected = combine(x)
        seconds = time.perf_counter() - started + (0.0 if run.start else summing)
        rows = len(fused), -1
        return Fused(
            fused.reshape(rows),
            None if expected is None else expected.reshape(rows),
            seconds,
            support.of_sample(combiner, x.reshape(*x.shape[:2], -1)) if _has_counts(combiner) else Support(),
        )

    def predicted(self, run: Run) -> Shaped[np.ndarray, "model channel height width"]:
        """Read a run of pixels of all predictions."""
        _, part, predictions = _opened(self)
        height, width, channels = part.shapes[run.image]
        x = np.empty((len(predictions), channels, run.stop - run.start), predictions[0].dtype)
        first = part.offsets[run.image]
        for prediction, values in zip(predictions, x, strict=True):
            values[...] = prediction.pixels(first + run.start, first + run.stop)
        if self.pointwise:
            height, width = 1, run.stop - run.start
        return x.reshape(len(x), channels, height, width)


@dataclass(frozen=True)
class Run:
    """A run of pixels of one image, all of them where a method needs whole images."""

    image: int
    start: int
    stop: int


def _runs(part: reading.Part, pointwise: bool) -> list[Run]:
    """Return what is fused at once, in order."""
    return [run for i in range(len(part.names)) for run in _runs_of(part, i, pointwise)]


def _runs_of(part: reading.Part, image: int, pointwise: bool) -> list[Run]:
    """Return those of one image."""
    height, width, _ = part.shapes[image]
    pixels = height * width
    step = PIXELS if pointwise else pixels
    return [Run(image, start, min(start + step, pixels)) for start in range(0, pixels, step)]


def check_disjoint(part: reading.Part, made: Any, allowed: list[str]) -> None:
    """Raise an InputError if a test image has the same pixels as a reference image of a LUT or fit."""
    if not part.has_targets:
        return
    reference = dict(zip(made.reference_digests, made.reference_images, strict=True))
    for name, digest in zip(part.names, part.column("digest"), strict=True):
        if str(digest) in reference and name not in allowed:
            raise InputError(
                f"image {name!r} of test set {part.attributes['dataset']!r} is image {reference[str(digest)]!r} of "
                f"reference {made.attributes['reference']!r}; exclude it, or name it in the experiment's "
                "`allow_overlap`"
            )


def _check_images(part: reading.Part, combiner: Any, fitted: str | None, allow_overlap: list[str]) -> None:
    """Check that the method was not fitted to, or trained on, an image of the part."""
    if isinstance(combiner, reading.ChecksPart):
        combiner.check(part)
    if fitted:
        check_disjoint(part, combiner.lut if hasattr(combiner, "lut") else combiner.fit, allow_overlap)


def _attributes(
    part: reading.Part,
    method: str,
    settings: dict[str, Any],
    models: list[str],
    fitted: str | None,
    network: Sequence[str],
) -> dict[str, Any]:
    """Return the attributes of a part of a fused store: what it is, and what it was made with."""
    return {
        "kind": "fused",
        "dataset": part.attributes["dataset"],
        "method": method,
        "settings": settings,
        "models": models,
        "fitted_digest": hashlib.sha256(digests.digests(Path(fitted)).encode()).hexdigest()
        if fitted
        else None,
        "bits": part.bits,
        "value_range": part.attributes["value_range"],
        "network": [digests.sha256(file) for file in network],
        "versions": provenance.versions("numpy", "numba"),
    }


def _write(
    place: Place,
    attributes: dict[str, Any],
    task: Task,
    dtype: type,
    dask: dict[str, Any],
    progress: Progress,
) -> dict[str, float]:
    """Fuse and write image by image; return the seconds of each, by name."""
    combiner, part, _ = _opened(task)
    expecting = task.expected_error and isinstance(combiner, methods.ExpectsErrors)
    channels, pixels = part.shape
    size = channels * pixels * (np.dtype(dtype).itemsize + (4 if expecting else 0))
    seconds, supported = dict.fromkeys(part.names, 0.0), Support()
    with writing.new_group(place, attributes, size) as group, open_workers(dask) as workers:
        writer = writing.ImageWriter(group, part.names, part.shapes, dtype)
        if expecting:
            meaning = "expected squared error of the value, in squared code values"
            errors = writing.PixelWriter(group, ERRORS, channels, pixels, np.float32, meaning)
        runs = _runs(part, task.pointwise)
        for run, fused in zip(runs, workers.map(task.fused, runs), strict=True):
            seconds[part.names[run.image]] += fused.seconds
            supported += fused.support
            writer.append(fused.value)
            if expecting:
                errors.append(fused.expected)
            progress(run.image + 1, len(part.names))
        writer.close()
        if expecting:
            errors.close()
    if _has_counts(combiner):
        log.info("values by their cells in the LUT: %s", supported)
        if warning := supported.warning("the values"):
            log.warning("%s", warning)
    return seconds


@lru_cache(maxsize=1)
def _opened(task: Task) -> tuple[Any, reading.Part, list[reading.Part]]:
    """Return the method, ready to run, the part of the dataset, and those of the predictions."""
    part, *predictions = map(reading.Part, [task.dataset_part, *task.prediction_parts])
    reading.aligned([part, *predictions])
    settings = json.loads(task.settings)
    combiner = registry.module("methods", settings["kind"]).Method(settings, task.fitted)
    if not isinstance(combiner, methods.UsesInput):
        # What is compiled, expanded or started once is not part of any image's time.
        first = np.stack([prediction.pixels(0, WARM_UP)[:, None] for prediction in predictions])
        _combine(task, combiner)(first)
    return combiner, part, predictions


@lru_cache(maxsize=1)
def _summed(task: Task, image: int) -> tuple[methods.Method, float]:
    """Return a method that needs sums over an image, for that image, and the seconds that they took."""
    combiner, part, _ = _opened(task)
    sums, seconds = [], 0.0
    for run in _runs_of(part, image, task.pointwise):
        x = task.predicted(run)
        started = time.perf_counter()
        sums.append(combiner.sums(x))
        seconds += time.perf_counter() - started
    return combiner.summed(np.sum(sums, axis=0), part.bits), seconds


def _combine(task: Task, method: methods.Method) -> Callable[[Any], tuple[Any, Any]]:
    """Return a function of the predictions: the fused image, and its expected squared errors or None."""
    if task.expected_error and isinstance(method, methods.ExpectsErrors):
        return method.fuse_with_error
    return lambda x: (method.fuse(x), None)
