"""The mean of the predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.methods import CombiningMethod, by_blocks

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped


class Average(CombiningMethod):
    """The mean of the predictions."""

    pointwise: ClassVar[bool] = True
    timed: ClassVar[bool] = True

    kind: Literal["average"] = "average"


class Method:
    """Equal weights everywhere."""

    def __init__(self, settings: dict[str, Any], fitted: str | None = None):
        pass

    def fuse(self, x: Shaped[np.ndarray, "model channel *pixels"]) -> Float[np.ndarray, " channel *pixels"]:
        """Return the mean over the models."""
        return by_blocks(lambda block: block.sum(axis=0, dtype=np.uint32) / len(block), x)

    def weights(self, x: Shaped[np.ndarray, "model channel *pixels"]) -> Float[np.ndarray, "model ..."]:
        """Return 1/M, with axes of length one."""
        return np.full((len(x), *[1] * (x.ndim - 1)), 1 / len(x))
