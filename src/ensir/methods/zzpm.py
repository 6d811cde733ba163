"""ZZPM: one weight per model and image, larger for models that are closer to the mean of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.arithmetic.functions import exponential
from ensir.images.depth import unit
from ensir.methods import CombiningMethod, weighted_sum

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped


class Zzpm(CombiningMethod):
    """One weight per model and image, by its distance to the mean of the models."""

    timed: ClassVar[bool] = True

    kind: Literal["zzpm"] = "zzpm"
    literal: bool = Field(
        False, description="weights proportional to 1/MSE, instead of softmax of 1/(1e-3 + MSE)"
    )


class Method:
    """Weights from MSE_m = mean (x_m − x̄)², in squared levels of 0–255: softmax of 1/(1e-3 + MSE_m).

    With `literal`, weights are proportional to 1/MSE_m instead.
    """

    def __init__(self, settings: dict[str, Any], fitted: str | None = None):
        self.literal = settings["literal"]

    def weights(self, x: Shaped[np.ndarray, "model channel *pixels"]) -> Float[np.ndarray, "model ..."]:
        """Return one weight per model, with axes of length one."""
        total = x.sum(axis=0, dtype=np.int64)
        difference = [((len(x) * prediction.astype(np.int64) - total) ** 2).sum() for prediction in x]
        error = np.array(difference) / (len(x) ** 2 * total.size * unit(8 * x.itemsize) ** 2)
        if self.literal:
            perfect = error == 0  # models equal to the mean share all the weight
            weights = perfect.astype(np.float64) if perfect.any() else 1 / error
        else:
            score = 1 / (1e-3 + error)
            weights = exponential(score - score.max())
        return (weights / weights.sum()).reshape(-1, *[1] * (x.ndim - 1))

    def fuse(self, x: Shaped[np.ndarray, "model channel *pixels"]) -> Float[np.ndarray, " channel *pixels"]:
        """Return the weighted sum."""
        return weighted_sum(self.weights(x).ravel(), x)
