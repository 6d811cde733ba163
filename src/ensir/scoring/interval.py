"""How sure a mean difference over a few images is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

LEVEL = 0.95


class Interval(NamedTuple):
    """A mean difference and its 95 % interval; NaN where there are too few images."""

    mean: float
    low: float
    high: float

    @property
    def holds_zero(self) -> bool:
        """Whether the difference is not significant; False where there is no interval."""
        return self.low <= 0 <= self.high


def intervals(differences: Float[np.ndarray, "comparison image"]) -> list[Interval]:
    """Return the mean of paired differences with its 95 % interval: Student's t (1908).

    Parameters
    ----------
    differences : float array, (comparison, image)
        Score of one method minus score of another, image by image.

    Returns
    -------
    list of Interval
        One per comparison; without bounds where there are fewer than two images or a difference is not finite.
    """
    from scipy.special import stdtrit

    images = differences.shape[1]
    if not images:
        return [Interval(math.nan, math.nan, math.nan)] * len(differences)
    half = np.full(len(differences), np.nan)
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        mean = differences.mean(axis=1)
    finite = np.isfinite(differences).all(axis=1)
    if images > 1:
        spread = differences[finite].std(axis=1, ddof=1)
        half[finite] = stdtrit(images - 1, (1 + LEVEL) / 2) * spread / math.sqrt(images)
    return [Interval(*row) for row in np.stack([mean, mean - half, mean + half], axis=1).tolist()]
