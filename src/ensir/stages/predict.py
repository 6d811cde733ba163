"""Predict: a base model over one part of a dataset → a part of its prediction store."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ensir import registry, restorers
from ensir.errors import InputError
from ensir.execution import devices
from ensir.images.colours import replicated
from ensir.images.cropping import cropped
from ensir.images.depth import to_integers, unit
from ensir.restorers._self_ensemble import oriented
from ensir.storage import digests, origin, provenance, reading, writing
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from ensir.storage.progress import Progress

Item = TypeVar("Item")
log = logging.getLogger(__name__)


def predict(
    place: Place,
    dataset_part: str,
    dataset_digest: str,
    model: str,
    settings: dict[str, Any],
    files: list[str],
    crop: str | None,
    progress: Progress,
    network: Sequence[str] = (),
    device: str = "auto",
    batch: int = 1,
    base_part: str | None = None,
    base_digest: str | None = None,
) -> None:
    """Run a base model over the images of a part.

    Parameters
    ----------
    place : Place
        Where the part of the prediction store goes.
    dataset_part, dataset_digest : str
        The part of the dataset, and its digest file.
    model : str
        Name of the model.
    settings : dict
        The keys of the model's section that its predictions depend on, as plain data.
    files : list of str
        Files of the predictions in the order of the images, for models that read them.
    crop : "center", "topleft" or None
        Which part to keep of predictions that are larger than their (cropped) targets.
    progress : callable
    network : list of str
        The network's file, then the files that belong to it; empty for models that are not networks.
    device : "auto", "cpu" or "cuda"
        Where the network runs.
    batch : int
        Images or pieces of one size that go through the network at once.
    base_part, base_digest : str or None
        The part with the predictions that a refiner refines, and its digest file.

    Raises
    ------
    InputError
        A prediction has another size, channel number or depth than its target, or holds NaN.
    """
    part = reading.Part(dataset_part)
    base = reading.Part(base_part) if base_part else None
    reading.aligned([part, *([base] if base else [])])
    running: dict[str, Any] = {}
    if network:
        running = {"path": network[0], "beside": list(network[1:]), "device": device, "batch": batch}
        running["unfinished"] = str(place.partial / "descents")
    restorer = registry.module("restorers", settings["kind"]).Restorer({**settings, **running}, files)
    if isinstance(restorer, reading.ChecksPart):
        restorer.check(part)
    attributes = {
        "kind": "prediction",
        "dataset": part.attributes["dataset"],
        "model": model,
        "settings": settings,
        "parameters": restorer.parameters | {"network": [digests.sha256(file) for file in network]},
        "bits": part.bits,
        "value_range": part.attributes["value_range"],
        "dataset_digest": digests.sha256(dataset_digest),
        "versions": provenance.versions("numpy"),
        **reading.identity(part),
    }
    where = files or [f"model {model}, image {name!r}" for name in part.names]
    images = ahead(_degraded(part, base, with_input=not files))
    seconds = _seconds_of(base, base_digest)
    predictions = iter(oriented(restorer, settings, images))
    if not files:
        one_by_one = registry.section("restorers", settings["kind"]).one_by_one and batch == 1
        predictions = timed(predictions, seconds, model, one_by_one)
    started = time.monotonic()
    _write(place, attributes, part, predictions, seconds, where, files, crop, progress)
    next(predictions, None)  # lets the restorer delete what it kept in case the job was killed
    speed = len(part.names) / (time.monotonic() - started)
    log.info("%.3g images per second, peak memory %s", speed, devices.peak_memory())


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items, while a thread makes the next one."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as thread:
        upcoming = thread.submit(next, iterator, end)
        while (item := upcoming.result()) is not end:
            upcoming = thread.submit(next, iterator, end)
            yield item  # type: ignore[misc]  # the end is not yielded


def timed(
    items: Iterator[Item], seconds: dict[str, float | None], name: str, one_by_one: bool
) -> Iterator[Item]:
    """Yield items, and write under a name the seconds that all of them so far took to be made.

    Libraries load for the first: where items are made one by one, it counts as much as the mean of the others.
    """
    taken, end = list[float](), object()
    while True:
        started = time.perf_counter()
        item = next(items, end)
        if item is end:
            return
        taken.append(time.perf_counter() - started)
        counted = taken[1:] if one_by_one and len(taken) > 1 else taken
        seconds[name] = sum(counted) / len(counted) * len(taken)
        yield item  # type: ignore[misc]  # the end is not yielded


def _seconds_of(base: reading.Part | None, digest: str | None) -> dict[str, float | None]:
    """Return the seconds of all models that ran for what is refined, by name; None where they are not known."""
    if base is None or digest is None:
        return {}
    recorded: dict[str, float | None] = origin.read(digest).get("seconds", {base.attributes["model"]: None})
    return recorded


def _degraded(
    part: reading.Part, base: reading.Part | None, with_input: bool
) -> Iterator[restorers.Degraded]:
    """Yield the images of a part as restorers get them; those that read files need no input."""
    for i, name in enumerate(part.names):
        yield restorers.Degraded(
            name=name,
            image=part.input(i) if with_input else None,
            shape=part.shapes[i],
            bits=part.bits,
            scale=part.attributes["scale"],
            degradation=part.attributes["degradation"],
            base=base.image(name) if base else None,
            extent=partial(_extent, part, name),
        )


def _extent(part: reading.Part, name: str) -> tuple[float, float]:
    """Return the darkest and the brightest level of a target, ignoring one value in a hundred at each end.

    Where there are no targets, of the input.
    """
    image = part.image(name) if part.has_targets else part.input(part.names.index(name))
    assert image is not None, "images without targets have inputs"
    darkest, brightest = np.percentile(image, (1, 99)) / unit(part.bits)
    return float(darkest), float(brightest)


def _write(
    place: Place,
    attributes: dict[str, Any],
    part: reading.Part,
    predictions: Iterator[np.ndarray],
    seconds: dict[str, float | None],
    where: Sequence[str],
    files: list[str],
    crop: str | None,
    progress: Progress,
) -> None:
    """Write predictions as they come, as integers of the target's depth; `where` names them in error messages."""
    channels, pixels = part.shape
    size = channels * pixels * part.dtype.itemsize
    measured = {} if files else {"seconds": seconds}
    with writing.new_group(place, attributes, size, measured) as group:
        writer = writing.ImageWriter(group, part.names, part.shapes, part.dtype)
        for i, (shape, from_there) in enumerate(zip(part.shapes, where, strict=True)):
            prediction = _fit(
                next(predictions), shape, crop, from_there, part.attributes.get("grey") is not None
            )
            writer.append(writing.flatten(to_integers(prediction, part.dtype, from_there)))
            progress(i + 1, len(part.names))
        writer.close()
        if files:
            writing.write_array(group, "file_digest", [digests.sha256(file) for file in files], ("image",))


def _fit(
    prediction: np.ndarray, shape: tuple[int, int, int], crop: str | None, origin: str, grey: bool
) -> np.ndarray:
    """Check a prediction against the shape of its target; crop it, and make colour of `grey`, where this is wanted."""
    if prediction.ndim == 2:
        prediction = prediction[:, :, None]
    if grey and prediction.ndim == 3:
        prediction = replicated(prediction)
    if crop and prediction.ndim == 3:
        prediction = cropped(prediction, shape[:2], crop, origin)
    if prediction.shape != shape:
        raise InputError(
            f"{origin}: is {_size(prediction.shape)}, its target {_size(shape)}; "
            "fix the prediction, or set `common_crop` in the dataset where a few border pixels are missing"
        )
    return prediction


def _size(shape: tuple[int, ...]) -> str:
    return (
        f"{shape[1]}×{shape[0]} with {shape[2]} channels" if len(shape) == 3 else f"an array of shape {shape}"
    )
