"""Fits: what a method without a LUT keeps of the reference. Plain arrays; no code is stored.

In a results folder, a fit is a Zarr group; to be passed on, it is one file. xarray opens both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.errors import InputError
from ensir.storage import formats, netcdf, reading, writing
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from jaxtyping import Shaped


KIND = "fit"


@dataclass(frozen=True)
class Fit:
    """What was fitted, and on which images.

    Attributes
    ----------
    models : tuple of str
        Names of the models, in order.
    bits : int
        8 or 16.
    arrays : dict
        The method's own arrays.
    reference_images, reference_digests : tuple of str
        Names of the reference images, and the digests of their targets.
    attributes : dict
        Settings, reference, versions.
    prediction_digests : tuple of tuple of str, (model, image)
        Digests of the predictions for the reference images; empty where they are unknown.
    """

    models: tuple[str, ...]
    bits: int
    arrays: dict[str, np.ndarray]
    reference_images: tuple[str, ...]
    reference_digests: tuple[str, ...]
    attributes: dict[str, Any]
    prediction_digests: tuple[tuple[str, ...], ...] = ()

    def check(self, x: Shaped[np.ndarray, "model channel pixel"]) -> None:
        """Raise an InputError if predictions have another number or depth than those of the fit."""
        check_depth(self.bits, x.dtype.itemsize * 8)
        if len(x) != len(self.models):
            raise InputError(
                f"{len(x)} predictions do not fit a method that was fitted to {len(self.models)} models"
            )


def check_depth(fitted: int, given: int) -> None:
    """Raise an InputError if a method that was fitted to images of some bits is to fuse images of others."""
    if fitted != given:
        raise InputError(
            f"a method that was fitted to images of {fitted} bits cannot fuse images of {given}; fit it to such, or "
            "convert them"
        )


def check_channels(fitted: int, given: int) -> None:
    """Raise an InputError if a method that was fitted to some channels, each on its own, is to fuse others."""
    if fitted not in (1, given):
        raise InputError(
            f"a method that was fitted to each of {fitted} channels cannot fuse images of {given}; fit it to such, or "
            "set `channels: joint`"
        )


def check_colours(fitted: int, given: int) -> None:
    """Raise an InputError if a method that was fitted to grey images is to fuse those in colour, or the reverse."""
    if (fitted == 1) != (given == 1):
        one, other = ("grey", "colour") if fitted == 1 else ("colour", "grey")
        raise InputError(
            f"a method that was fitted to {one} images cannot fuse {other} ones; fit it to such, or convert them"
        )


def save(fit: Fit, dimensions: dict[str, tuple[str, ...]], place: Place) -> None:
    """Write a fit as a Zarr group; `dimensions` are the names of the dimensions of each array."""
    attributes = {**fit.attributes, "kind": KIND, "models": list(fit.models), "bits": fit.bits}
    with writing.new_group(place, attributes, _size(fit)) as group:
        for name, array in fit.arrays.items():
            writing.write_array(group, name, array, dimensions[name])
        for name, texts, dims in _texts(fit):
            writing.write_array(group, name, texts, dims)


def save_file(fit: Fit, dimensions: dict[str, tuple[str, ...]], path: Path) -> None:
    """Write a fit as one file, atomically; `dimensions` are the names of the dimensions of each array."""
    sizes = {"model": len(fit.models), "image": len(fit.reference_images)}
    for name, array in fit.arrays.items():
        sizes |= dict(zip(dimensions[name], array.shape, strict=True))
    arrays: dict[str, tuple[tuple[str, ...], Any]] = {"model": (("model",), fit.models)}
    arrays |= {name: (dims, texts) for name, texts, dims in _texts(fit)}
    arrays |= {name: (dimensions[name], array) for name, array in fit.arrays.items()}
    written = {
        k: v if isinstance(v, str) else json.dumps(v, sort_keys=True) for k, v in fit.attributes.items()
    }
    attributes = {**written, "kind": KIND, "format_version": formats.version(KIND), "bits": fit.bits}
    netcdf.save(path, sizes, arrays, attributes)


def _size(fit: Fit) -> int:
    return sum(array.nbytes for array in fit.arrays.values())


def _texts(fit: Fit) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Yield what tells of the reference images: names, texts, names of the dimensions."""
    yield "reference_image", fit.reference_images, ("image",)
    yield "reference_digest", fit.reference_digests, ("image",)
    if fit.prediction_digests:
        yield "prediction_digest", fit.prediction_digests, ("model", "image")


def load(fitted: str | Fit) -> Fit:
    """Read a fit, a group or a file; one that is in memory is returned as it is.

    Raises
    ------
    InputError
        Not a fit, damaged, or of another format version.
    """
    if isinstance(fitted, Fit):
        return fitted
    path = fitted
    if Path(path).is_file():
        arrays, attributes = _from_file(path)
    else:
        group = reading.open_group(path, KIND)
        arrays, attributes = reading.read_arrays(group, path), dict(group.attrs)
        del attributes["kind"], attributes["format_version"]
    return Fit(
        models=tuple(attributes.pop("models")),
        bits=int(attributes.pop("bits")),
        reference_images=tuple(map(str, arrays.pop("reference_image"))),
        reference_digests=tuple(map(str, arrays.pop("reference_digest"))),
        prediction_digests=tuple(tuple(map(str, row)) for row in arrays.pop("prediction_digest", ())),
        arrays=arrays,
        attributes=attributes,
    )


def is_fit(path: str) -> bool:
    """Return whether a path is that of a fit: any folder, or a file that says so."""
    return Path(path).is_dir() or netcdf.kind(path) == KIND


def _from_file(path: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return arrays and attributes as a group holds them."""
    arrays, attributes = netcdf.load(path, "a fit")
    if attributes.pop("kind", None) != KIND:
        raise InputError(f"{path}: is not a fit")
    if (version := attributes.pop("format_version", None)) != formats.version(KIND):
        raise InputError(
            f"{path}: has fit format {version}, and this version reads {formats.version(KIND)} only; make it again, "
            "or use the version that wrote it"
        )
    try:
        for name in ("settings", "versions"):
            attributes[name] = json.loads(attributes[name])
        attributes["models"] = list(map(str, arrays.pop("model")))
        if not {"reference_image", "reference_digest"} <= set(arrays) or attributes["bits"] not in (8, 16):
            raise KeyError("reference_image, reference_digest or bits")
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: lacks what a fit holds ({error}); make it again") from error
    return arrays, attributes
