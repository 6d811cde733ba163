"""Fits: what a method keeps of the reference where no LUT holds it. Plain arrays in a Zarr group; no code is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped

from ensir import InputError, store
from ensir.layout import Place


class Reference:
    """The images of a reference beside their predictions, in the order of their names, whatever part holds them.

    Parameters
    ----------
    dataset_parts : list of str
        Parts of the reference.
    prediction_parts : list of list of str
        For each of those, the parts of the models' predictions.

    Attributes
    ----------
    names, digests : list of str
        Of the images: their names, and the digests of their targets.
    shapes : list of (height, width, channel)
    bits : int
        8 or 16.
    """

    def __init__(self, dataset_parts: Sequence[str], prediction_parts: Sequence[Sequence[str]]):
        images = []
        for dataset_part, predicted in zip(dataset_parts, prediction_parts, strict=True):
            part, *others = map(store.Part, [dataset_part, *predicted])
            store.aligned([part, *others])
            images += [(name, i, part, others) for i, name in enumerate(part.names)]
        self._images = sorted(images, key=lambda image: image[0])
        self.names = [name for name, *_ in self._images]
        self.digests = [str(part.column("digest")[i]) for _, i, part, _ in self._images]
        self.shapes = [part.shapes[i] for _, i, part, _ in self._images]
        self.bits = self._images[0][2].bits

    def __len__(self) -> int:
        return len(self._images)

    def target(self, index: int) -> Shaped[np.ndarray, "channel pixel"]:
        """Read the target of an image."""
        _, i, part, _ = self._images[index]
        return part.rows(i)

    def predictions(self, index: int) -> Shaped[np.ndarray, "model channel pixel"]:
        """Read the predictions for an image."""
        _, i, _, others = self._images[index]
        return np.stack([other.rows(i) for other in others])

    def input(self, index: int) -> Shaped[np.ndarray, "low_height low_width channel"] | None:
        """Read the degraded input of an image; None where there is none."""
        _, i, part, _ = self._images[index]
        return part.input(i)


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
        """Raise an InputError where predictions are of another number or depth than those of the fit."""
        bits = x.dtype.itemsize * 8
        if (len(x), bits) != (len(self.models), self.bits):
            raise InputError(
                f"{len(x)} predictions of {bits} bit do not fit a method that was fitted to "
                f"{len(self.models)} models and {self.bits} bit"
            )


def save(fit: Fit, dimensions: dict[str, tuple[str, ...]], place: Place) -> None:
    """Write a fit; `dimensions` names those of each of its arrays."""
    attributes = {**fit.attributes, "kind": "fit", "models": list(fit.models), "bits": fit.bits}
    with store.new_group(place, attributes, sum(array.nbytes for array in fit.arrays.values())) as group:
        for name, array in fit.arrays.items():
            store.write_array(group, name, array, dimensions[name])
        store.write_array(group, "reference_image", fit.reference_images, ("image",))
        store.write_array(group, "reference_digest", fit.reference_digests, ("image",))


def load(path: str) -> Fit:
    """Read a fit.

    Raises
    ------
    InputError
        Not a fit, damaged, or of another format version.
    """
    group = store.open_group(path, "fit")
    arrays, attributes = store.read_arrays(group, path), dict(group.attrs)
    del attributes["kind"], attributes["format_version"]
    return Fit(
        models=tuple(attributes.pop("models")),  # type: ignore[arg-type]
        bits=int(attributes.pop("bits")),  # type: ignore[arg-type]
        arrays=arrays,
        reference_images=tuple(map(str, arrays.pop("reference_image"))),
        reference_digests=tuple(map(str, arrays.pop("reference_digest"))),
        attributes=attributes,
    )
