"""The compiled leave-one-out of least squares: a module of its own, since Numba takes a moment to load.

Matrices are symmetric, and their lower halves are kept as pairs: (0, 0), (1, 0), (1, 1), (2, 0), …
"""

from __future__ import annotations

import numpy as np

from ensir.arithmetic.systems import descend
from ensir.execution.kernels import njit


@njit(nogil=True, cache=True)
def held_out_errors(order, number, fold, error, pairs, folds, unit_square, strengths, tie):
    """Solve each cell of each fold from the other folds; return the squared errors of each fold.

    Parameters
    ----------
    order : int64 array, (row,)
        Rows sorted by `number`, then by fold.
    number, fold : int64 arrays, (row,)
        The cell that a row belongs to, and its fold; several rows of a cell and fold are added up.
    error : int64 array, (row, pair)
        Σ (x_m − y)(x_l − y), in squared code values, of all models.
    pairs : int64 array, (pair,)
        Those of the models that are combined.
    folds : int
    unit_square : int
        Squared code values in a squared level.
    strengths : float64 array, (strength,)
        λ, in squared levels, falling: each solution is where the search for the next begins.
    tie : float
        λ is at least this fraction of the error.

    Returns
    -------
    float64 array, (fold, strength)
        Sums of squared errors, in squared levels.
    """
    models = int(np.sqrt(2 * pairs.size))
    own, in_folds = np.zeros((folds, pairs.size), np.int64), np.zeros((folds, pairs.size), np.int64)
    in_one_fold, others = np.zeros((folds, pairs.size), np.int64), np.empty(pairs.size, np.int64)
    weights, free, here = np.empty(models), np.ones(models, np.bool_), np.arange(folds)
    equal, space = np.full(models, 1 / models), np.empty((2 * models + 4, models))
    priors, errors = np.full((folds, models), 1 / models), np.zeros((folds, strengths.size))
    for row in range(number.size):
        _add(error[row], pairs, in_folds[fold[row]])
    for f in range(folds):
        _leave_out(in_folds, here, f, others)
        free[:] = True
        _solve(others, unit_square, 0.0, tie, equal, priors[f], free, space)
    start = 0
    while start < order.size:
        end, found = start, 0
        while end < order.size and number[order[end]] == number[order[start]]:
            f = fold[order[end]]
            if found == 0 or here[found - 1] != f:
                here[found] = f
                own[f] = 0
                found += 1
            _add(error[order[end]], pairs, own[f])
            end += 1
        start = end
        if found == 1:  # no other fold knows the cell, so that its weights are those of all cells
            _add(own[here[0]], np.arange(pairs.size), in_one_fold[here[0]])
            continue
        for i in range(found):
            f = here[i]
            _leave_out(own, here[:found], f, others)
            for m in range(models):
                weights[m], free[m] = priors[f, m], priors[f, m] > 0
            for s in range(strengths.size):
                _solve(others, unit_square, strengths[s], tie, priors[f], weights, free, space)
                errors[f, s] += _squared_error(own[f], weights) / unit_square
    for f in range(folds):
        alone = _squared_error(in_one_fold[f], priors[f]) / unit_square
        for s in range(strengths.size):
            errors[f, s] += alone
    return errors


@njit(nogil=True, cache=True)
def _add(error, pairs, total):
    """Add some pairs of a row to a total."""
    for p in range(pairs.size):
        total[p] += error[pairs[p]]


@njit(nogil=True, cache=True)
def _leave_out(own, folds, left_out, others):
    """Write the sum of folds but one."""
    for p in range(others.size):
        others[p] = 0
        for f in folds:
            if f != left_out:
                others[p] += own[f, p]


@njit(nogil=True, cache=True)
def _solve(others, unit_square, strength, tie, prior, weights, free, space):
    """Minimise aᵀEa + λ‖a − prior‖² over a ≥ 0, Σa = 1, from weights and free models that are near the minimum."""
    models, trace, p = weights.size, 0.0, 0
    quadratic, linear = space[:models], space[models]
    for i in range(models):
        for j in range(i + 1):
            quadratic[i, j] = quadratic[j, i] = others[p] / unit_square
            p += 1
        trace += quadratic[i, i]
    ridge = max(strength, tie * (1 + trace))
    for i in range(models):
        quadratic[i, i] += ridge
        linear[i] = ridge * prior[i]
    descend(quadratic, linear, weights, free, space[models + 1 :])


@njit(nogil=True, cache=True)
def _squared_error(pairs, weights):
    """Return aᵀEa."""
    total, p = 0.0, 0
    for i in range(weights.size):
        for j in range(i):
            total += 2 * weights[i] * weights[j] * pairs[p]
            p += 1
        total += weights[i] * weights[i] * pairs[p]
        p += 1
    return max(total, 0.0)
