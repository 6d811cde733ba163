"""Ingest: image files or shipped photographs → dataset parts with targets and degraded inputs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir import registry
from ensir.errors import InputError
from ensir.images.colours import replicated
from ensir.images.cropping import crop_to_multiple, cropped
from ensir.images.degradation_files import kernel_files, read_kernel
from ensir.images.degradations import degrade
from ensir.images.depth import white
from ensir.storage import digests, provenance, writing
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from ensir.storage.progress import Progress

Pair = tuple[np.ndarray | None, np.ndarray | None]  # target and degraded input, at least one of them


def ingest(
    place: Place,
    dataset: str,
    names: list[str],
    settings: dict[str, Any],
    targets: list[str],
    inputs: list[str],
    sizes: list[tuple[int, int]] | None,
    progress: Progress,
) -> None:
    """Write one part of a dataset; a kernel from a file is stored with it.

    Parameters
    ----------
    place : Place
        Where the part goes.
    dataset : str
        Name of the dataset.
    names : list of str
        Names of the part's images.
    settings : dict
        The dataset's section of the configuration, as plain data.
    targets, inputs : list of str
        Files of the targets and inputs, in the order of the names; empty where the dataset has no such files. Without
        targets, the part holds inputs, and the sizes that predictions have.
    sizes : list of (height, width) or None
        With `common_crop`: the size that each target is cropped to.
    progress : callable

    Raises
    ------
    InputError
        A file is damaged, or images do not fit together.
    """
    settings = {"degradation": None, "scale": 1, **settings}
    if kernel_files(settings["degradation"]):
        blur = settings["degradation"]
        values = read_kernel(blur["kernel"], blur["number"], blur["mirrored"])
        settings = {**settings, "degradation": {**blur, "values": values.tolist()}}
    read = partial(_read, names=names, settings=settings, targets=targets, inputs=inputs, sizes=sizes)
    _write(place, dataset, names, settings, targets, inputs, read, progress)


def _read(
    i: int,
    names: list[str],
    settings: dict[str, Any],
    targets: list[str],
    inputs: list[str],
    sizes: list[tuple[int, int]] | None,
) -> Pair:
    """Return the target and the degraded input, or None, of one image."""
    read_target = registry.module("datasets", settings["kind"]).read_target
    as_stored = replicated if settings.get("grey") else np.asarray
    if inputs:
        degraded = as_stored(read_target(names[i], inputs[i], settings))
        if sizes:
            degraded = cropped(degraded, _low(sizes[i], settings), settings["common_crop"], inputs[i])
        if not targets:
            return None, degraded
    target = as_stored(read_target(names[i], targets[i] if targets else "", settings))
    if sizes:
        target = cropped(target, sizes[i], settings["common_crop"], targets[i])
    degradation = settings["degradation"]
    if degradation and degradation["kind"] == "downscale":
        target = crop_to_multiple(target, degradation["scale"])
    if not inputs:
        return target, degrade(target, degradation, names[i]) if degradation else None
    _check_pair(target, degraded, settings["scale"], targets[i], inputs[i])
    return target, degraded


def _low(size: tuple[int, int], settings: dict[str, Any]) -> tuple[int, int]:
    """Return the size of the input of a target."""
    return size[0] // settings["scale"], size[1] // settings["scale"]


def _write(
    place: Place,
    dataset: str,
    names: list[str],
    settings: dict[str, Any],
    targets: list[str],
    inputs: list[str],
    read: Callable[[int], Pair],
    progress: Progress,
) -> None:
    """Write images one by one: no more than one is in memory."""
    pair = read(0)
    first = next(image for image in pair if image is not None)
    kind, origins = (first.shape[2], first.dtype), targets or inputs or names
    attributes = {
        "kind": "dataset",
        "dataset": dataset,
        "images": names,
        "bits": first.itemsize * 8,
        "value_range": [0, white(8 * first.itemsize)],
        "scale": scale_of(settings),
        "degradation": settings["degradation"],
        "licence": settings["licence"],
        "citation": settings["citation"],
        "versions": provenance.versions(
            "numpy", "pillow", "imagecodecs", "scikit-image", "scikit-learn", "scipy"
        ),
    }
    if pair[0] is None:
        attributes["targets"] = False
    if settings.get("grey"):
        attributes["grey"] = settings["grey"]
    if kernel := kernel_files(settings["degradation"]):
        attributes["kernel_digest"] = [digests.sha256(path) for path in kernel]
    size = len(names) * sum(image.nbytes for image in pair if image is not None)
    with writing.new_group(place, attributes, size) as group:
        writers = [
            writing.ImageWriter(group, names, image.shape[2], first.dtype, prefix)
            for image, prefix in zip(pair, ("", "input_"), strict=True)
            if image is not None
        ]
        del first
        for i in range(len(names)):
            pair = pair if i == 0 else read(i)
            images = [image for image in pair if image is not None]
            _check_kind(kind, images[0], origins[0], origins[i])
            for writer, image in zip(writers, images, strict=True):
                writer.append_image(image)
            del pair, images, image
            progress(i + 1, len(names))
        for writer in writers:
            writer.close()
        if attributes.get("targets") is False:
            scale = settings["scale"]
            shapes = [(height * scale, width * scale, kind[0]) for height, width, _ in writers[0].shapes]
            writing.write_columns(group, names, shapes)
        for column, paths in (("target_file_digest", targets), ("input_file_digest", inputs)):
            if paths:
                writing.write_array(group, column, [digests.sha256(path) for path in paths], ("image",))


def scale_of(settings: dict[str, Any]) -> int:
    """Return the size of a target over the size of its input."""
    return (settings["degradation"] or {}).get("scale") or settings["scale"]


def _check_pair(
    target: np.ndarray, degraded: np.ndarray, scale: int, target_path: str, input_path: str
) -> None:
    if target.shape[:2] != (degraded.shape[0] * scale, degraded.shape[1] * scale):
        raise InputError(
            f"{target_path} is {target.shape[1]}×{target.shape[0]}, but {input_path} is "
            f"{degraded.shape[1]}×{degraded.shape[0]} and scale is {scale}; fix `scale`, the files, or set "
            "`common_crop`"
        )
    if target.dtype != degraded.dtype or target.shape[2] != degraded.shape[2]:
        raise InputError(
            f"{input_path} has {degraded.shape[2]} channels of {degraded.dtype}, its target {target_path} "
            f"{target.shape[2]} of {target.dtype}; convert one of them"
        )


def _check_kind(kind: tuple[int, np.dtype], target: np.ndarray, first: str, path: str) -> None:
    found = target.shape[2], target.dtype
    if found != kind:
        raise InputError(
            f"{first} has {kind[0]} channels of {kind[1]}, {path} {found[0]} of {found[1]}; a dataset holds images of "
            "one kind: convert them, or set `grey: replicate` where some are grey"
        )
