"""Predictions that exist already, as image or array files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Shaped

from ensir import InputError, arrays, images
from ensir.restorers import Degraded


class Restorer:
    """Reads one file per image, in the order of the images."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        self.files = files
        self.value_range, self.array = settings["value_range"], settings["array"]
        self.any_range = settings["any_range"]
        self.parameters: dict[str, Any] = {}

    def restore(
        self, images_to_restore: Iterable[Degraded]
    ) -> Iterator[Shaped[np.ndarray, "height width channel"]]:
        """Yield the predictions as they are stored, floats in code values."""
        for degraded, file in zip(images_to_restore, self.files, strict=True):
            if not arrays.is_array(file):
                yield images.read(file)
                continue
            prediction = arrays.read(file, self.array)
            yield (
                prediction
                if prediction.dtype.kind == "u"
                else self._in_code_values(prediction, degraded, file)
            )

    def _in_code_values(
        self, prediction: Shaped[np.ndarray, "height width channel"], degraded: Degraded, file: str
    ) -> Shaped[np.ndarray, "height width channel"]:
        """Scale floats from the declared range to that of the targets."""
        if self.value_range is None:
            raise InputError(
                f"{file}: holds {prediction.dtype}; declare the model's `value_range`, e.g. [0, 1]"
            )
        black, white = self.value_range
        if not self.any_range:
            images.check_range(prediction, black, white, file, degraded.extent)
        return (prediction.astype(np.float64) - black) * ((2**degraded.bits - 1) / (white - black))
