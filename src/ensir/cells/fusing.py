"""Fusing by the weights of all cells, in float32, in a few threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ensir.cells.key import bins, multipliers
from ensir.execution.machine_code import Kernel, in_threads

if TYPE_CHECKING:
    from jaxtyping import Float32, Shaped

RUN = 2**18  # values that a thread fuses at once
KERNELS = {
    (bits, models): Kernel(
        "ensir.cells.fusing_kernel",
        f"fuse_{bits}_{models}",
        f"void(CPointer(uint{bits}), int64, int64, int64, uint32, uint32, uint32, uint32, uint32, int64, "
        "CPointer(float32), CPointer(float32), int64, CPointer(float32), CPointer(float32))",
    )
    for bits in (8, 16)
    for models in range(2, 9)
}


def fuse(
    x: Shaped[np.ndarray, "model channel *pixels"],
    bin_width: int,
    weights: Float32[np.ndarray, "number column"],
    groups: int,
    fused: Float32[np.ndarray, " channel *pixels"],
    errors: Float32[np.ndarray, " number"] | None = None,
    expected: Float32[np.ndarray, " channel *pixels"] | None = None,
) -> None:
    """Write the weighted sum of each value's predictions.

    Parameters
    ----------
    x : uint8 or uint16 array, (model, channel, …)
        Predictions, of a number of models that `KERNELS` has.
    bin_width : int
    weights : float32 array, (number, column)
        Of all cells, in the order of key and channel: of all models, or of all but the last, whose weight is then what
        is missing to one.
    groups : int
        Channel groups of the cells.
    fused : C-contiguous float32 array, (channel, …)
        Where they are written.
    errors, expected : C-contiguous float32 arrays
        Expected squared errors of all cells, and where to write those of the values.
    """
    x, bits = np.ascontiguousarray(x), 8 * x.dtype.itemsize
    kernel, size, none = KERNELS[bits, len(x)], fused[0].size, np.empty(1, np.float32)
    keys = (*multipliers(bin_width, bits), bins(bin_width), groups)
    expecting = (0, none, none) if expected is None else (1, errors, expected)

    def run(piece: tuple[int, int]) -> None:
        channel, start = piece
        at, group = channel * size + start, min(channel, groups - 1)
        where = fused.size, at, min(RUN, size - start)
        kernel(x, *where, *keys, group, weights.shape[1], weights, fused, *expecting)

    in_threads(run, [(channel, start) for channel in range(len(fused)) for start in range(0, size, RUN)])
