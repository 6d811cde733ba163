"""Fuse: the predictions of all models for one part → one method's fused images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ensir import InputError, images, methods, provenance, store
from ensir.layout import Place

Progress = Callable[[int, int], None]


def fuse(
    place: Place,
    method: str,
    settings: dict[str, Any],
    lut: str | None,
    dataset_part: str,
    models: list[str],
    prediction_parts: list[str],
    allow_overlap: list[str],
    progress: Progress,
) -> None:
    """Combine the predictions of a part and write the fused images, float32, neither rounded nor clipped.

    Parameters
    ----------
    place : Place
        Where the part of the fused store goes.
    method : str
        Name of the method.
    settings : dict
        The method's section of the configuration, as plain data.
    lut : str or None
        The method's LUT, where it has one.
    dataset_part : str
        The part of the dataset.
    models, prediction_parts : list of str
        Names of the models, and the parts with their predictions.
    allow_overlap : list of str
        Names of images that may have been in the reference.
    progress : callable

    Raises
    ------
    InputError
        A test image was in the reference, or predictions do not fit together.
    """
    part = store.Part(dataset_part)
    predictions = [store.Part(path) for path in prediction_parts]
    store.aligned([part, *predictions])
    combiner = methods.load(settings, lut)
    if lut:
        check_disjoint(part, combiner.lut, allow_overlap)  # type: ignore[attr-defined]
    attributes = {
        "kind": "fused",
        "dataset": part.attributes["dataset"],
        "method": method,
        "settings": settings,
        "models": models,
        "lut_digest": store.sha256(lut) if lut else None,
        "bits": part.bits,
        "value_range": part.attributes["value_range"],
        "versions": provenance.versions("numpy", "numba"),
    }
    with store.new_group(place, attributes, part.value.size * 4) as group:
        writer = store.ImageWriter(group, part.names, part.shapes, np.float32)
        for i in range(len(part.names)):
            x = np.stack([prediction.rows(i) for prediction in predictions])
            writer.append(combiner.fuse(x))
            progress(i + 1, len(part.names))
        writer.close()


def check_disjoint(part: store.Part, lut: Any, allowed: list[str]) -> None:
    """Raise an InputError where a test image has the very pixels of a reference image."""
    reference = dict(zip(lut.reference_digests, lut.reference_images, strict=True))
    for name, digest in zip(part.names, part.column("digest"), strict=True):
        if str(digest) in reference and name not in allowed:
            raise InputError(
                f"image {name!r} of test set {part.attributes['dataset']!r} is image {reference[str(digest)]!r} of "
                f"reference {lut.attributes['reference']!r}; exclude it, or name it in the experiment's `allow_overlap`"
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
    with store.publish(place) as folder:
        for i, path in enumerate(fused_parts):
            part = store.Part(path)
            dtype = np.uint8 if part.bits == 8 else np.uint16
            for name in part.names:
                images.write(folder / f"{name}.png", images.to_integers(part.image(name), dtype, name))
            progress(i + 1, len(fused_parts))
