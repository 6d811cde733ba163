"""RefESR: one weight per model and image, so that the downscaled sum matches the degraded input.

On luma of 0–1: min ‖LR − D·Xw‖² + λ‖w − w*‖² with Σw = 1. D is bicubic downscaling without rounding; the prior
w*_m ∝ exp(−(max s − s_m)²/ρ²) comes from the models' PSNRs s on the reference. Weights may be negative.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.arithmetic.functions import exponential
from ensir.errors import InputError
from ensir.images.colours import luma
from ensir.images.degradations import imresize
from ensir.images.depth import unit
from ensir.images.similarity import psnr
from ensir.methods import CombiningMethod, Progress, weighted_sum
from ensir.section import Context, Problem, input_scale
from ensir.storage import fits
from ensir.storage.reference import Reference

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

RIDGE = 0.8  # λ
SPREAD = 0.07  # ρ, in dB
DIMENSIONS = {"psnr": ("model",)}


class Refesr(CombiningMethod):
    """One weight per model and image, by its degraded input and the reference: super-resolution only."""

    made: ClassVar[Literal["lut", "fit"] | None] = "fit"

    kind: Literal["refesr"] = "refesr"

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that every dataset has inputs that are smaller than the targets."""
        yield from super().check(context)
        for name, dataset in context.datasets.items():
            degradation = dataset.get("degradation")
            if not (degradation or dataset.get("input")):
                yield Problem(
                    context.key,
                    f"refesr uses degraded inputs, but dataset {name!r} has none; give its `input`",
                )
            elif input_scale(dataset) == 1:
                yield Problem(
                    context.key,
                    f"refesr is for super-resolution, but the scale of dataset {name!r} is 1; remove refesr",
                )


def fit(
    reference: Reference, settings: dict[str, Any], progress: Progress
) -> dict[str, Float[np.ndarray, " model"]]:
    """Return the mean PSNR of each model on the reference, in dB: on luma, without a border of `scale` pixels."""
    scores = []
    for i, shape in enumerate(reference.shapes):
        crop = scale_of(reference.input(i), shape)
        inner = np.s_[crop : shape[0] - crop, crop : shape[1] - crop]
        target = _luma(reference.target(i))[inner]
        if target.size == 0:
            raise InputError(
                f"refesr leaves out a border of {crop} pixels, and image {reference.names[i]!r} of the reference is "
                f"{shape[1]}×{shape[0]}; leave it out"
            )
        scores.append([psnr(target, _luma(x)[inner]) for x in reference.predictions(i)])
        progress(i + 1, len(reference))
    return {"psnr": np.mean(scores, axis=0)}


def prior_weights(scores: Float[np.ndarray, " model"]) -> Float[np.ndarray, " model"]:
    """Return w* of scores in dB; models without any error share all the weight."""
    behind = np.where(scores == scores.max(), 0, scores.max() - np.where(np.isinf(scores), 0, scores))
    weights = exponential(-(behind**2) / SPREAD**2)
    return weights / weights.sum()


class Method:
    """RefESR with its prior, for images whose degraded inputs are smaller."""

    def __init__(self, settings: dict[str, Any], fitted: str | None):
        assert fitted is not None
        self.fit = fits.load(fitted)
        self.prior = prior_weights(self.fit.arrays["psnr"])

    def given(
        self,
        degraded: Shaped[np.ndarray, "low_height low_width channel"] | None,
        shape: tuple[int, int, int],
    ) -> RefesrOfImage:
        """Return the method for the image with this input and this shape (height, width, channel).

        Raises
        ------
        InputError
            No input, or one that is not smaller than the image.
        """
        scale = scale_of(degraded, shape)
        assert degraded is not None
        low = _luma(np.moveaxis(degraded, 2, 0)) / 255
        return RefesrOfImage(self.fit, self.prior, low, scale)


@dataclass(frozen=True)
class RefesrOfImage:
    """RefESR for one image.

    Attributes
    ----------
    fit : Fit
    prior : float64 array, (model,)
        w*.
    low : float64 array, (low_height, low_width, 1)
        Luma of the degraded input, 0–1.
    scale : int
    """

    fit: fits.Fit
    prior: Float[np.ndarray, " model"]
    low: Float[np.ndarray, "low_height low_width 1"]
    scale: int

    def weights(
        self, x: Shaped[np.ndarray, "model channel height width"]
    ) -> Float[np.ndarray, "model 1 1 1"]:
        """Return the weights of the image, (model, 1, 1, 1)."""
        self.fit.check(x)
        reduced = [imresize(_luma(prediction) / 255, 1 / self.scale).ravel() for prediction in x]
        return solve(np.stack(reduced), self.low.ravel(), self.prior)[:, None, None, None]

    def fuse(
        self, x: Shaped[np.ndarray, "model channel height width"]
    ) -> Float[np.ndarray, "channel height width"]:
        """Return the weighted sum."""
        return weighted_sum(self.weights(x).ravel(), x)


def solve(
    reduced: Float[np.ndarray, "model pixel"],
    low: Float[np.ndarray, " pixel"],
    prior: Float[np.ndarray, " model"],
) -> Float[np.ndarray, " model"]:
    """Minimise ‖low − Σ w_m reduced_m‖² + λ‖w − prior‖² with Σw = 1."""
    from ensir.arithmetic.systems import with_sum_one  # Numba takes a moment to load

    products = np.array([[(one * other).sum() for other in reduced] for one in reduced])
    sides = np.array([(one * low).sum() for one in reduced])
    return with_sum_one(products + RIDGE * np.eye(len(prior)), sides + RIDGE * prior)


def scale_of(degraded: np.ndarray | None, shape: tuple[int, int, int]) -> int:
    """Return the size of an image over that of its input; raise an InputError where this is no super-resolution."""
    scale = shape[0] // degraded.shape[0] if degraded is not None else 1
    if degraded is None or scale < 2:
        what = "has no degraded input" if degraded is None else "is no larger than its degraded input"
        raise InputError(f"refesr is for super-resolution: an image of {shape[1]}×{shape[0]} pixels {what}")
    return scale


def _luma(image: Shaped[np.ndarray, "channel height width"]) -> Float[np.ndarray, "height width 1"]:
    """Return the luma of an image of 8 or 16 bit, in levels of 0–255; grey stays as it is."""
    levels = np.moveaxis(image, 0, 2) / unit(8 * image.itemsize)
    return luma(levels) if len(image) == 3 else levels
