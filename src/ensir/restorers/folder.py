"""Predictions that exist already, as image or array files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.errors import InputError
from ensir.images import image_files, listing
from ensir.images.codes import Header
from ensir.images.depth import check_range, in_code_values, means_codes
from ensir.images.patterns import Pattern
from ensir.restorers import Degraded, RestorerModel, check_placeholder
from ensir.section import Context, Problem

if TYPE_CHECKING:
    from jaxtyping import Shaped


UNKNOWN_RANGE = (
    "holds numbers whose black and white are not known; declare the model's `value_range`, e.g. [0, 1]"
)


class FolderModel(RestorerModel):
    """Predictions that exist already: images, or arrays, of any format that is read."""

    kind: Literal["folder"]
    path: str = Field(
        description="glob of the predictions, or pattern with named parts; `{dataset}` and `{model}` are those names"
    )
    suffix: str = Field("", description="end of the file stems that is not part of the image name")
    value_range: list[float] | None = Field(
        None,
        description="black and white of floats, in images and arrays; of uint16, too, where white is above 255: 12 "
        "bits are [0, 4095]",
    )
    array: str | None = Field(None, description="name or path of the array in files that hold more than one")
    any_range: bool = Field(
        False,
        description="accept values far outside `value_range`, black where targets are not, or all far from its white",
    )

    restores_inputs: ClassVar[bool] = False
    untraced: ClassVar[frozenset[str]] = frozenset({"path", "suffix"})

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check the path."""
        yield from super().check(context)
        if len({_origin(name, dataset) for name, dataset in context.datasets.items()}) > 1:
            yield from check_placeholder(context)

    def predictions(self, key: str, dataset: str) -> dict[str, str]:
        """Find the files of the predictions."""
        pattern = self.path.replace("{dataset}", dataset).replace("{model}", key.rpartition(".")[2])
        return listing.find(pattern, f"{key}.path", self.suffix)

    def shape(self, file: str) -> tuple[int, int, int]:
        """Read the shape of a prediction from the header of its file."""
        return image_files.shape(file, self.array)

    def header(self, file: str) -> Header:
        """Read the header of a file."""
        header = image_files.header(file, self.array)
        if header.ranged and self.value_range is None:
            raise InputError(f"{file}: {UNKNOWN_RANGE}")
        if header.bits == 16 and not means_codes(np.dtype(np.uint16), self.value_range):
            return header._replace(bits=None, ranged=True)
        return header

    def check_brightness(self, files: Sequence[str]) -> None:
        """See `RestorerModel`."""
        if not self.any_range:
            key, intended = "the model's `value_range`", "set `any_range: true`"
            image_files.check_brightness(files, self.array, self.value_range, key, intended)


def _origin(name: str, dataset: dict[str, Any]) -> str:
    """Return the files from which a dataset selects its targets, or else inputs; its name where these are its own."""
    images = dataset.get("target") or dataset.get("input")
    if not isinstance(images, str) or "{dataset}" in images:
        return name
    try:
        return Pattern(images, name).glob
    except InputError:  # reported where they are listed
        return images


class Restorer:
    """Reads one file per image, in the order of the images."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        self.files = files
        self.value_range, self.array = settings["value_range"], settings["array"]
        self.any_range = settings["any_range"]
        self.parameters: dict[str, Any] = {}

    def restore(
        self, images_to_restore: Iterable[Degraded]
    ) -> Iterator[Shaped[np.ndarray, "height width channel"]]:
        """Yield the predictions as stored; floats in code values."""
        for degraded, file in zip(images_to_restore, self.files, strict=True):
            prediction = image_files.read_values(file, self.array)
            yield (
                prediction
                if means_codes(prediction.dtype, self.value_range)
                else self._in_code_values(prediction, degraded, file)
            )

    def _in_code_values(
        self, prediction: Shaped[np.ndarray, "height width channel"], degraded: Degraded, file: str
    ) -> Shaped[np.ndarray, "height width channel"]:
        """Scale values from the declared range to that of the targets."""
        if self.value_range is None:
            raise InputError(f"{file}: {UNKNOWN_RANGE}")
        black, white = self.value_range
        if not self.any_range:
            check_range(prediction, black, white, file, degraded.extent)
        return in_code_values(prediction, self.value_range, degraded.bits)
