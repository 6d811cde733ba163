"""Crop images to the size of others, or to a multiple of a scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ensir.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Shaped

BORDER = 32  # an image may be larger than its crop by this many pixels each way; more is no border


def cropped(
    image: Shaped[np.ndarray, "height width channel"],
    size: tuple[int, int],
    anchor: str,
    path: str,
    border: int | None = BORDER,
) -> Shaped[np.ndarray, "cropped_height cropped_width channel"]:
    """Keep the middle or the top left of an image.

    Raises
    ------
    InputError
        The image is smaller than that, or larger by more than a border.
    """
    spare = (image.shape[0] - size[0], image.shape[1] - size[1])
    if min(spare) < 0 or (border is not None and max(spare) > border):
        raise InputError(
            f"{path}: is {image.shape[1]}×{image.shape[0]}, cropped to {size[1]}×{size[0]}; "
            f"only a border of up to {border} pixels is cropped"
        )
    top, left = (spare[0] // 2, spare[1] // 2) if anchor == "center" else (0, 0)
    return image[top : top + size[0], left : left + size[1]]


def crop_to_multiple(
    image: Shaped[np.ndarray, "height width channel"], scale: int
) -> Shaped[np.ndarray, "cropped_height cropped_width channel"]:
    """Cut off rows below and columns on the right, so that the sides are multiples of the scale."""
    return image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale]
