"""The kernels that fuse by a dense LUT: look up and add, value by value; one for each number of models and depth.

With the number of models known, the loops over them unroll, and the loop over values is vectorized, look-ups included.
Numba compiles a kernel once; jobs load the machine code: see `ensir.execution.machine_code`.
"""

from __future__ import annotations

import numpy as np

from ensir.execution.kernels import njit


def _kernel(models, bits):
    """Return the kernel for a number of models, and values of 8 or 16 bits."""

    @njit(nogil=True, error_model="numpy")
    def place(x, at, stride, to_level, to_bin, bins, step, start):
        """Return where what belongs to the cell of a value begins: key · step + start; see `key.multipliers`."""
        key = np.uint32(0)
        for m in range(models):
            level = np.uint32(x[at + m * stride])
            if bits == 16:
                level = np.uint32(np.uint32(level * to_level) >> np.uint32(24))
            bin_of = np.uint32(np.uint32(level * to_bin) >> np.uint32(16))
            key = np.uint32(np.uint32(key * bins) + bin_of)
        return np.int32(np.uint32(key * step) + start)

    @njit(nogil=True, error_model="numpy")
    def fuse(
        x, stride, at, size, to_level, to_bin, bins, channels, group, columns, weights, fused,
        expecting, errors, expected,
    ):  # fmt: skip
        """Add up the weighted predictions of a run of values of one channel, in float32.

        Parameters
        ----------
        x : uint8 or uint16 array
            Predictions; those of one model are `stride` values after those of the one before.
        stride, at, size : int
            The run begins at value `at` of the first model and of the fused image, and has `size` values.
        to_level, to_bin, bins, channels, group : uint32
            What the key is found by; T; channel groups of the LUT, and which the run is of.
        columns : int
            How many weights a cell has: one for each model, or for all but the last, whose weight is what is missing
            to one. What costs time is to look weights up, so that one less is a third of the time with three models.
        weights : float32 array, (cell, column)
        fused : float32 array
        expecting : int
            Whether to write the expected squared errors of the values as well.
        errors, expected : float32 arrays
            Those of the cells, and where to write them.
        """
        step, start = np.uint32(channels * np.uint32(columns)), np.uint32(group * np.uint32(columns))
        if columns < models:
            for i in range(at, at + size):
                first = place(x, i, stride, to_level, to_bin, bins, step, start)
                last = np.float32(x[i + (models - 1) * stride])
                value = last
                for m in range(models - 1):
                    above = np.float32(x[i + m * stride]) - last
                    value += weights[np.int32(first + np.int32(m))] * above
                fused[i] = value
        else:
            for i in range(at, at + size):
                first = place(x, i, stride, to_level, to_bin, bins, step, start)
                value = weights[first] * np.float32(x[i])
                for m in range(1, models):
                    value += weights[np.int32(first + np.int32(m))] * np.float32(x[i + m * stride])
                fused[i] = value
        if expecting:
            for i in range(at, at + size):
                expected[i] = errors[place(x, i, stride, to_level, to_bin, bins, channels, group)]

    return fuse


fuse_8_2, fuse_8_3, fuse_8_4, fuse_8_5, fuse_8_6, fuse_8_7, fuse_8_8 = (_kernel(m, 8) for m in range(2, 9))
fuse_16_2, fuse_16_3, fuse_16_4, fuse_16_5, fuse_16_6, fuse_16_7, fuse_16_8 = (
    _kernel(m, 16) for m in range(2, 9)
)
