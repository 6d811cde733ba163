"""The user's own Python function: input image → prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
from jaxtyping import Shaped
from pydantic import Field

from ensir.errors import InputError
from ensir.execution import functions
from ensir.restorers import Degraded, RestorerModel
from ensir.section import Function


class FunctionModel(RestorerModel):
    """A Python function: (height, width, channel) input → prediction of the target's size."""

    kind: Literal["function"]
    function: Function = Field(
        description="a function of a module that can be imported from the working directory"
    )
    options: dict[str, Any] = Field({}, description="keyword arguments of the function")

    @property
    def functions(self) -> list[str]:
        """The function."""
        return [self.function]


class Restorer:
    """Calls ``function(image, **options)`` on each input, a (height, width, channel) array of uint8 or uint16."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        self.name = settings["function"]
        self.options = settings["options"]
        self.function = functions.load(self.name)
        self.parameters = {"source": functions.file_digest_of_module(self.name.partition(":")[0])}

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
