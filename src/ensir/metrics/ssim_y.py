"""The structural similarity of luma, whatever space the other metrics compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.images import similarity
from ensir.metrics import Metric

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped


class SsimY(Metric):
    """SSIM of BT.601 luma as in MATLAB's `rgb2ycbcr`, beside a score of RGB."""

    kind: Literal["ssim_y"] = "ssim_y"

    label: ClassVar[str] = "SSIM-Y"
    smallest: ClassVar[int] = 11


def measure(
    target: Float[np.ndarray, "height width channel"],
    result: Float[np.ndarray, "height width channel"],
    settings: dict[str, Any],
) -> float:
    """Return the SSIM of luma; 1 where both are equal."""
    return similarity.ssim(target, result, as_luma=target.shape[2] == 3)


def measure_stored(
    target: Shaped[np.ndarray, "height width channel"],
    result: Shaped[np.ndarray, "height width channel"],
    peak: float,
    as_luma: bool,
) -> float:
    """Return the SSIM of luma of images as they are stored, in 0–`peak`, without copying them."""
    return similarity.ssim(target, result, peak, as_luma=target.shape[2] == 3)
