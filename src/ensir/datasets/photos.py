"""Photographs that ship with scikit-image and scikit-learn, degraded on the fly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.datasets import Dataset
from ensir.images.cropping import cropped
from ensir.images.degradations import Degradation

if TYPE_CHECKING:
    from jaxtyping import Shaped

Photo = Literal["astronaut", "chelsea", "china", "coffee", "flower", "hubble", "motorcycle", "rocket"]


class PhotosDataset(Dataset):
    """Photographs that ship with scikit-image and scikit-learn, degraded on the fly."""

    kind: Literal["photos"]
    images: list[Photo] = Field(min_length=1, description="which photographs")
    size: int | None = Field(
        None, ge=16, le=65_536, description="crop the middle to at most this many pixels each way"
    )
    degradation: Degradation = Field(description="how the inputs are made from the photographs")

    untraced: ClassVar[frozenset[str]] = frozenset({"images_per_part", "images"})

    def targets(self, key: str) -> dict[str, str]:
        """Return the names of the photographs, which are no files of the user's."""
        return dict.fromkeys(self.images, "")


def read_target(name: str, file: str, settings: dict[str, Any]) -> Shaped[np.ndarray, "height width channel"]:
    """Load a photograph, cropped as its dataset says."""
    return photograph(name, settings["size"])


def photograph(name: str, size: int | None) -> Shaped[np.ndarray, "height width channel"]:
    """Load a photograph that ships with scikit-image or scikit-learn, as RGB, uint8; of hubble at most 512×512."""
    import skimage.data

    if name in ("china", "flower"):
        import sklearn.datasets  # takes a second

        image = sklearn.datasets.load_sample_image(f"{name}.jpg")
    elif name == "motorcycle":
        image = skimage.data.stereo_motorcycle()[0]
    elif name == "hubble":
        image, size = skimage.data.hubble_deep_field(), min(size or 512, 512)
    else:
        image = getattr(skimage.data, name)()
    if size:
        image = cropped(
            image, (min(size, image.shape[0]), min(size, image.shape[1])), "center", name, border=None
        )
    return np.ascontiguousarray(image)
