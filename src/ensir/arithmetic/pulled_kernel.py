"""The kernels of local filters: least squares in every cell, drawn towards a prior, and squared errors of filters.

All sums are formed in one stated order and none is contracted to a fused multiply-add, so that every machine finds the
same bits. Systems are solved by LDLᵀ without pivoting, on whole matrices.

Numba compiles them once; jobs load the machine code: see `ensir.execution.machine_code`.
"""

from __future__ import annotations

from ensir.execution.kernels import njit


@njit(nogil=True, error_model="numpy")
def _squared_error(size, gram, cross, square, weights, at):
    """Return Σ (r − Wᵀf)² of a cell whose first row of the Gram matrix is row `at · size`."""
    error = 0.0
    for i in range(size):
        product = 0.0
        for n in range(size):
            product += gram[(at * size + n) * size + i] * weights[at * size + n]
        error += weights[at * size + i] * (product - 2 * cross[at * size + i])
    return max(square[at] + error, 0.0)


@njit(nogil=True, error_model="numpy")
def squared_errors(cells, size, gram, cross, square, weights, errors):
    """Write Σ (r − Wᵀf)² of every cell.

    Parameters
    ----------
    cells, size : int
        Numbers of cells and of features.
    gram : float64 array, (cell, feature, feature)
    cross, weights : float64 arrays, (cell, feature)
    square, errors : float64 arrays, (cell,)
    """
    for at in range(cells):
        errors[at] = _squared_error(size, gram, cross, square, weights, at)


@njit(nogil=True, error_model="numpy")
def _solve(size, left, right, at):
    """Solve a symmetric positive definite system in place: the values of `right` from `at` on become the solution."""
    for n in range(size):
        pivot = left[n * size + n]
        right[at + n] /= pivot
        for j in range(n + 1, size):
            left[n * size + j] /= pivot
        for i in range(n + 1, size):
            factor = left[i * size + n]
            for j in range(n + 1, size):
                left[i * size + j] -= factor * left[n * size + j]
            right[at + i] -= factor * right[at + n]
    for n in range(size - 1, 0, -1):
        for i in range(n):
            right[at + i] -= left[i * size + n] * right[at + n]


@njit(nogil=True, error_model="numpy")
def fit(cells, size, gram, cross, square, count, prior, mean, error, values, least, strength, left, weights):
    """Write the weights of every cell: least squares, drawn towards a prior, the more the larger its errors are there.

    Parameters
    ----------
    cells, size : int
        Numbers of cells and of features.
    gram : float64 array, (cell, feature, feature)
    cross, prior : float64 arrays, (cell, feature)
    square, count : float64 arrays, (cell,)
    mean : float64 array, (feature, feature)
        Σ f fᵀ of a value, on average over all cells; what is drawn is measured by it.
    error : float
        Σ (r − Wᵀf)² of a value, on average over all cells.
    values, least : float
        By so many values of that error the error of a cell is drawn towards it; below this part of it, none counts.
    strength : float
    left : float64 array to work in, (feature, feature)
    weights : float64 array, (cell, feature), to be written
    """
    for at in range(cells):
        own = (_squared_error(size, gram, cross, square, prior, at) + values * error) / (count[at] + values)
        pull = strength * max(own, least * error) / error
        for i in range(size):
            product = 0.0
            for n in range(size):
                product += mean[n * size + i] * prior[at * size + n]
                left[i * size + n] = gram[(at * size + i) * size + n] + pull * mean[i * size + n]
            weights[at * size + i] = cross[at * size + i] + pull * product
        _solve(size, left, weights, at * size)
