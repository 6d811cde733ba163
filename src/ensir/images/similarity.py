"""How similar a result is to its target: PSNR and SSIM, both in 0–255."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

WINDOW = 11  # pixels, of SSIM


def psnr(
    target: Float[np.ndarray, "height width channel"], result: Float[np.ndarray, "height width channel"]
) -> float:
    """Return the peak signal-to-noise ratio in dB, over all channels, for a range of 255."""
    error = float(np.mean((target - result) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(
    target: Float[np.ndarray, "height width channel"], result: Float[np.ndarray, "height width channel"]
) -> float:
    """Return the structural similarity: 11×11 Gaussian of σ 1.5, valid region, mean over the channels.

    Raises
    ------
    ValueError
        No window fits into the image.
    """
    from skimage.metrics import structural_similarity

    height, width = target.shape[:2]
    if min(height, width) < WINDOW:
        raise ValueError(f"needs {WINDOW}×{WINDOW} pixels, has {width}×{height}")
    _, similarity = structural_similarity(
        target,
        result,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2,
        full=True,
    )
    return float(similarity[5:-5, 5:-5].mean())
