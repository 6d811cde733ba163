"""Write images: fused stores → PNG files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ensir.images import image_files
from ensir.images.depth import to_integers
from ensir.storage import reading
from ensir.storage.atomic import written
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from jaxtyping import Shaped

    from ensir.storage.progress import Progress

ROWS = 64  # that are rounded at once


def write_images(place: Place, fused_parts: list[str], progress: Progress) -> None:
    """Write fused images as PNG files named after them, rounded and clipped to 8 or 16 bit.

    Parameters
    ----------
    place : Place
        The folder of the files; sub-folders of names become sub-folders here.
    fused_parts : list of str
        All parts of a fused store.
    progress : callable
    """
    with written(place) as folder:
        for i, path in enumerate(fused_parts):
            part = reading.Part(path)
            for index, name in enumerate(part.names):
                image_files.write(folder / f"{name}.png", rounded(part, index))
            progress(i + 1, len(fused_parts))


def rounded(part: reading.Part, index: int) -> Shaped[np.ndarray, "height width channel"]:
    """Return an image of a part of a fused or prediction store, rounded and clipped to 8 or 16 bit."""
    dtype = np.uint8 if part.bits == 8 else np.uint16
    stored, image = part.on_disk(index), np.empty(part.shapes[index], dtype)
    for start in range(0, len(image), ROWS):
        rows = slice(start, start + ROWS)
        image[rows] = to_integers(stored[rows], dtype, part.names[index])
    return image
