"""EM: the steps of a Gaussian mixture with known means, on histograms of the targets, cell by cell.

Histograms are padded with zeros to a power of two. Everything is elementwise or summed in one fixed order, with
exponentials and logarithms of our own: a cell has the same bits on every processor and beside any other cells.
`ensir.cells.em_on_gpu` takes the same steps with PyTorch, whose last bits are the GPU's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from ensir.arithmetic.kernels import exponential, logarithm, logarithm_from_zero, sum_by_halves
from ensir.execution.kernels import njit, prange

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from ensir.cells.statistics import Statistics

TOLERANCE = 1e-5  # EM stops when the mean log-likelihood per value rises by less
ADDED = 1e-6  # to every Σγ and variance, by the published code; the least variance of the paper's
FEWEST_LEVELS = 8
TWO_PI = 6.283185307179586
RUNS, FINISHED, DIED = 0, 1, 2  # states of a cell
# Called after each step of EM with the cells that took it, their mean log-likelihood per value (Eq. 8), their weights,
# and their variances in squared levels.
Watch = Callable[
    [
        "Int[np.ndarray, ' cell']",
        "Float[np.ndarray, ' cell']",
        "Float[np.ndarray, 'cell model']",
        "Float[np.ndarray, 'cell model']",
    ],
    None,
]


def run(
    statistics: Statistics,
    cells: Int[np.ndarray, " cell"],
    start: Float[np.ndarray, "cell model"],
    variance: Float[np.ndarray, "cell model"],
    settings: dict[str, Any],
    watch: Watch | None = None,
) -> tuple[Float[np.ndarray, "cell model"], Int[np.ndarray, " cell"], np.ndarray]:
    """Fit the weights of some cells.

    Parameters
    ----------
    statistics : Statistics
    cells : int64 array, (cell,)
        Which of its cells.
    start, variance : float64 arrays, (cell, model)
        First weights, and variances in squared levels.
    settings : dict
        `arithmetic`, `precision` and `max_steps`.
    watch : callable, optional
        See `Watch`.

    Returns
    -------
    weights : float64 array, (cell, model)
    steps : int64 array, (cell,)
    failed : bool array, (cell,)
        Cells of which a component lost all its weight.
    """
    released = settings["arithmetic"] == "released"
    weights, variance = np.array(start, np.float64), np.array(variance, np.float64)
    if not released:
        variance = np.maximum(variance, ADDED)
    mean = statistics.sum[cells] / (statistics.count[cells, None] * statistics.unit)
    likelihood = np.full(len(cells), -np.inf)
    steps, state = np.zeros(len(cells), np.int64), np.zeros(len(cells), np.int8)
    most = settings["max_steps"] + released
    how = released, settings["precision"] == "float32", most, 1 if watch else most
    histograms = statistics.level / statistics.unit, statistics.level_count, statistics.offset
    while (running := np.flatnonzero(state == RUNS)).size:
        of_cells = mean, weights, variance, likelihood, steps, state
        _advance(*histograms, statistics.count, cells, running, *of_cells, *how, numba.get_num_threads())
        if watch:
            watch(cells[running], likelihood[running], weights[running], variance[running])
    return weights, steps, state == DIED


@njit(nogil=True, cache=True, parallel=True)
def _advance(
    level, level_count, offset, count, cells, running, mean, weights, variance, likelihood, steps, state,
    released, single, most, at_once, threads,
):  # fmt: skip
    """Take up to `at_once` steps in each of the running cells, which threads deal out to each other."""
    models = mean.shape[1]
    for thread in prange(threads):
        largest = FEWEST_LEVELS
        for number in range(thread, running.size, threads):
            cell = cells[running[number]]
            largest = max(largest, offset[cell + 1] - offset[cell])
        size = FEWEST_LEVELS
        while size < largest:
            size *= 2
        y, histogram = np.empty(size), np.empty(size)
        joint, terms = np.empty((models, size)), np.empty((4, size))
        for number in range(thread, running.size, threads):
            row = running[number]
            cell = cells[row]
            first, levels = offset[cell], offset[cell + 1] - offset[cell]
            for j in range(levels):
                y[j], histogram[j] = level[first + j], level_count[first + j]
            padded = FEWEST_LEVELS
            while padded < levels:
                padded *= 2
            y[levels:padded], histogram[levels:padded] = y[0], 0
            own = y[:padded], histogram[:padded], float(count[cell]), mean[row], weights[row], variance[row]
            parts = joint[:, :padded], terms[:, :padded]
            _expectation(*own, single, *parts)
            for _ in range(at_once):
                dead = _maximization(*own, released, *parts)
                found = _expectation(*own, single, *parts)
                steps[row] += 1
                rises = found - likelihood[row] >= TOLERANCE
                likelihood[row] = found
                if dead:
                    state[row] = DIED
                elif not rises or steps[row] == most:
                    state[row] = FINISHED
                if state[row] != RUNS:
                    break


@njit(nogil=True, cache=True)
def _expectation(y, histogram, count, mean, weights, variance, single, joint, terms):
    """E-step (Eq. 9) in log space: `joint` becomes the responsibilities. Return the mean log-likelihood (Eq. 8)."""
    models, size = joint.shape
    largest, marginal, likelihoods = terms[0], terms[1], terms[2]
    for m in range(models):
        constant = logarithm_from_zero(weights[m]) - 0.5 * logarithm(TWO_PI * variance[m])
        middle, factor, own = mean[m], -0.5 / variance[m], joint[m]
        for j in range(size):
            difference = y[j] - middle
            own[j] = difference * difference * factor + constant
    for j in range(size):
        largest[j] = joint[0, j]
        marginal[j] = 0
    for m in range(1, models):
        own = joint[m]
        for j in range(size):
            largest[j] = max(largest[j], own[j])
    for m in range(models):
        own = joint[m]
        for j in range(size):
            own[j] = exponential(own[j] - largest[j])
            marginal[j] += own[j]
    for j in range(size):
        likelihoods[j] = histogram[j] * (largest[j] + logarithm(marginal[j]))
        marginal[j] = 1 / marginal[j]
    for m in range(models):
        own = joint[m]
        if single:
            for j in range(size):
                own[j] = np.float64(np.float32(own[j] * marginal[j]))
        else:
            for j in range(size):
                own[j] *= marginal[j]
    return sum_by_halves(likelihoods, size) / count


@njit(nogil=True, cache=True)
def _maximization(y, histogram, count, mean, weights, variance, released, joint, terms):
    """M-step (Eqs. 10 and 11); return whether a component has died.

    `released` adds 1e-6, and takes the variance about the weighted mean.
    """
    models, size = joint.shape
    totals, firsts, spreads = terms[0], terms[1], terms[2]
    dead = False
    for m in range(models):
        own = joint[m]
        for j in range(size):
            own[j] *= histogram[j]
            totals[j] = own[j]
            firsts[j] = own[j] * y[j]
        total = sum_by_halves(totals, size)
        centre = mean[m]
        if released:
            centre = sum_by_halves(firsts, size) / (total + ADDED)
            weights[m] = (total + ADDED) / count
        else:
            weights[m] = total / count
        for j in range(size):
            difference = y[j] - centre
            spreads[j] = own[j] * difference * difference
        spread = sum_by_halves(spreads, size) / (total if total != 0 else 1.0)
        if released:
            variance[m] = spread + ADDED
            dead |= total == 0
        elif total != 0:
            variance[m] = max(spread, ADDED)
    return dead
