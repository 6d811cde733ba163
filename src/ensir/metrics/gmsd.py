"""The gradient magnitude similarity deviation: how unevenly edges are hurt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.images import colours
from ensir.metrics import Metric

if TYPE_CHECKING:
    from jaxtyping import Float

PREWITT = np.array([[1, 0, -1]] * 3) / 3
CONSTANT = 170  # T of the paper, for levels of 0–255


class Gmsd(Metric):
    """Gradient magnitude similarity deviation (Xue 2014) of luma: 0 where equal."""

    kind: Literal["gmsd"] = "gmsd"

    label: ClassVar[str] = "GMSD"
    higher_is_better: ClassVar[bool] = False
    smallest: ClassVar[int] = 4


def measure(
    target: Float[np.ndarray, "height width channel"],
    result: Float[np.ndarray, "height width channel"],
    settings: dict[str, Any],
) -> float:
    """Return the GMSD; 0 where both are equal, lower is better.

    Xue et al. (2014), "Gradient magnitude similarity deviation", equations 1, 4 and 6, as in the authors' code: of the
    means of 2×2 pixels every second is taken, zeros are beyond the border, and the deviation is that of a sample.

    Parameters
    ----------
    target, result : float arrays, (height, width, channel)
        One or three channels, 0–255.
    """
    gradients = [_gradient(image) for image in (target, result)]
    product, squares = gradients[0] * gradients[1], gradients[0] ** 2 + gradients[1] ** 2
    return float(np.std((2 * product + CONSTANT) / (squares + CONSTANT), ddof=1))


def _gradient(image: Float[np.ndarray, "height width channel"]) -> Float[np.ndarray, "high wide"]:
    """Return the gradient's magnitude at half the size."""
    from scipy.ndimage import convolve

    grey = (colours.luma(image) if image.shape[2] == 3 else image)[..., 0]
    below = np.pad(grey, ((0, 1), (0, 1)))
    half = (below[:-1, :-1] + below[1:, :-1] + below[:-1, 1:] + below[1:, 1:])[::2, ::2] / 4
    return np.hypot(*(convolve(half, kernel, mode="constant") for kernel in (PREWITT, PREWITT.T)))
