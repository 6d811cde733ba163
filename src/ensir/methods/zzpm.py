"""ZZPM: one weight per model and image, larger for models that are closer to the mean of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.arithmetic.functions import exponential
from ensir.images.depth import unit
from ensir.methods import BLOCK, CombiningMethod, weighted_sum

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Shaped


class Zzpm(CombiningMethod):
    """One weight per model and image, by its distance to the mean of the models."""

    pointwise: ClassVar[bool] = True
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

    def sums(self, x: Shaped[np.ndarray, "model channel *pixels"]) -> Int[np.ndarray, " sum"]:
        """Return Σ (M·x_m − Σ_l x_l)² of each model, and the number of values: they add up over runs of pixels."""
        predictions = x.reshape(len(x), -1)
        sums = np.zeros(len(x) + 1, np.int64)
        largest = BLOCK * (len(x) * np.iinfo(x.dtype).max) ** 2
        dtype = np.float64 if largest <= 2**53 else np.int64  # float64 is faster, and exact up to there
        scratch = np.empty((len(x), min(BLOCK, predictions.shape[1])), dtype)
        for start in range(0, predictions.shape[1], BLOCK):
            block = predictions[:, start : start + BLOCK]
            differences = scratch[:, : block.shape[1]]
            differences[...] = block
            total = differences.sum(axis=0)
            differences *= len(x)
            differences -= total
            sums[:-1] += [int(difference @ difference) for difference in differences]
            sums[-1] += total.size
        return sums

    def summed(self, sums: Int[np.ndarray, " sum"], bits: int) -> ZzpmOfImage:
        """Return the method for the image of 8 or 16 bit with these sums."""
        models = len(sums) - 1
        error = sums[:-1] / (models**2 * int(sums[-1]) * unit(bits) ** 2)
        if self.literal:
            perfect = error == 0  # models equal to the mean share all the weight
            weights = perfect.astype(np.float64) if perfect.any() else 1 / error
        else:
            score = 1 / (1e-3 + error)
            weights = exponential(score - score.max())
        return ZzpmOfImage(weights / weights.sum())

    def weights(self, x: Shaped[np.ndarray, "model channel *pixels"]) -> Float[np.ndarray, "model ..."]:
        """Return one weight per model, with axes of length one."""
        return self.summed(self.sums(x), 8 * x.itemsize).weights(x)

    def fuse(self, x: Shaped[np.ndarray, "model channel *pixels"]) -> Float[np.ndarray, " channel *pixels"]:
        """Return the weighted sum of the predictions of a whole image."""
        return self.summed(self.sums(x), 8 * x.itemsize).fuse(x)


@dataclass(frozen=True)
class ZzpmOfImage:
    """ZZPM for one image.

    Attributes
    ----------
    weight : float64 array, (model,)
    """

    weight: Float[np.ndarray, " model"]

    def weights(self, x: Shaped[np.ndarray, "model channel *pixels"]) -> Float[np.ndarray, "model ..."]:
        """Return one weight per model, with axes of length one."""
        return self.weight.reshape(-1, *[1] * (x.ndim - 1))

    def fuse(self, x: Shaped[np.ndarray, "model channel *pixels"]) -> Float[np.ndarray, " channel *pixels"]:
        """Return the weighted sum."""
        return weighted_sum(self.weight, x)
