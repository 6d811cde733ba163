"""The kernel of PSNR: the sum of squared differences of two arrays, in one pass.

The squares are summed pairwise, in the order of NumPy's `sum`: in halves until at most 128 are left, of which eight
sums take turns. So the error grows with the logarithm of their number, and every machine finds the same bits.

Numba compiles it once; jobs load the machine code: see `ensir.execution.machine_code`.
"""

from __future__ import annotations

from ensir.execution.kernels import njit

LANES = 8  # sums that take turns
LEAF = 128  # values, at most, that they sum
DEPTH = 64  # halves of halves: more than an array has


@njit(nogil=True, error_model="numpy")
def _sum(x, y, first, size, lanes):
    """Return the sum of a run of at most `LEAF` squares."""
    total = 0.0
    whole = size // LANES * LANES
    if whole:
        for j in range(LANES):
            lanes[j] = 0.0
        for at in range(first, first + whole, LANES):
            for j in range(LANES):
                difference = y[at + j] - x[at + j]
                lanes[j] += difference * difference
        total = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + (
            (lanes[4] + lanes[5]) + (lanes[6] + lanes[7])
        )
    for at in range(first + whole, first + size):
        difference = y[at] - x[at]
        total += difference * difference
    return total


@njit(nogil=True, error_model="numpy")
def summed_squares(x, y, size, lanes, sums, pending):
    """Return Σ (y − x)².

    Parameters
    ----------
    x, y : float64 arrays
    size : int
    lanes, sums : float64 arrays to work in
        `LANES`; `DEPTH`.
    pending : int64 array to work in
        `DEPTH`: of each run that is halved, the size of its second half; 0 once that is being summed.
    """
    depth, at, run = 0, 0, size
    while True:
        while run > LEAF:
            half = run // 2
            half -= half % LANES
            pending[depth] = run - half
            depth += 1
            run = half
        total = _sum(x, y, at, run, lanes)
        at += run
        while depth and pending[depth - 1] == 0:
            depth -= 1
            total = sums[depth] + total
        if depth == 0:
            return total
        sums[depth - 1], run = total, pending[depth - 1]
        pending[depth - 1] = 0
