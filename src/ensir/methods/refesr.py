"""RefESR: one weight per model and image, so that the downscaled sum meets the degraded input.

On luma of 0–1: min ‖LR − D·Xw‖² + λ‖w − w*‖² with Σw = 1. D is bicubic downscaling without rounding; the prior
w*_m ∝ exp(−(max s − s_m)²/ρ²) comes from the models' PSNRs s on the reference. Weights may be negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from ensir import InputError
from ensir.methods import Progress, fits, weighted_sum
from ensir.methods.fits import Reference
from ensir.metrics import luma, psnr
from ensir.priors.operators import imresize

RIDGE = 0.8  # λ
SPREAD = 0.07  # ρ, in dB
DIMENSIONS = {"psnr": ("model",)}


def fit(
    reference: Reference, settings: dict[str, Any], progress: Progress
) -> dict[str, Float[np.ndarray, " model"]]:
    """Return the mean PSNR of each model on the reference, in dB: on luma, without a border of `scale` pixels."""
    scores = []
    for i, shape in enumerate(reference.shapes):
        crop = scale_of(reference.input(i), shape)
        inner = np.s_[crop : shape[0] - crop, crop : shape[1] - crop]
        target = _luma(reference.target(i), shape)[inner]
        scores.append([psnr(target, _luma(x, shape)[inner]) for x in reference.predictions(i)])
        progress(i + 1, len(reference))
    return {"psnr": np.mean(scores, axis=0)}


def prior_weights(scores: Float[np.ndarray, " model"]) -> Float[np.ndarray, " model"]:
    """Return w* of scores in dB; models without any error share all the weight."""
    behind = np.where(scores == scores.max(), 0, scores.max() - np.where(np.isinf(scores), 0, scores))
    weights = np.exp(-(behind**2) / SPREAD**2)
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
        """Return the method for the image of this input and this (height, width, channel).

        Raises
        ------
        InputError
            No input, or one that is not smaller than the image.
        """
        scale = scale_of(degraded, shape)
        assert degraded is not None
        low = degraded.reshape(-1, degraded.shape[2]).T
        return RefesrOfImage(self.fit, self.prior, _luma(low, degraded.shape) / 255, scale, shape)


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
    shape : (height, width, channel)
    """

    fit: fits.Fit
    prior: Float[np.ndarray, " model"]
    low: Float[np.ndarray, "low_height low_width 1"]
    scale: int
    shape: tuple[int, int, int]

    def weights(self, x: Shaped[np.ndarray, "model channel pixel"]) -> Float[np.ndarray, "model 1 1"]:
        """Return the weights of the image, (model, 1, 1)."""
        self.fit.check(x)
        reduced = [imresize(_luma(prediction, self.shape) / 255, 1 / self.scale).ravel() for prediction in x]
        return solve(np.stack(reduced), self.low.ravel(), self.prior)[:, None, None]

    def fuse(self, x: Shaped[np.ndarray, "model channel pixel"]) -> Float[np.ndarray, "channel pixel"]:
        """Return the weighted sum."""
        return weighted_sum(self.weights(x).ravel(), x)


def solve(
    reduced: Float[np.ndarray, "model pixel"],
    low: Float[np.ndarray, " pixel"],
    prior: Float[np.ndarray, " model"],
) -> Float[np.ndarray, " model"]:
    """Minimise ‖low − Σ w_m reduced_m‖² + λ‖w − prior‖² with Σw = 1: normal equations with one multiplier."""
    models = len(prior)
    system = np.ones((models + 1, models + 1))
    system[:models, :models] = reduced @ reduced.T + RIDGE * np.eye(models)
    system[models, models] = 0
    return np.linalg.solve(system, np.append(reduced @ low + RIDGE * prior, 1))[:models]


def scale_of(degraded: np.ndarray | None, shape: tuple[int, int, int]) -> int:
    """Return the size of an image over that of its input; an InputError where this is no super-resolution."""
    scale = shape[0] // degraded.shape[0] if degraded is not None else 1
    if degraded is None or scale < 2:
        what = "has no degraded input" if degraded is None else "is no larger than its degraded input"
        raise InputError(f"refesr is for super-resolution: an image of {shape[1]}×{shape[0]} pixels {what}")
    return scale


def _luma(
    rows: Shaped[np.ndarray, "channel pixel"], shape: tuple[int, ...]
) -> Float[np.ndarray, "height width 1"]:
    """Return the luma of a flattened image of 8 or 16 bit, in levels of 0–255; grey stays as it is."""
    image = rows.T.reshape(shape) / (np.iinfo(rows.dtype).max / 255)
    return luma(image) if shape[2] == 3 else image
