"""Keys: which cell a value is in. The only module that knows bin edges and the base T.

A key numbers a bin set: the bin of each model in base T, that of the last model fastest.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd
from typing import TYPE_CHECKING

import numpy as np

from ensir.errors import InputError
from ensir.images.depth import unit

if TYPE_CHECKING:
    from jaxtyping import Int, Integer, UInt64

LEVELS = 256  # of 8 bits: bin widths are in these levels, whatever the depth
LEVELS_OF_CONTEXT = 8  # of each part of a key of context
MOST_BIN_SETS = 2**61  # times three channels they are numbered in 64 bits


def bins(bin_width: int) -> int:
    """Return T, the number of bins of a model."""
    return -(-LEVELS // bin_width)


def finest(bin_widths: Iterable[int]) -> int:
    """Return the width whose bins add up to those of all widths: the greatest common divisor; 0 without widths."""
    return gcd(*bin_widths)


def too_many(bin_width: int, models: int) -> bool:
    """Return whether there are more bin sets than can be numbered."""
    return bins(bin_width) ** models > MOST_BIN_SETS


def key_tables(models: int, bin_width: int, bits: int) -> UInt64[np.ndarray, "model value"]:
    """Return what each value of each model adds to the key: bin · T^(M-1-m).

    Raises
    ------
    InputError
        There are more bin sets than can be numbered.
    """
    if too_many(bin_width, models):
        raise InputError(
            f"bins of width {bin_width} make more than 2^61 bin sets of {models} models; widen the bins, or use fewer "
            "models"
        )
    bin_of = np.arange(2**bits) // (bin_width * unit(bits))
    return np.stack([bin_of * bins(bin_width) ** (models - 1 - m) for m in range(models)]).astype(np.uint64)


def multipliers(bin_width: int, bits: int) -> tuple[int, int]:
    """Return what finds the bin of a value without a division: level = value · a >> 24, bin = level · b >> 16.

    Exact for all values and widths, in 32 bits.

    Returns
    -------
    int, int
        a, b.
    """
    return -(-(2**24) // unit(bits)), 2**16 // bin_width + 1


def bins_of(key: Integer[np.ndarray, " cell"], bin_width: int, models: int) -> Int[np.ndarray, "cell model"]:
    """Return the bin of each model from keys."""
    base = bins(bin_width)
    return key[:, None] // base ** np.arange(models - 1, -1, -1, dtype=np.int64) % base


def key_of(bin_of: Integer[np.ndarray, "cell model"], bin_width: int) -> Int[np.ndarray, " cell"]:
    """Return keys from the bin of each model: the inverse of `bins_of`."""
    key = np.zeros(len(bin_of), np.int64)
    for column in bin_of.T:
        key = key * bins(bin_width) + column
    return key


def coarsened(
    key: Integer[np.ndarray, " cell"], bin_width: int, wider: int, models: int
) -> Int[np.ndarray, " cell"]:
    """Return the keys for bins of a multiple of the width.

    Raises
    ------
    ValueError
        The new width is no multiple of the old one.
    """
    if wider % bin_width:
        raise ValueError(f"{wider} is no multiple of the bin width {bin_width}")
    return key_of(bins_of(key, bin_width, models) // (wider // bin_width), wider)
