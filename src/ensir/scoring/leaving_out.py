"""Leaving one image out: what is gained over the plain average where nothing was fitted to, or chosen by, an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ensir.arithmetic.functions import decibels
from ensir.errors import InputError
from ensir.scoring.interval import intervals

if TYPE_CHECKING:
    from jaxtyping import Float64, Shaped

SMALLEST_ERROR = 1e-10  # of the plain average's: no image gains more than 100 dB


def gain(average: float, error: float) -> float:
    """Return the gain in dB of a squared error over that of the average, which is not zero."""
    return float(decibels(average / max(error, SMALLEST_ERROR * average)))


def chosen_on_others(gains: Float64[np.ndarray, "fold option"]) -> Float64[np.ndarray, " fold"]:
    """Return the gain of each fold by the option with the highest mean gain in the others.

    The plain average is an option, too, with gain 0: it is taken where no other is above it.
    """
    found = np.zeros(len(gains))
    for left_out in range(len(gains)):
        mean = np.delete(gains, left_out, axis=0).mean(axis=0)
        if mean.max() > 0:
            found[left_out] = gains[left_out, mean.argmax()]
    return found


def said(gains: Float64[np.ndarray, " fold"]) -> str:
    """Return the mean gain with its interval, in words."""
    mean, low, high = intervals(gains[None])[0]
    between = "" if np.isnan(low) else f" [{low:+.3f}, {high:+.3f}]"
    return f"{mean:+.3f} dB{between} on {len(gains)} images held out in turn"


def check_folds(fold: Shaped[np.ndarray, " fold"]) -> None:
    """Raise an InputError if there is a single fold, so that none can be left out."""
    if len(np.unique(fold)) < 2:
        raise InputError(
            "nothing can be chosen by leaving images out: the reference is a single image; add images to the reference"
        )
