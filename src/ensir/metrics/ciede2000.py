"""The colour difference CIEDE2000."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.metrics import Metric

if TYPE_CHECKING:
    from jaxtyping import Float


class Ciede2000(Metric):
    """Mean colour difference ΔE₀₀ (Sharma 2005) of sRGB: 0 where equal, 1 is about the least that is seen."""

    kind: Literal["ciede2000"] = "ciede2000"

    label: ClassVar[str] = "ΔE₀₀"
    digits: ClassVar[int] = 2
    higher_is_better: ClassVar[bool] = False
    of_colours: ClassVar[bool] = True


def measure(
    target: Float[np.ndarray, "height width channel"],
    result: Float[np.ndarray, "height width channel"],
    settings: dict[str, Any],
) -> float:
    """Return the mean CIEDE2000 over the pixels; 0 where both are equal, lower is better.

    Parameters
    ----------
    target, result : float arrays, (height, width, channel)
        sRGB or grey, 0–255; values outside are clipped.
    """
    from skimage.color import deltaE_ciede2000, rgb2lab

    def lab(image: np.ndarray) -> np.ndarray:
        return rgb2lab(np.broadcast_to(np.clip(image / 255, 0, 1), (*image.shape[:2], 3)))

    return float(np.mean(deltaE_ciede2000(lab(target), lab(result))))
