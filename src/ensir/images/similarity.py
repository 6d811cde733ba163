"""How similar a result is to its target: PSNR and SSIM.

Both are (height, width, channel) arrays, in 0–255 unless another peak is given. They are converted to float64 in blocks
of rows: arrays of any dtype and memory layout can be used as stored, and no image is copied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ensir.arithmetic.functions import decibels
from ensir.images.row_blocks import row_blocks

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Shaped


def psnr(
    target: Shaped[np.ndarray, "height width channel"],
    result: Shaped[np.ndarray, "height width channel"],
    peak: float = 255,
    as_luma: bool = False,
) -> float:
    """Return the peak signal-to-noise ratio in dB, over all channels; infinite where both are equal.

    Parameters
    ----------
    target, result : real arrays of one shape, (height, width, channel)
        In 0–`peak`.
    peak : float
        The range: 255, or 65535 for 16-bit values.
    as_luma : bool
        Compare the BT.601 luma of RGB.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    total, size = 0.0, 0
    for y, x in row_blocks(target, result, peak, as_luma):
        x -= y
        x *= x
        total += float(x.sum())
        size += x.size
    error = total / size
    return float("inf") if error == 0 else float(decibels(peak**2 / error))


def ssim(
    target: Shaped[np.ndarray, "height width channel"],
    result: Shaped[np.ndarray, "height width channel"],
    peak: float = 255,
    as_luma: bool = False,
) -> float:
    """Return the structural similarity: 11×11 Gaussian of σ 1.5, valid region, mean over the channels.

    Wang et al. (2004), with population variances, K1 = 0.01 and K2 = 0.03.

    Parameters
    ----------
    target, result : real arrays of one shape, (height, width, channel)
        In 0–`peak`.
    peak : float
        The range: 255, or 65535 for 16-bit values.
    as_luma : bool
        Compare the BT.601 luma of RGB.

    Raises
    ------
    ValueError
        No window fits into the image, or the shapes differ.
    """
    from ensir.images.ssim_kernel import WINDOW, summed_similarity

    height, width, channels = target.shape
    if min(height, width) < WINDOW:
        raise ValueError(f"needs {WINDOW}×{WINDOW} pixels, has {width}×{height}")
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    total = 0.0
    for y, x in row_blocks(target, result, peak, as_luma, overlap=WINDOW - 1):
        total += summed_similarity(y, x, c1, c2)
    windows = (height - WINDOW + 1) * (width - WINDOW + 1) * (1 if as_luma else channels)
    return total / windows
