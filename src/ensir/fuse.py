"""Fuse: the predictions of all models for one part → one method's fused images."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ensir import InputError, digests, images, methods, provenance, store
from ensir.layout import Place
from ensir.lut import LutMethod
from ensir.publish import publish

Progress = Callable[[int, int], None]
ERRORS = "expected_squared_error"


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
    progress: Progress,
    network: Sequence[str] = (),
    device: str = "auto",
) -> dict[str, float]:
    """Combine the predictions of a part and write the fused images, float32, neither rounded nor clipped.

    The expected squared error of each value, if it is asked for, becomes a second array of the part.

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
        Write `expected_squared_error (channel, pixel)`, too: float32, in squared code values, NaN in cells that no
        reference value is in. Methods without a LUT expect nothing, and do not.
    progress : callable
    network : list of str
        Weights of a method that is a network, and files that belong to it.
    device : "auto", "cpu" or "cuda"
        Where that runs.

    Returns
    -------
    dict
        Seconds that each image took, by name: reading and writing are not in them, and no result holds them.

    Raises
    ------
    InputError
        A test image was in the reference, or predictions do not fit together.
    """
    part = store.Part(dataset_part)
    predictions = [store.Part(path) for path in prediction_parts]
    store.aligned([part, *predictions])
    running = {"beside": list(network[1:]), "device": device} if network else {}
    combiner = methods.load({**settings, **running}, network[0] if network else fitted)
    if isinstance(combiner, store.ChecksPart):
        combiner.check(part)
    if fitted:
        made = combiner.lut if hasattr(combiner, "lut") else combiner.fit  # type: ignore[union-attr]
        check_disjoint(part, made, allow_overlap)
    attributes = {
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
    seconds = {}
    expecting = combiner if expected_error and isinstance(combiner, LutMethod) else None
    size = part.value.size * 4 * (2 if expecting else 1)
    with store.new_group(place, attributes, size) as group:
        writer = store.ImageWriter(group, part.names, part.shapes, np.float32)
        if expecting:
            meaning = "expected squared error of the value, in squared code values"
            errors = store.PixelWriter(group, ERRORS, part.value.shape, np.float32, meaning)
        for i, name in enumerate(part.names):
            x = np.stack([prediction.rows(i) for prediction in predictions])
            ready = methods.for_image(combiner, part, i)
            combine: Callable[..., Any] = expecting.fuse_with_error if expecting else ready.fuse
            if i == 0 and ready is combiner:
                combine(x[:, :, :1])  # what is compiled or unfolded once belongs to no image
            started = time.perf_counter()
            fused = combine(x)
            seconds[name] = time.perf_counter() - started
            if expecting:
                fused, expected = fused
                errors.append(expected)
            writer.append(fused)
            progress(i + 1, len(part.names))
        writer.close()
        if expecting:
            errors.close()
    return seconds


def check_disjoint(part: store.Part, made: Any, allowed: list[str]) -> None:
    """Raise an InputError where a test image has the very pixels of a reference image of a LUT or fit."""
    reference = dict(zip(made.reference_digests, made.reference_images, strict=True))
    for name, digest in zip(part.names, part.column("digest"), strict=True):
        if str(digest) in reference and name not in allowed:
            raise InputError(
                f"image {name!r} of test set {part.attributes['dataset']!r} is image {reference[str(digest)]!r} of "
                f"reference {made.attributes['reference']!r}; exclude it, or name it in the experiment's "
                "`allow_overlap`"
            )


def write_images(place: Place, fused_parts: list[str], progress: Progress) -> None:
    """Write fused images as PNG files of the images' names, rounded and clipped to 8 or 16 bit.

    Parameters
    ----------
    place : Place
        The folder of the files; sub-folders of names become sub-folders here.
    fused_parts : list of str
        All parts of a fused store.
    progress : callable
    """
    with publish(place) as folder:
        for i, path in enumerate(fused_parts):
            part = store.Part(path)
            dtype = np.uint8 if part.bits == 8 else np.uint16
            for name in part.names:
                images.write(folder / f"{name}.png", images.to_integers(part.image(name), dtype, name))
            progress(i + 1, len(fused_parts))
