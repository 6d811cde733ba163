"""The kernel that adds up histograms. Numba compiles it once; jobs load the machine code: see `machine_code`."""

from __future__ import annotations

from ensir.execution.kernels import njit


@njit(nogil=True, error_model="numpy")
def merge_histograms(
    groups, order, starts, ends, offset, level, level_count, counts, new_offset, new_level, new_count
):
    """Add up the histograms of cells order[start:end] of each group; return how many entries are not zero.

    Parameters
    ----------
    groups : int
    order, starts, ends : int64 arrays, (cell,), (group,), (group,)
    offset, level, level_count : int64 arrays, (cell + 1,), (entry,), (entry,)
    counts : int64 array of zeros to work in, (level,)
    new_offset, new_level, new_count : int64 arrays to be written, (group + 1,), (entry,), (entry,)
    """
    at = 0
    new_offset[0] = 0
    for i in range(groups):
        if ends[i] - starts[i] == 1:
            cell = order[starts[i]]
            for entry in range(offset[cell], offset[cell + 1]):
                new_level[at], new_count[at] = level[entry], level_count[entry]
                at += 1
        else:
            first, last = 2**62, -1
            for number in range(starts[i], ends[i]):
                cell = order[number]
                for entry in range(offset[cell], offset[cell + 1]):
                    counts[level[entry]] += level_count[entry]
                    first, last = min(first, level[entry]), max(last, level[entry])
            for n in range(first, last + 1):
                if counts[n] != 0:
                    new_level[at], new_count[at] = n, counts[n]
                    counts[n] = 0
                    at += 1
        new_offset[i + 1] = at
    return at
