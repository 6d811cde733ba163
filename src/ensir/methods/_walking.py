"""The compiled walks down the trees of a regressor: a module of their own, since Numba takes a moment to load."""

from __future__ import annotations

import numpy as np

from ensir.execution.kernels import njit

LEAF = -1


@njit(nogil=True)
def _leaf(x, feature, value, left, right, node, i):
    """Walk down a tree from a node; return the value of the leaf."""
    while feature[node] != LEAF:
        node = left[node] if x[feature[node], i] <= value[node] else right[node]
    return value[node]


@njit(nogil=True, cache=True)
def total(x, feature, value, left, right, root, weight, fused):
    """Add up the trees, one by one, so that each stays in the cache; the order is the same for every value."""
    fused[:] = 0
    for t in range(len(root)):
        for i in range(len(fused)):
            fused[i] += weight[t] * _leaf(x, feature, value, left, right, root[t], i)


@njit(nogil=True, cache=True)
def median(x, feature, value, left, right, root, weight, fused):
    """Find the smallest value of a tree that, together with all below it, has half of the weight."""
    for i in range(len(fused)):
        leaves, heavy = np.empty(len(root)), np.empty(len(root))
        for t in range(len(root)):
            leaf, place = _leaf(x, feature, value, left, right, root[t], i), t
            while place > 0 and leaves[place - 1] > leaf:
                leaves[place], heavy[place] = leaves[place - 1], heavy[place - 1]
                place -= 1
            leaves[place], heavy[place] = leaf, weight[t]
        below, t = heavy[0], 0
        half = heavy.sum() / 2
        while below < half:
            t += 1
            below += heavy[t]
        fused[i] = leaves[t]
