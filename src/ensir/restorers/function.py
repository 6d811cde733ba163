"""A Python function of the user's: input image → prediction."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Shaped

from ensir import InputError, provenance
from ensir.restorers import Degraded


class Restorer:
    """Calls ``function(image, **options)`` on each input, a (height, width, channel) array of uint8 or uint16."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        self.name = settings["function"]
        self.options = settings["options"]
        module, _, name = self.name.partition(":")
        sys.path.insert(0, os.getcwd())  # a module beside the configuration
        try:
            self.function = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise InputError(
                f"function {self.name}: cannot be imported ({error}); mend `function`"
            ) from error
        self.parameters = {"source": provenance.file_digest_of_module(module)}

    def restore(self, images: Iterable[Degraded]) -> Iterator[Shaped[np.ndarray, "height width channel"]]:
        """Yield what the function returns."""
        for degraded in images:
            try:
                prediction = self.function(degraded.image, **self.options)
            except Exception as error:
                raise InputError(
                    f"function {self.name}: failed on image {degraded.name!r} ({type(error).__name__}: {error})"
                ) from error
            yield np.asarray(prediction)
