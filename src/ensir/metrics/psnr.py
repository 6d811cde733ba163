"""The peak signal-to-noise ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.images import similarity
from ensir.metrics import Metric

if TYPE_CHECKING:
    from jaxtyping import Float


class Psnr(Metric):
    """Peak signal-to-noise ratio in dB, over all channels, for a range of 255."""

    kind: Literal["psnr"] = "psnr"

    label: ClassVar[str] = "PSNR"
    unit: ClassVar[str] = "dB"
    digits: ClassVar[int] = 2


def measure(
    target: Float[np.ndarray, "height width channel"],
    result: Float[np.ndarray, "height width channel"],
    settings: dict[str, Any],
) -> float:
    """Return the PSNR; infinite where both are equal."""
    return similarity.psnr(target, result)


def running(peak: float) -> similarity.Running:
    """Return the PSNR of images in 0–`peak`, computed block by block."""
    return similarity.RunningPsnr(peak)
