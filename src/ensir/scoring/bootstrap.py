"""Bootstrap: how sure a mean difference over a few images is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

RESAMPLES = 10_000
LEVEL = 0.95
AT_ONCE = 2**22  # drawn images that are held in memory at once


class Interval(NamedTuple):
    """A mean difference and its 95 % interval; NaN where there are too few images."""

    mean: float
    low: float
    high: float

    @property
    def holds_zero(self) -> bool:
        """Whether the difference is not significant; False where there is no interval."""
        return self.low <= 0 <= self.high


def intervals(differences: Float[np.ndarray, "comparison image"], seed: int = 0) -> list[Interval]:
    """Return the mean of paired differences with its percentile bootstrap interval (Efron and Tibshirani 1993).

    All comparisons are resampled together: every resample draws as many images as there are, with replacement.

    Parameters
    ----------
    differences : float array, (comparison, image)
        Score of one method minus score of another, image by image.
    seed : int

    Returns
    -------
    list of Interval
        One per comparison; without bounds where there are fewer than two images or a difference is not finite.
    """
    images = differences.shape[1]
    if not images:
        return [Interval(np.nan, np.nan, np.nan)] * len(differences)
    finite = np.isfinite(differences).all(axis=1)
    bounds = np.full((2, len(differences)), np.nan)
    if images > 1:
        means = _resampled(np.where(finite[:, None], differences, 0), seed)
        bounds = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        bounds[:, ~finite] = np.nan
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        mean = differences.mean(axis=1)
    return [Interval(*row) for row in np.stack([mean, *bounds], axis=1).tolist()]


def _resampled(
    differences: Float[np.ndarray, "comparison image"], seed: int
) -> Float[np.ndarray, "resample comparison"]:
    """Return the means of all resamples, drawn block by block."""
    random = np.random.default_rng(seed)
    images = differences.shape[1]
    step = max(1, AT_ONCE // images)
    means = []
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        drawn = random.integers(images, size=(rows, images)) + images * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * images).reshape(rows, images)
        means.append(times @ differences.T / images)
    return np.concatenate(means)
