"""Compiled functions that give the same bits on every processor: exponential, logarithm, and sums in a fixed order.

They are made of float64 sums, products and quotients in one stated order, without branches, so that loops over them
become vector instructions. Numba contracts no product and sum to one rounding, and reorders none.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import intrinsic

from ensir.arithmetic.functions import EXPONENTIAL, LEAST, LN_2_HIGH, LN_2_LOW, LOG2_E, LOGARITHM
from ensir.execution.kernels import njit

ROUND = 1.5 * 2.0**52  # a sum with it is rounded to a whole number, which then stands in the lowest bits
ROUND_BITS = 0x4338000000000000
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
SMALLEST_NORMAL = 2.0**-1022
SHIFT = 54  # bits, which make a subnormal number normal


@intrinsic
def _bits(typing_context, value):
    """Return the 64 bits of a float64 as an integer."""

    def reinterpreted(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), reinterpreted


@intrinsic
def _float(typing_context, bits):
    """Return the float64 of 64 bits."""

    def reinterpreted(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), reinterpreted


@njit(nogil=True, cache=True)
def exponential(x):
    """Return exp(x) of a float64 that is at most 700; see `functions.exponential`."""
    x = max(x, LEAST)
    shifted = x * LOG2_E + ROUND
    k = shifted - ROUND
    r = (x - k * LN_2_HIGH) - k * LN_2_LOW
    series = 0.0
    for coefficient in EXPONENTIAL:
        series = series * r + coefficient
    power = _bits(shifted) - ROUND_BITS
    half = power >> 1  # in two steps, since a result may be subnormal
    return (1.0 + (r + r * r * series)) * _float((half + 1023) << 52) * _float((power - half + 1023) << 52)


@njit(nogil=True, cache=True)
def _logarithm(x, less):
    """Return the natural logarithm of a normal, positive float64, less a multiple of that of 2."""
    bits = _bits(x)
    power = (bits - SQRT_HALF_BITS) >> 52
    k = _float(ROUND_BITS + power - less) - ROUND
    mantissa = _float(bits - (power << 52))
    z = (mantissa - 1.0) / (mantissa + 1.0)
    square = z * z
    series = 0.0
    for coefficient in LOGARITHM:
        series = series * square + coefficient
    return k * LN_2_HIGH + (2.0 * z + (z * (square * series) + k * LN_2_LOW))


@njit(nogil=True, cache=True)
def logarithm(x):
    """Return the natural logarithm of a normal, positive float64; see `functions.logarithm`."""
    return _logarithm(x, 0)


@njit(nogil=True, cache=True)
def logarithm_from_zero(x):
    """Return the natural logarithm of a float64 that is not negative."""
    if x == 0:
        return -np.inf
    if x < SMALLEST_NORMAL:
        return _logarithm(x * 2.0**SHIFT, SHIFT)
    return _logarithm(x, 0)


@njit(nogil=True, cache=True)
def sum_by_halves(values, size):
    """Return the sum of the first values, whose number is a power of two; they are overwritten.

    The second half is added to the first until one is left: an order that depends on nothing else, in vectors.
    """
    while size > 1:
        size //= 2
        for j in range(size):
            values[j] += values[size + j]
    return values[0]
