"""Fused values of 8-bit images as 16-bit integers: 200 to a level, which any reader of CF attributes decodes.

Where the weights of an image are constant, neighbours in an image are rounded in the same direction, which shifts
PSNR by up to 1e-4 dB. So values are not rounded to the nearest integer, but up or down, by thresholds that are spread
evenly over any run of pixels; what an integer holds exactly remains as it is.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int16

STEPS = 200  # integers per level
OFFSET = 127.5  # level of the integer 0
LOWEST, HIGHEST = OFFSET + np.iinfo(np.int16).min / STEPS, OFFSET + np.iinfo(np.int16).max / STEPS
ATTRIBUTES = {
    "scale_factor": 1 / STEPS,
    "add_offset": OFFSET,
}  # of a packed array, as the CF conventions have it
BLOCK = 2**16  # values that fit into a core's cache
GOLDEN = (5**0.5 - 1) / 2  # its multiples, modulo 1, are spread more evenly than those of any other number
EXACT = 2**-7  # steps by which a float32 may differ from the value that it stands for


class OutOfRange(ValueError):
    """A value is NaN, or outside the levels that can be packed."""


@cache
def _thresholds(channel: int) -> Float[np.ndarray, " block"]:
    """Return what is added to each value of a block of a channel, in steps, before it is rounded down."""
    thresholds = (np.arange(BLOCK) + channel * (BLOCK // 3)) * GOLDEN % 1
    return (EXACT + (1 - 2 * EXACT) * thresholds - STEPS * OFFSET).astype(np.float32)


def pack(value: Float[np.ndarray, "channel pixel"]) -> Int16[np.ndarray, "channel pixel"]:
    """Pack float32 values of an image, in levels of 0–255; each changes by less than a step.

    Parameters
    ----------
    value : float32 array, (channel, pixel)
        An image, flattened, or a run of its pixels that begins at a multiple of `BLOCK`.

    Raises
    ------
    OutOfRange
        A value is NaN, or outside −36…291.
    """
    packed = np.empty(value.shape, np.int16)
    scaled = np.empty(min(BLOCK, value.shape[1]), np.float32)
    lowest, highest = np.float32(LOWEST), np.float32(HIGHEST)
    for channel, row in enumerate(value):
        for start in range(0, len(row), BLOCK):
            block = row[start : start + BLOCK]
            if not (block.min() >= lowest and block.max() <= highest):  # false for NaN
                raise OutOfRange
            steps = np.multiply(block, np.float32(STEPS), out=scaled[: len(block)])
            steps += _thresholds(channel)[: len(block)]
            packed[channel, start : start + BLOCK] = np.floor(steps, out=steps)
    return packed


def unpack(packed: Int16[np.ndarray, "channel pixel"]) -> Float[np.ndarray, "channel pixel"]:
    """Return float32 values, in levels of 0–255."""
    values = packed + np.float32(STEPS * OFFSET)
    values /= np.float32(STEPS)
    return values
