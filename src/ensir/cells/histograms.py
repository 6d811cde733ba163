"""The compiled sum of histograms: a module of its own, since Numba takes a moment to load."""

from __future__ import annotations

import numpy as np

from ensir.execution.kernels import njit


@njit(nogil=True, cache=True)
def merge_histograms(order, starts, ends, offset, level, level_count):
    """Add up the histograms of cells order[start:end]; return offset, level and count of the nonzero entries."""
    new_offset = np.zeros(starts.size + 1, np.int64)
    new_level, new_count = np.empty_like(level), np.empty_like(level_count)
    at = 0
    for i in range(starts.size):
        begin = at
        for cell in order[starts[i] : ends[i]]:
            new_level[at : at + offset[cell + 1] - offset[cell]] = level[offset[cell] : offset[cell + 1]]
            new_count[at : at + offset[cell + 1] - offset[cell]] = level_count[
                offset[cell] : offset[cell + 1]
            ]
            at += offset[cell + 1] - offset[cell]
        if ends[i] - starts[i] > 1:
            by_level = np.argsort(new_level[begin:at], kind="mergesort")
            levels, counts = new_level[begin:at][by_level], new_count[begin:at][by_level]
            at, entry = begin, 0
            while entry < levels.size:
                new_level[at], new_count[at] = levels[entry], 0
                while entry < levels.size and levels[entry] == new_level[at]:
                    new_count[at] += counts[entry]
                    entry += 1
                at += new_count[at] != 0
        new_offset[i + 1] = at
    if at < level.size:  # give the unused memory back
        return new_offset, new_level[:at].copy(), new_count[:at].copy()
    return new_offset, new_level, new_count
