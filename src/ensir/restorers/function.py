"""A Python function of the user's: input image → prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Shaped

from ensir import InputError, functions, images, provenance
from ensir.restorers import Degraded


class Restorer:
    """Calls ``function(image, **options)`` on each input, a (height, width, channel) array of uint8 or uint16."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        self.name = settings["function"]
        self.options, self.any_range = settings["options"], settings["any_range"]
        self.function = functions.load(self.name)
        self.parameters = {"source": provenance.file_digest_of_module(self.name.partition(":")[0])}

    def restore(
        self, images_to_restore: Iterable[Degraded]
    ) -> Iterator[Shaped[np.ndarray, "height width channel"]]:
        """Yield what the function returns: code values, integers of the target's depth or floats."""
        for degraded in images_to_restore:
            try:
                prediction = np.asarray(self.function(degraded.image, **self.options))
            except Exception as error:
                raise InputError(
                    f"function {self.name}: failed on image {degraded.name!r} ({type(error).__name__}: {error})"
                ) from error
            if prediction.dtype.kind == "f" and not self.any_range:
                white = 2**degraded.bits - 1
                what = f"function {self.name}, image {degraded.name!r}"
                fix = f"return code values, 0 to {white}"
                images.check_range(prediction, 0, white, what, degraded.extent, fix)
            yield prediction
