"""How similar a result is to its target: PSNR and SSIM.

Both are (height, width, channel) arrays, in 0–255 unless another peak is given. They are converted to float64 in blocks
of rows: arrays of any dtype and memory layout can be used as stored, and no image is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ensir.arithmetic.functions import decibels
from ensir.execution.machine_code import Kernel
from ensir.images.row_blocks import ROWS, row_blocks

if TYPE_CHECKING:
    from jaxtyping import Float64, Shaped

WINDOW = 11  # side of the window of SSIM, in pixels
TILE = 64  # columns that its kernel goes through at once
SPAN = TILE + 16  # columns that it needs for them, in whole vectors
SUMMED_SIMILARITY = Kernel(
    "ensir.images.ssim_kernel",
    "summed_similarity",
    "float64(CPointer(float64), CPointer(float64), int64, int64, float64, float64, "
    "CPointer(float64), CPointer(float64), CPointer(float64))",
    wide=True,
)
SUMMED_SQUARES = Kernel(
    "ensir.images.squares_kernel",
    "summed_squares",
    "float64(CPointer(float64), CPointer(float64), int64, CPointer(float64), CPointer(float64), CPointer(int64))",
)


class Running(Protocol):
    """A similarity that is computed block by block.

    Attributes
    ----------
    overlap : int
        Rows that a block shares with the next one.
    of_luma : bool
        Whether it gets the luma of RGB, whatever the space of the score.
    """

    overlap: int
    of_luma: bool

    def add(
        self, y: Float64[np.ndarray, "row width"], x: Float64[np.ndarray, "row width"], fresh: int
    ) -> None:
        """Add a block of a channel of target and result, of which the first `fresh` rows are in no later one."""
        ...

    def value(self) -> float:
        """Return the similarity of what has been added."""
        ...


class RunningPsnr:
    """The peak signal-to-noise ratio in dB, over all channels; infinite where both are equal."""

    overlap = 0

    def __init__(self, peak: float, of_luma: bool = False):
        self.of_luma, self.peak, self.total, self.size = of_luma, peak, 0.0, 0
        # `LANES` and `DEPTH` of the kernel
        self.scratch = (np.empty(8), np.empty(64), np.empty(64, np.int64))

    def add(
        self, y: Float64[np.ndarray, "row width"], x: Float64[np.ndarray, "row width"], fresh: int
    ) -> None:
        """See Running."""
        for first in range(0, fresh, ROWS):
            rows = slice(first, min(first + ROWS, fresh))
            self.total += SUMMED_SQUARES(y[rows], x[rows], x[rows].size, *self.scratch)
            self.size += x[rows].size

    def value(self) -> float:
        """See Running."""
        error = self.total / self.size
        return float("inf") if error == 0 else float(decibels(self.peak**2 / error))


class RunningSsim:
    """The structural similarity: 11×11 Gaussian of σ 1.5, valid region, mean over the channels."""

    overlap = WINDOW - 1

    def __init__(self, peak: float, of_luma: bool = False):
        self.of_luma = of_luma
        self.constants = ((0.01 * peak) ** 2, (0.03 * peak) ** 2)
        self.total, self.windows = 0.0, 0
        self.scratch = (
            _aligned(4 * SPAN),
            _aligned(4 * (ROWS + WINDOW - 1) * TILE),
            _aligned(TILE),
        )

    def add(
        self, y: Float64[np.ndarray, "row width"], x: Float64[np.ndarray, "row width"], fresh: int
    ) -> None:
        """See Running."""
        rows, columns = y.shape
        self.total += SUMMED_SIMILARITY(y, x, rows, columns, *self.constants, *self.scratch)
        self.windows += (rows - WINDOW + 1) * (columns - WINDOW + 1)

    def value(self) -> float:
        """See Running."""
        return self.total / self.windows


def _aligned(size: int) -> Float64[np.ndarray, " size"]:
    """Return an array to work in that begins at a multiple of 64 bytes, as cache lines do."""
    values = np.empty(size + 7)
    first = -values.ctypes.data % 64 // values.itemsize
    return values[first : first + size]


def compare(
    running: Sequence[Running],
    target: Shaped[np.ndarray, "height width channel"],
    result: Shaped[np.ndarray, "height width channel"],
    peak: float = 255,
    as_luma: bool = False,
) -> None:
    """Add a pair of images to similarities, in one pass.

    Parameters
    ----------
    running : sequence of Running
    target, result : real arrays of one shape, (height, width, channel)
        In 0–`peak`.
    peak : float
        The range: 255, or 65535 for 16-bit values.
    as_luma : bool
        Compare the BT.601 luma of RGB.

    Raises
    ------
    ValueError
        The shapes differ.
    """
    overlap = max(similarity.overlap for similarity in running)
    for y, x, fresh in row_blocks(target, result, peak, as_luma, overlap):
        for similarity in running:
            similarity.add(y, x, fresh)


def psnr(
    target: Shaped[np.ndarray, "height width channel"],
    result: Shaped[np.ndarray, "height width channel"],
    peak: float = 255,
    as_luma: bool = False,
) -> float:
    """Return the peak signal-to-noise ratio in dB, over all channels; infinite where both are equal.

    Parameters and errors are those of `compare`.
    """
    similarity = RunningPsnr(peak)
    compare([similarity], target, result, peak, as_luma)
    return similarity.value()


def ssim(
    target: Shaped[np.ndarray, "height width channel"],
    result: Shaped[np.ndarray, "height width channel"],
    peak: float = 255,
    as_luma: bool = False,
) -> float:
    """Return the structural similarity: 11×11 Gaussian of σ 1.5, valid region, mean over the channels.

    Wang et al. (2004), with population variances, K1 = 0.01 and K2 = 0.03. Parameters and errors are those of
    `compare`; a ValueError also where no window fits into the image.
    """
    height, width, _ = target.shape
    if min(height, width) < WINDOW:
        raise ValueError(f"needs {WINDOW}×{WINDOW} pixels, has {width}×{height}")
    similarity = RunningSsim(peak)
    compare([similarity], target, result, peak, as_luma)
    return similarity.value()
