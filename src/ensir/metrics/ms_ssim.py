"""The multi-scale structural similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.metrics import Metric

if TYPE_CHECKING:
    from jaxtyping import Float

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, from the finest
RADIUS, SIGMA = 5, 1.5  # of the Gaussian window, in pixels
LUMINANCE, CONTRAST = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # C1 and C2


class MsSsim(Metric):
    """Multi-scale structural similarity (Wang 2003), mean over the channels: 1 where equal; from 176 pixels a side."""

    kind: Literal["ms_ssim"] = "ms_ssim"

    label: ClassVar[str] = "MS-SSIM"
    smallest: ClassVar[int] = (2 * RADIUS + 1) * 2 ** (len(WEIGHTS) - 1)


def measure(
    target: Float[np.ndarray, "height width channel"],
    result: Float[np.ndarray, "height width channel"],
    settings: dict[str, Any],
) -> float:
    """Return the MS-SSIM, mean over the channels; 1 where both are equal.

    Wang et al. (2003), "Multi-scale structural similarity for image quality assessment", equation 7: an 11×11 Gaussian
    window of σ = 1.5 inside the image, population covariance; from scale to scale, the means of 2×2 pixels. Contrast
    and structure below zero, as of images that are nothing alike, count as zero.

    Parameters
    ----------
    target, result : float arrays, (height, width, channel)
        One or three channels, 0–255, at least 176 pixels high and wide.
    """
    return float(np.mean([_of_channel(target[..., c], result[..., c]) for c in range(target.shape[2])]))


def _of_channel(y: Float[np.ndarray, "height width"], x: Float[np.ndarray, "height width"]) -> float:
    similarity = 1.0
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            y, x = _halved(y), _halved(x)
        luminance, contrast = _terms(y, x)
        last = scale == len(WEIGHTS) - 1
        mean = np.mean(luminance * contrast if last else contrast)
        similarity *= max(mean, 0.0) ** weight
    return similarity


def _halved(image: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "high wide"]:
    """Return the means of 2×2 pixels; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in image.shape)
    even = image[:height, :width]
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4


def _terms(
    y: Float[np.ndarray, "height width"], x: Float[np.ndarray, "height width"]
) -> tuple[Float[np.ndarray, "high wide"], Float[np.ndarray, "high wide"]]:
    """Return the luminance term, and that of contrast and structure, at every place of the window."""
    mean_y, mean_x = _weighted(y), _weighted(x)
    variance_y, variance_x = _weighted(y * y) - mean_y**2, _weighted(x * x) - mean_x**2
    covariance = _weighted(y * x) - mean_y * mean_x
    luminance = (2 * mean_y * mean_x + LUMINANCE) / (mean_y**2 + mean_x**2 + LUMINANCE)
    return luminance, (2 * covariance + CONTRAST) / (variance_y + variance_x + CONTRAST)


def _weighted(image: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "high wide"]:
    """Return the means under the window, where it is inside the image."""
    from scipy.ndimage import correlate1d

    window = np.exp(-(np.arange(-RADIUS, RADIUS + 1) ** 2) / (2 * SIGMA**2))
    window /= window.sum()
    inside = slice(RADIUS, -RADIUS)
    return correlate1d(correlate1d(image, window, 0)[inside], window, 1)[:, inside]
