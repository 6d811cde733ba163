"""Fits: what a method without a LUT keeps of the reference. Plain arrays in a Zarr group; no code is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.errors import InputError
from ensir.storage import reading, writing
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from jaxtyping import Shaped


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
    """

    models: tuple[str, ...]
    bits: int
    arrays: dict[str, np.ndarray]
    reference_images: tuple[str, ...]
    reference_digests: tuple[str, ...]
    attributes: dict[str, Any]

    def check(self, x: Shaped[np.ndarray, "model channel pixel"]) -> None:
        """Raise an InputError if predictions have another number or depth than those of the fit."""
        bits = x.dtype.itemsize * 8
        if (len(x), bits) != (len(self.models), self.bits):
            raise InputError(
                f"{len(x)} predictions of {bits} bit do not fit a method that was fitted to "
                f"{len(self.models)} models and {self.bits} bit"
            )


def save(fit: Fit, dimensions: dict[str, tuple[str, ...]], place: Place) -> None:
    """Write a fit; `dimensions` are the names of the dimensions of each array."""
    attributes = {**fit.attributes, "kind": "fit", "models": list(fit.models), "bits": fit.bits}
    with writing.new_group(place, attributes, sum(array.nbytes for array in fit.arrays.values())) as group:
        for name, array in fit.arrays.items():
            writing.write_array(group, name, array, dimensions[name])
        writing.write_array(group, "reference_image", fit.reference_images, ("image",))
        writing.write_array(group, "reference_digest", fit.reference_digests, ("image",))


def load(path: str) -> Fit:
    """Read a fit.

    Raises
    ------
    InputError
        Not a fit, damaged, or of another format version.
    """
    group = reading.open_group(path, "fit")
    arrays, attributes = reading.read_arrays(group, path), dict(group.attrs)
    del attributes["kind"], attributes["format_version"]
    return Fit(
        models=tuple(attributes.pop("models")),  # type: ignore[arg-type]
        bits=int(attributes.pop("bits")),  # type: ignore[arg-type]
        arrays=arrays,
        reference_images=tuple(map(str, arrays.pop("reference_image"))),
        reference_digests=tuple(map(str, arrays.pop("reference_digest"))),
        attributes=attributes,
    )
