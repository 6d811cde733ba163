"""Photographs that ship with scikit-image and scikit-learn, degraded on the fly."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.datasets import Dataset
from ensir.images import image_files
from ensir.images.codes import Header
from ensir.images.cropping import cropped
from ensir.images.degradations import Degradation

if TYPE_CHECKING:
    from jaxtyping import Shaped

PHOTOS = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "coffee": ("skimage", "data/coffee.png"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "hubble": ("skimage", "data/hubble_deep_field.jpg"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
}
Photo = Literal["astronaut", "chelsea", "china", "coffee", "flower", "hubble", "motorcycle", "rocket"]


class PhotosDataset(Dataset):
    """Photographs that ship with scikit-image and scikit-learn, degraded on the fly."""

    kind: Literal["photos"]
    images: list[Photo] = Field(min_length=1, description="which photographs")
    size: int | None = Field(
        None, ge=16, le=65_536, description="crop the middle to at most this many pixels each way"
    )
    degradation: Degradation = Field(description="how the inputs are made from the photographs")

    named_by: ClassVar[str] = "images"
    untraced: ClassVar[frozenset[str]] = frozenset({"images_per_part", "images"})

    def targets(self, key: str) -> dict[str, str]:
        """Return the names of the photographs, which are no files of the user's."""
        return dict.fromkeys(self.images, "")

    def drawn(self, name: str) -> Header:
        """See `Dataset`."""
        header, size = image_files.header(_file(name)), _side(name, self.size)
        if size is None:
            return header
        return header._replace(height=min(size, header.height), width=min(size, header.width))


def read_target(name: str, file: str, settings: dict[str, Any]) -> Shaped[np.ndarray, "height width channel"]:
    """Load a photograph, cropped as its dataset says."""
    return photograph(name, settings["size"])


def photograph(name: str, size: int | None) -> Shaped[np.ndarray, "height width channel"]:
    """Load a photograph that ships with scikit-image or scikit-learn, as RGB, uint8; of hubble at most 512×512."""
    image, side = image_files.read(_file(name)), _side(name, size)
    if side:
        image = cropped(
            image, (min(side, image.shape[0]), min(side, image.shape[1])), "center", name, border=None
        )
    return np.ascontiguousarray(image)


def _file(name: str) -> str:
    """Return the file of a photograph."""
    package, file = PHOTOS[name]
    found = find_spec(
        package
    )  # imports nothing: these libraries take a second, and no more than a file is wanted
    assert found is not None
    assert found.submodule_search_locations is not None
    return str(Path(found.submodule_search_locations[0], file))


def _side(name: str, size: int | None) -> int | None:
    """Return what a photograph is cropped to; None where it is not."""
    return min(size or 512, 512) if name == "hubble" else size
