"""Images in folders: targets and, where models run here, their degraded inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.datasets import Dataset
from ensir.errors import InputError
from ensir.images import image_files, listing
from ensir.images.codes import Header
from ensir.images.degradations import Degradation
from ensir.section import Context, Problem, check_value_range, shown

if TYPE_CHECKING:
    from jaxtyping import Shaped


class FolderDataset(Dataset):
    """Images in folders: targets and, where models run here, their degraded inputs."""

    kind: Literal["folder"]
    target: str = Field(
        description="glob of the target images, sub-folders belong to the name; or a pattern with named parts"
    )
    input: str | None = Field(
        None, description="glob or pattern of the degraded inputs, matched to the targets by name"
    )
    target_suffix: str = Field("", description="end of the target stems that is not part of the name")
    input_suffix: str = Field(
        "", description="end of the input stems that is not part of the name, e.g. `x4`"
    )
    exclude: list[str] = Field([], description="names (or wildcards of names) to leave out")
    scale: int = Field(1, ge=1, le=64, description="size of a target over the size of its input")
    crop: Literal["center", "topleft"] | None = Field(
        None,
        description="where predictions are a few border pixels smaller than the targets: which part is kept of a "
        "larger image; without it, sizes that differ are an error",
    )
    grey: Literal["replicate"] | None = Field(
        None,
        description="replicate: grey images, inputs and predictions get three equal channels; without it, grey images "
        "among colour ones are an error",
    )
    degradation: Degradation | None = Field(
        None, description="how inputs are made from the targets; together with `input`, how those were made"
    )

    value_range: list[float] | None = Field(
        None, description="black and white of targets and inputs that hold floats; these become 16-bit images"
    )
    array: str | None = Field(None, description="name or path of the array in files that hold more than one")

    untraced: ClassVar[frozenset[str]] = frozenset(
        {"images_per_part", "target", "input", "target_suffix", "input_suffix", "exclude"}
    )
    traced_if_set: ClassVar[frozenset[str]] = frozenset({"grey", "value_range", "array"})

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check the value range, and that inputs are not both read and made."""
        yield from super().check(context)
        yield from check_value_range(context)
        degradation = context.section.get("degradation")
        kind = degradation.get("kind") if isinstance(degradation, dict) else None
        if context.section.get("input") and kind in ("downscale", "mask"):
            yield Problem(
                f"{context.key}.degradation",
                f"{shown(kind)} cannot be combined with `input`, where only noise and blur may describe how it was "
                "made; remove one of them",
            )

    def targets(self, key: str) -> dict[str, str]:
        """Find the files of the targets."""
        pattern = self.target.replace("{dataset}", key.rpartition(".")[2])
        return listing.find(pattern, f"{key}.target", self.target_suffix, self.exclude)

    def inputs(self, key: str) -> dict[str, str]:
        """Find the files of the inputs."""
        if not self.input:
            return {}
        pattern = self.input.replace("{dataset}", key.rpartition(".")[2])
        return listing.find(pattern, f"{key}.input", self.input_suffix, self.exclude, unmatched_excludes=True)

    def header(self, file: str) -> Header:
        """See `Dataset`."""
        header = image_files.header(file, self.array)
        if not header.ranged:
            return header
        if self.value_range is None:
            raise InputError(
                f"{file}: holds numbers whose black and white are not known; declare the dataset's `value_range`, "
                "e.g. [0, 1]"
            )
        return header._replace(bits=16, ranged=False)

    @property
    def cropped(self) -> str | None:
        """See `Dataset`."""
        return self.crop

    @property
    def input_scale(self) -> int:
        """See `Dataset`: `scale` for inputs from files, that of the degradation for inputs that are made."""
        return self.scale if self.input else super().input_scale


def read_target(name: str, file: str, settings: dict[str, Any]) -> Shaped[np.ndarray, "height width channel"]:
    """Read the file of a target."""
    return image_files.read(file, settings.get("array"), settings.get("value_range"))
