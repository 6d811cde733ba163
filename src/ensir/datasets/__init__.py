"""Datasets: where targets and their degraded inputs come from.

Every module of this folder is a kind: its section, and `read_target(name, file, settings)`, which returns a target as
a (height, width, channel) array of uint8 or uint16.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from ensir.images import image_files
from ensir.images.codes import Header
from ensir.images.degradation_files import kernel_files
from ensir.section import Section
from ensir.storage.paths import existing


class Dataset(Section):
    """What all datasets have."""

    images_per_part: int = Field(
        32,
        ge=1,
        le=10**6,
        description="images per job; a later change applies to images that have no part yet",
    )
    licence: str | None = Field(None, description="licence of the images, stored with them")
    citation: str | None = Field(None, description="citation of the images, stored with them")

    named_by: ClassVar[str] = "target"
    """The key that tells which images there are."""

    @classmethod
    def indexed(cls) -> bool:
        """Whether its images are in a shared store, whose root tells what they are before they are copied."""
        return False

    def shared(self, key: str) -> dict[str, str | None] | None:
        """Return the `location` and the `digest` of the store that its images are copied from; None for others."""
        return None

    def targets(self, key: str) -> dict[str, str]:
        """Return the file of each target by image name; an empty string for images without a file."""
        raise NotImplementedError

    @property
    def has_targets(self) -> bool:
        """Whether there are targets. Test sets may lack them: their images are fused, and not scored."""
        return True

    def inputs(self, key: str) -> dict[str, str]:
        """Return the file of each degraded input by image name; empty where inputs are made, or there are none."""
        return {}

    def header(self, file: str) -> Header:
        """Return the header of a target or input as it is ingested.

        Raises
        ------
        InputError
            It cannot be read.
        """
        return image_files.header(file)

    def drawn(self, name: str) -> Header | None:
        """Return the header of a target that is in no file of the user's, where it is known; None for others."""
        return None

    def check_brightness(self, files: Sequence[str]) -> None:
        """Refuse files that are together so dark that they are probably in another range; others, to the first one.

        Raises
        ------
        InputError
        """

    def kernel(self, key: str) -> list[str]:
        """Return the file that holds the blur kernel; empty where there is no such file."""
        degradation = getattr(self, "degradation", None)
        return [
            existing(path, f"{key}.degradation.kernel")
            for path in kernel_files(degradation.model_dump() if degradation else None)
        ]

    @property
    def cropped(self) -> str | None:
        """Which part is kept of images that are larger than those of other folders: "center" or "topleft"."""
        return None

    @property
    def input_scale(self) -> int:
        """Size of a target over the size of its input."""
        return getattr(getattr(self, "degradation", None), "scale", 1)
