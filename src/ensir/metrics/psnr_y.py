"""The peak signal-to-noise ratio of luma, whatever space the other metrics compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.images import similarity
from ensir.metrics import Metric

if TYPE_CHECKING:
    from jaxtyping import Float


class PsnrY(Metric):
    """PSNR of BT.601 luma as in MATLAB's `rgb2ycbcr`, beside a score of RGB."""

    kind: Literal["psnr_y"] = "psnr_y"

    label: ClassVar[str] = "PSNR-Y"
    unit: ClassVar[str] = "dB"
    digits: ClassVar[int] = 2


def measure(
    target: Float[np.ndarray, "height width channel"],
    result: Float[np.ndarray, "height width channel"],
    settings: dict[str, Any],
) -> float:
    """Return the PSNR of luma in dB; infinite where both are equal."""
    return similarity.psnr(target, result, as_luma=target.shape[2] == 3)


def running(peak: float) -> similarity.Running:
    """Return the PSNR of luma of images in 0–`peak`, computed block by block."""
    return similarity.RunningPsnr(peak, of_luma=True)
