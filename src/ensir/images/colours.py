"""Colours: the luma of RGB, and grey as RGB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ensir.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

    from ensir.images.codes import Header

LUMA = np.array([65.481, 128.553, 24.966]) / 255  # BT.601
SAMPLE = 256  # files of a set whose headers tell whether it is mixed


def luma(image: Float[np.ndarray, "height width 3"]) -> Float[np.ndarray, "height width 1"]:
    """Return BT.601 luma, 16–235, unrounded, of RGB in 0–255."""
    red, green, blue = np.moveaxis(image, 2, 0)
    return (red * LUMA[0] + green * LUMA[1] + blue * LUMA[2] + 16)[:, :, None]


def first_grey(files: Sequence[str], header: Callable[[str], Header]) -> str | None:
    """Return the first grey image of a set that holds colour images, too; None where all are of one kind.

    Of more than 256 files, every second, third, … is looked at.
    """
    grey, colour = None, False
    for file in files[:: max(1, -(-len(files) // SAMPLE))]:
        try:
            channels = header(file).channels
        except InputError:  # whoever reads the file says what is wrong
            continue
        grey, colour = grey or (file if channels == 1 else None), colour or channels > 1
        if grey and colour:
            return grey
    return None


def replicated(image: Shaped[np.ndarray, "height width channel"]) -> Shaped[np.ndarray, "height width 3"]:
    """Give a grey image three equal channels; a colour image is returned as it is."""
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
