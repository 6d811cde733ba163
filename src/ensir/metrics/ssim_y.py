"""The structural similarity of luma, whatever space the other metrics compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.images import similarity
from ensir.metrics import Metric

if TYPE_CHECKING:
    from jaxtyping import Float


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


def running(peak: float) -> similarity.Running:
    """Return the SSIM of luma of images in 0–`peak`, computed block by block."""
    return similarity.RunningSsim(peak, of_luma=True)
