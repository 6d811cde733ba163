"""Predictions that exist already, as image files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Shaped

from ensir import images
from ensir.restorers import Degraded


class Restorer:
    """Reads one file per image, in the order of the images."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        self.files = files
        self.parameters: dict[str, Any] = {}

    def restore(
        self, images_to_restore: Iterable[Degraded]
    ) -> Iterator[Shaped[np.ndarray, "height width channel"]]:
        """Yield the predictions as they are stored."""
        for _, file in zip(images_to_restore, self.files, strict=True):
            yield images.read(file)
