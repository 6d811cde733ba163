"""Go through a pair of images in blocks of rows, as float64, so that no whole image is ever converted at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ensir.images.colours import LUMA

if TYPE_CHECKING:
    from jaxtyping import Float64, Shaped

ROWS = 64  # of a block; sums are formed block by block, so that another number changes their last bits


def row_blocks(
    target: Shaped[np.ndarray, "height width channel"],
    result: Shaped[np.ndarray, "height width channel"],
    peak: float = 255,
    as_luma: bool = False,
    overlap: int = 0,
) -> Iterator[tuple[Float64[np.ndarray, "row width"], Float64[np.ndarray, "row width"], int]]:
    """Yield the same rows of one channel of both images: block by block and, in each block, channel by channel.

    Parameters
    ----------
    target, result : real arrays of one shape, (height, width, channel), or images of a store
        In 0–`peak`, of any dtype and memory layout; sliced by rows alone.
    peak : float
        255, or 65535 for 16-bit values.
    as_luma : bool
        Turn RGB into BT.601 luma, 16–235 of 255, unrounded.
    overlap : int
        Rows that a block shares with the next one.

    Yields
    ------
    target, result : C-contiguous float64 arrays, (row, width)
        Up to `ROWS` + `overlap` rows, valid until the next block.
    fresh : int
        Number of their first rows that are in no later block.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    if target.shape != result.shape:
        raise ValueError(f"the target has shape {target.shape}, the result {result.shape}")
    height, width, channels = target.shape
    buffers = np.empty((3, min(height, ROWS + overlap), width))
    for first in range(0, height - overlap, ROWS):
        rows = slice(first, first + ROWS + overlap)
        target_rows, result_rows = target[rows], result[rows]
        x, y, scratch = buffers[:, : len(target_rows)]
        fresh = len(x) if first + ROWS >= height - overlap else ROWS
        if as_luma:
            _luma(target_rows, peak, x, scratch)
            _luma(result_rows, peak, y, scratch)
            yield x, y, fresh
            continue
        for channel in range(channels):
            np.copyto(x, target_rows[:, :, channel])
            np.copyto(y, result_rows[:, :, channel])
            yield x, y, fresh


def _luma(
    rgb: Shaped[np.ndarray, "row width 3"],
    peak: float,
    luma: Float64[np.ndarray, "row width"],
    scratch: Float64[np.ndarray, "row width"],
) -> None:
    """Write the luma of RGB, summed in the order of the channels: the same bits on every machine."""
    np.multiply(rgb[:, :, 0], LUMA[0], out=luma, dtype=np.float64)
    for channel in (1, 2):
        np.multiply(rgb[:, :, channel], LUMA[channel], out=scratch, dtype=np.float64)
        luma += scratch
    luma += 16 / 255 * peak
