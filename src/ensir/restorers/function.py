"""The user's own Python function: input image → prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from ensir.errors import InputError
from ensir.execution import functions
from ensir.images.depth import check_range
from ensir.restorers import Degraded
from ensir.restorers._self_ensemble import TurnableModel
from ensir.section import Function

if TYPE_CHECKING:
    from jaxtyping import Shaped


class FunctionModel(TurnableModel):
    """A Python function: (height, width, channel) input → prediction of the target's size."""

    kind: Literal["function"]
    function: Function = Field(
        description="a function of a module that can be imported from the working directory"
    )
    options: dict[str, Any] = Field({}, description="keyword arguments of the function")
    any_range: bool = Field(
        False,
        description="accept floats far outside the code values, or black where the targets are not",
    )

    @property
    def functions(self) -> list[str]:
        """The function."""
        return [self.function]

    def try_out(self) -> None:
        """Check that the function takes an image and the options."""
        functions.check_arguments(self.function, 1, self.options)


class Restorer:
    """Calls ``function(image, **options)`` on each input, a (height, width, channel) array of uint8 or uint16."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        self.name = settings["function"]
        self.options, self.any_range = settings["options"], settings["any_range"]
        self.function = functions.load(self.name)
        self.parameters = {"source": functions.file_digest_of_module(self.name.partition(":")[0])}

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
                check_range(prediction, 0, white, what, degraded.extent, fix)
            yield prediction
