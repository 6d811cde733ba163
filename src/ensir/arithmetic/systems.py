"""Small systems of equations and small quadratic problems, compiled: the same bits on every processor.

Each is solved by itself, by LDLᵀ without pivoting, row by row; no BLAS, whose kernels add up in orders of their own.
"""

from __future__ import annotations

import numpy as np

from ensir.execution.kernels import njit

MOST_STEPS = 20  # times the size; twice the size is enough, unless rounding makes two entries alternate
SLACK = 1e-12  # of the largest entry: a smaller fall is rounding


@njit(nogil=True, cache=True)
def _minimum(matrix, linear, free, inner, sides, target):
    """Write the minimum of aᵀQa − 2 linear·a over Σa = 1 and the free entries; the others are zero."""
    size = 0
    for m in range(len(free)):
        if free[m]:
            at = 0
            for n in range(m + 1):
                if free[n]:
                    inner[size, at] = matrix[m, n]
                    at += 1
            sides[0, size], sides[1, size] = linear[m], 1.0
            size += 1
    for m in range(size):  # the lower triangle of L; its diagonal holds D
        for n in range(m):
            total = inner[m, n]
            for k in range(n):
                total -= inner[m, k] * inner[n, k] * inner[k, k]
            inner[m, n] = total / inner[n, n]
        total = inner[m, m]
        for k in range(m):
            total -= inner[m, k] * inner[m, k] * inner[k, k]
        inner[m, m] = total
    for side in sides:
        for m in range(size):
            for k in range(m):
                side[m] -= inner[m, k] * side[k]
        for m in range(size):
            side[m] /= inner[m, m]
        for m in range(size - 1, -1, -1):
            for k in range(m + 1, size):
                side[m] -= inner[k, m] * side[k]
    pulled, shared = 0.0, 0.0
    for m in range(size):
        pulled += sides[0, m]
        shared += sides[1, m]
    rest, at = (1.0 - pulled) / shared, 0
    for m in range(len(free)):
        target[m] = 0.0
        if free[m]:
            target[m] = sides[0, at] + sides[1, at] * rest
            at += 1


@njit(nogil=True, cache=True)
def with_sum_one(matrix, linear):
    """Return the minimum of aᵀQa − 2 linear·a over Σa = 1.

    Parameters
    ----------
    matrix : float64 array, (size, size)
        Positive definite; its lower triangle is read.
    linear : float64 array, (size,)
    """
    size = len(linear)
    target, free = np.empty(size), np.ones(size, np.bool_)
    _minimum(matrix, linear, free, np.empty((size, size)), np.empty((2, size)), target)
    return target


@njit(nogil=True, cache=True)
def on_simplex(matrices, linear):
    """Return the minimum of aᵀQa − 2 linear·a over a ≥ 0 and Σa = 1, of each cell.

    An active-set method. In each step, a cell moves towards the minimum over its free entries. Where one would become
    negative, the cell stops, and that entry is no longer free; at the minimum, the entry that would lower the value
    the most is freed. A cell is finished when there is none.

    Parameters
    ----------
    matrices : float64 array, (cell, size, size)
        Positive definite.
    linear : float64 array, (cell, size)

    Returns
    -------
    float64 array, (cell, size)
    """
    cells, size = linear.shape
    found, space = np.full((cells, size), 1 / size), np.empty((size + 3, size))
    for cell in range(cells):
        descend(matrices[cell], linear[cell], found[cell], np.ones(size, np.bool_), space)
    return found


@njit(nogil=True, cache=True)
def descend(matrix, linear, here, free, space):
    """Go to the minimum of aᵀQa − 2 linear·a over a ≥ 0 and Σa = 1: `on_simplex` of one cell.

    Parameters
    ----------
    matrix : float64 array, (size, size)
    linear : float64 array, (size,)
    here : float64 array, (size,)
        Where to begin; becomes the minimum.
    free : bool array, (size,)
        Which entries are free at first; those that are not are 0.
    space : float64 array, (size + 3, size)
        To work in.
    """
    size = len(here)
    inner, sides, target = space[:size], space[size : size + 2], space[size + 2]
    slack = 0.0
    for m in range(size):
        for n in range(size):
            slack = max(slack, SLACK * abs(matrix[m, n]))
    for _ in range(MOST_STEPS * size):
        _minimum(matrix, linear, free, inner, sides, target)
        way, first = 1.0, -1  # the share of the way that can be gone, and the entry that reaches zero there
        for m in range(size):
            if target[m] < 0:
                share = here[m] / (here[m] - target[m])
                if first < 0 or share < way:
                    way, first = share, m
        for m in range(size):
            here[m] += way * (target[m] - here[m])
        if first >= 0:
            free[first] = False
        for m in range(size):
            if not free[m]:
                here[m] = 0.0
        if first < 0 and not _freed(matrix, linear, here, free, slack):
            break


@njit(nogil=True, cache=True)
def _freed(matrix, linear, here, free, slack):
    """Free the entry that would lower the value the most; return whether there is one."""
    common, least, grower = (
        0.0,
        -slack,
        -1,
    )  # the first: what a step costs in every free entry, at the minimum
    for m in range(len(here)):
        if here[m] != 0:
            common += here[m] * _slope(matrix, linear, here, m)
    for m in range(len(here)):
        if not free[m]:
            wish = _slope(matrix, linear, here, m) - common
            if wish < least:
                least, grower = wish, m
    if grower >= 0:
        free[grower] = True
    return grower >= 0


@njit(nogil=True, cache=True)
def _slope(matrix, linear, here, m):
    """Return half the derivative of aᵀQa − 2 linear·a with respect to an entry."""
    total = -linear[m]
    for n in range(len(here)):
        total += matrix[m, n] * here[n]
    return total
