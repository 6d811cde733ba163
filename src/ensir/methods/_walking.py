"""The compiled walks down the trees of a regressor: apart from it, since Numba takes a moment to load."""

from __future__ import annotations

import numba
import numpy as np

LEAF = -1


@numba.njit(nogil=True)
def _leaf(x, feature, value, left, right, node, i):
    """Walk down a tree from a node; returns what its leaf holds."""
    while feature[node] != LEAF:
        node = left[node] if x[feature[node], i] <= value[node] else right[node]
    return value[node]


@numba.njit(nogil=True, cache=True)
def total(x, feature, value, left, right, root, weight, fused):
    """Tree by tree, so that each stays in the cache; every value adds them up in the same order."""
    fused[:] = 0
    for t in range(len(root)):
        for i in range(len(fused)):
            fused[i] += weight[t] * _leaf(x, feature, value, left, right, root[t], i)


@numba.njit(nogil=True, cache=True)
def median(x, feature, value, left, right, root, weight, fused):
    """The smallest tree value that, with all below it, has half of the weight."""
    for i in range(len(fused)):
        found, heavy = np.empty(len(root)), np.empty(len(root))
        for t in range(len(root)):
            leaf, place = _leaf(x, feature, value, left, right, root[t], i), t
            while place > 0 and found[place - 1] > leaf:
                found[place], heavy[place] = found[place - 1], heavy[place - 1]
                place -= 1
            found[place], heavy[place] = leaf, weight[t]
        below, t = heavy[0], 0
        half = heavy.sum() / 2
        while below < half:
            t += 1
            below += heavy[t]
        fused[i] = found[t]
