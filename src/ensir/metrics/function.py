"""The user's own metric: a Python function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from ensir.execution import functions
from ensir.metrics import Metric
from ensir.section import Function

if TYPE_CHECKING:
    from jaxtyping import Float


class FunctionMetric(Metric):
    """A function of (target, result), floats of 0–255, that returns one number."""

    kind: Literal["function"] = "function"
    function: Function = Field(
        description="gets (height, width, channel) arrays, cropped and in the space of the score"
    )
    higher_is_better: bool = Field(description="whether the larger of two values is the better one")
    unit: str = Field("", description="unit of its values, for tables")
    digits: int = Field(4, ge=0, le=15, description="decimals of a printed value")

    @property
    def functions(self) -> list[str]:
        """The function."""
        return [self.function]

    def try_out(self) -> None:
        """Check that the function takes two images."""
        functions.check_arguments(self.function, 2, {})


def measure(
    target: Float[np.ndarray, "height width channel"],
    result: Float[np.ndarray, "height width channel"],
    settings: dict[str, Any],
) -> float:
    """Return what the function returns."""
    return float(functions.load(settings["function"])(target, result))
