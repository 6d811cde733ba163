"""Depths: the code values of 8 and 16 bits, and how floats become them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ensir.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

log = logging.getLogger(__name__)

CODES = (np.uint8, np.uint16)  # whose black and white are known
FAR = 10  # levels of 0–255; edges ring by more, but not on a quarter of a picture
WHOLE = 1000  # values from which on some of a picture are dark
ALL_BLACK, ALL_BRIGHT = "all of its values are black in", "all of its values lie in the upper half of"
RANGES = ((0, 1), (-1, 1), (0, 255), (0, 1023), (0, 4095), (0, 65535))  # usual ranges of floats


def unit(bits: int) -> int:
    """Return the code values per level of 0–255: 1 for 8 bits, 257 for 16."""
    return white(bits) // white(8)


def white(bits: int) -> int:
    """Return the largest code value of so many bits, such as 8 or 16."""
    return 2**bits - 1


def to_integers(
    value: Shaped[np.ndarray, "*shape"], dtype: np.dtype | type | str, what: str
) -> Shaped[np.ndarray, "*shape"]:
    """Round floats to the nearest integer (ties to even) and clip them to the range of a dtype.

    Parameters
    ----------
    value : float or integer array
        In code values: 0–255 for uint8, 0–65535 for uint16.
    dtype : uint8 or uint16
    what : str
        What is being rounded, for the error message.

    Raises
    ------
    InputError
        A value is NaN or infinite, or an integer array is of another dtype.
    """
    dtype = np.dtype(dtype)
    if value.dtype == dtype:
        return value
    if not np.issubdtype(value.dtype, np.floating):
        raise InputError(
            f"{what}: holds {value.dtype} values where the targets are {dtype}; convert one of them"
        )
    bad = int(value.size - np.isfinite(value).sum())
    if bad:
        raise InputError(f"{what}: {bad} of {value.size} values are NaN or infinite")
    return np.clip(np.rint(value), 0, np.iinfo(dtype).max).astype(dtype)


def extent(target: Shaped[np.ndarray, "*shape"]) -> tuple[float, float]:
    """Return the darkest and the brightest level (0–255) of code values; those that are not uint16 are of 8 bits."""
    levels = unit(16 if target.dtype == np.uint16 else 8)
    return float(target.min()) / levels, float(target.max()) / levels


def in_code_values(
    value: Shaped[np.ndarray, "*shape"], value_range: Sequence[float], bits: int
) -> Float[np.ndarray, "*shape"]:
    """Scale values, whose black and white are given, to the code values of 8 or 16 bits: float64, unrounded."""
    black, bright = value_range
    return (value.astype(np.float64) - black) * (white(bits) / (bright - black))


def means_codes(dtype: np.dtype, value_range: Sequence[float] | None) -> bool:
    """Return whether values are code values of their own depth, so that no declared range concerns them.

    So are uint8 and uint16, but for uint16 of which a white above 255 is declared: 12 bits are [0, 4095].
    """
    if dtype == np.uint16 and value_range is not None:
        return value_range[1] <= white(8) or tuple(value_range) == (0, white(16))
    return dtype in CODES


def next_white(dtype: np.dtype, value_range: Sequence[float] | None) -> float | None:
    """Return the largest value of the next smaller range that is usual; None where there is none.

    It is 14 bits for uint16, unless a range is declared; a network overshoots in that of floats.
    """
    if means_codes(dtype, value_range):
        return white(14) if dtype == np.uint16 and not (value_range and value_range[1] > white(8)) else None
    if value_range is None:
        return None
    smaller = [bright for black, bright in RANGES if black == value_range[0] and bright < value_range[1]]
    return 1.05 * max(smaller) if smaller else None


def check_range(
    value: Float[np.ndarray, "*shape"],
    black: float,
    white: float,
    what: str,
    extent: Callable[[], tuple[float, float]] | None = None,
    fix: str = "declare the model's `value_range`",
    intended: str = "set `any_range: true`",
    doubted: Callable[[str], None] = log.warning,
) -> None:
    """Refuse values that are probably in another range than the declared one.

    Sharp edges ring: some values of a picture lie outside of its range, few of them far. More, or values that are black
    where the target is not, are in another range. Where there is no target, a picture may be dark or bright: a warning.

    Parameters
    ----------
    value : float or integer array
    black, white : float
        The declared range.
    what : str
        What is checked, for the error message.
    extent : callable or None
        Returns the darkest and the brightest level (0–255) of the target; called where all values are close to black,
        or in the upper half of a range that begins below zero. None: there is no target.
    fix, intended : str
        How to fix it, and what to do where it is intended, for the message.
    doubted : callable
        Takes the message for what is only doubtful.

    Raises
    ------
    InputError
        Names the likely range.
    """
    level, quarter = (white - black) / 255, (white - black) / 4
    if _outside(value, black, white, quarter) > 0.01 or _outside(value, black, white, FAR * level) > 0.25:
        wrong = f"{100 * _outside(value, black, white, FAR * level):.3g} % of its values lie far outside"
    elif extent and not (value > black + level).any() and extent()[1] > FAR:
        wrong = "all of its values, but not the target's, are black in"
    elif extent and black < 0 and not (value < (black + white) / 2 - level).any() and extent()[0] < 127 - FAR:
        wrong = "all of its values, but not the target's, lie in the upper half of"
    elif not extent and (doubts := doubt(value, black, white)):
        doubted(_message(value, black, white, f"{what}: {doubts}", f"{fix}, or {intended}"))
        return
    else:
        return
    if np.isfinite(value).any():  # `to_integers` reports values that are not finite
        raise InputError(_message(value, black, white, f"{what}: {wrong}", f"{fix}, or {intended}"))


def doubt(value: Shaped[np.ndarray, "*shape"], black: float, white: float) -> str:
    """Return what makes the declared range of a picture doubtful, by itself; empty where nothing does.

    It is all black, but not all zero, where smaller ranges are usual; or it has no dark value in a range that begins
    below zero.
    """
    if not value.size:
        return ""
    level, most, smaller = (white - black) / 255, float(value.max()), black == 0 and white >= 255
    if smaller and level / 2 < most <= level and (white > 255 or (value != np.rint(value)).any()):
        return ALL_BLACK
    if black < 0 and value.size >= WHOLE and value.min() >= (black + white) / 2:
        return ALL_BRIGHT
    return ""


def _outside(value: Shaped[np.ndarray, "*shape"], black: float, white: float, by: float) -> float:
    """Return the share of the values that lie outside a range by more than so much."""
    return (np.count_nonzero(value < black - by) + np.count_nonzero(value > white + by)) / max(value.size, 1)


def _message(value: Shaped[np.ndarray, "*shape"], black: float, white: float, wrong: str, fixes: str) -> str:
    """Return a message that names the likely range."""
    low, high = np.percentile(value[np.isfinite(value)], (0.5, 99.5))
    likely = next(
        (
            f"perhaps [{b}, {w}]"
            for b, w in RANGES
            if (b, w) != (black, white) and b - (w - b) / 20 <= low and high <= w + (w - b) / 20
        ),
        "no usual range",
    )
    told = f"{wrong} [{black:g}, {white:g}]; they go from {low:.4g} to {high:.4g}: {likely}"
    return f"{told}; {fixes} where this is intended"
