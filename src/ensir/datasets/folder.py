"""Images in folders: targets and, where models run here, their degraded inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


MISSING = "is missing; give it, or, of a test set without targets, `input` alone"


class FolderDataset(Dataset):
    """Images in folders: targets and, where models run here, their degraded inputs."""

    kind: Literal["folder"]
    target: str | None = Field(
        None,
        description="glob of the target images, sub-folders belong to the name; or a pattern with named parts; a test "
        "set may have none: its images are fused, and not scored",
    )
    input: str | None = Field(
        None,
        description="glob or pattern of the degraded inputs, matched to the targets by name; without targets, the "
        "names of the images",
    )
    target_suffix: str = Field("", description="end of the target stems that is not part of the name")
    input_suffix: str = Field(
        "", description="end of the input stems that is not part of the name, e.g. `x4`"
    )
    exclude: list[str] = Field([], description="names (or wildcards of names) to leave out")
    scale: int = Field(1, ge=1, le=64, description="size of a target over the size of its input")
    common_crop: Literal["center", "topleft"] | None = Field(
        None,
        description="where predictions are a few border pixels smaller than the targets: which part is kept of a "
        "larger image; without it, sizes that differ are an error",
    )
    grey: Literal["replicate", "refuse"] | None = Field(
        None,
        description="replicate: grey images, inputs and predictions get three equal channels; refuse: they are an "
        "error among colour ones; without it, they get three channels where there are colour images, too, with a note",
    )
    degradation: Degradation | None = Field(
        None, description="how inputs are made from the targets; together with `input`, how those were made"
    )

    value_range: list[float] | None = Field(
        None,
        description="black and white of targets and inputs that hold floats, or, where white is above 255, uint16 (12 "
        "bits are [0, 4095]); these become 16-bit images",
    )
    array: str | None = Field(None, description="name or path of the array in files that hold more than one")

    untraced: ClassVar[frozenset[str]] = frozenset(
        {"images_per_part", "target", "input", "target_suffix", "input_suffix", "exclude"}
    )
    traced_if_set: ClassVar[frozenset[str]] = frozenset({"grey", "value_range", "array"})

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that there are images, the value range, and that inputs are not both read and made."""
        yield from super().check(context)
        yield from check_value_range(context)
        if context.section.get("target") is None:
            yield from _check_without_targets(context)
            return
        degradation = context.section.get("degradation")
        kind = degradation.get("kind") if isinstance(degradation, dict) else None
        if context.section.get("input") and kind in ("downscale", "mask"):
            yield Problem(
                f"{context.key}.degradation",
                f"{shown(kind)} cannot be combined with `input`, where only noise and blur may describe how it was "
                "made; remove one of them",
            )

    def targets(self, key: str) -> dict[str, str]:
        """Find the files of the targets; without any, the inputs name the images."""
        if self.target is None:
            inputs = self._inputs(key)
            names = listing.Images(dict.fromkeys(inputs, ""))
            names.parts, names.beside = inputs.parts, inputs.beside
            return names
        pattern = self.target.replace("{dataset}", key.rpartition(".")[2])
        return listing.find(pattern, f"{key}.target", self.target_suffix, self.exclude)

    def inputs(self, key: str) -> dict[str, str]:
        """Find the files of the inputs."""
        return self._inputs(key) if self.input else {}

    def _inputs(self, key: str) -> listing.Images:
        if self.input is None:
            raise InputError(f"{key}.target: {MISSING}")
        pattern = self.input.replace("{dataset}", key.rpartition(".")[2])
        unmatched = self.target is not None  # targets tell which names there are
        return listing.find(
            pattern, f"{key}.input", self.input_suffix, self.exclude, unmatched_excludes=unmatched
        )

    @property
    def has_targets(self) -> bool:
        """See `Dataset`."""
        return self.target is not None

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

    def check_brightness(self, files: Sequence[str]) -> None:
        """See `Dataset`."""
        image_files.check_brightness(files, self.array, self.value_range)

    @property
    def cropped(self) -> str | None:
        """See `Dataset`."""
        return self.common_crop

    @property
    def input_scale(self) -> int:
        """See `Dataset`: `scale` for inputs from files, that of the degradation for inputs that are made."""
        return self.scale if self.input else super().input_scale


def _check_without_targets(context: Context) -> Iterator[Problem]:
    """Check a dataset without targets: inputs name its images, and cannot be made."""
    if not context.section.get("input"):
        yield Problem(f"{context.key}.target", MISSING)
    degradation = context.section.get("degradation")
    if isinstance(degradation, dict) and degradation.get("kind") in ("downscale", "mask"):
        yield Problem(
            f"{context.key}.degradation",
            f"{shown(degradation['kind'])} makes inputs of targets, and there are none; remove it, or give `target`",
        )


def read_target(name: str, file: str, settings: dict[str, Any]) -> Shaped[np.ndarray, "height width channel"]:
    """Read the file of a target."""
    return image_files.read(file, settings.get("array"), settings.get("value_range"))
