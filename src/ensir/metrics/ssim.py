"""The structural similarity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.images import similarity
from ensir.metrics import Metric

if TYPE_CHECKING:
    from jaxtyping import Float


class Ssim(Metric):
    """Structural similarity (Wang 2004): 11×11 Gaussian of σ 1.5, valid region, mean over the channels."""

    kind: Literal["ssim"] = "ssim"

    label: ClassVar[str] = "SSIM"
    smallest: ClassVar[int] = 11


def measure(
    target: Float[np.ndarray, "height width channel"],
    result: Float[np.ndarray, "height width channel"],
    settings: dict[str, Any],
) -> float:
    """Return the SSIM; 1 where both are equal."""
    return similarity.ssim(target, result)


def running(peak: float) -> similarity.Running:
    """Return the SSIM of images in 0–`peak`, computed block by block."""
    return similarity.RunningSsim(peak)
