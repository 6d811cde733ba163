"""Colours: the luma of RGB, and grey as RGB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

LUMA = np.array([65.481, 128.553, 24.966]) / 255  # BT.601


def luma(image: Float[np.ndarray, "height width 3"]) -> Float[np.ndarray, "height width 1"]:
    """Return BT.601 luma, 16–235, unrounded, of RGB in 0–255."""
    red, green, blue = np.moveaxis(image, 2, 0)
    return (red * LUMA[0] + green * LUMA[1] + blue * LUMA[2] + 16)[:, :, None]


def replicated(image: Shaped[np.ndarray, "height width channel"]) -> Shaped[np.ndarray, "height width 3"]:
    """Give a grey image three equal channels; a colour image is returned as it is."""
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
