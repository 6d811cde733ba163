"""The compiled loop that fuses by a dense LUT: a module of its own, since Numba takes a moment to load."""

from __future__ import annotations

from ensir.execution.kernels import njit, prange


@njit(nogil=True, cache=True, parallel=True)
def fuse(x, tables, weights, group, fused, errors, expected):
    """Look up and add; the loops over the models unroll: the number of models is part of the type of `x`.

    Where `errors` is None, the code that looks them up is not compiled.
    """
    for i in prange(fused.size):
        number = group
        for m in range(len(x)):
            number += tables[m, x[m][i]]
        value = 0.0
        for m in range(len(x)):
            value += weights[number, m] * x[m][i]
        fused[i] = value
        if errors is not None:
            expected[i] = errors[number]
