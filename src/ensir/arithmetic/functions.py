"""Exponentials, logarithms and sums of products that give the same bits on every processor.

Those of libm, NumPy, PyTorch and BLAS differ in the last bits with the vector instructions that they find. Here they
are sums and products of float64 in one stated order. Exponential and logarithm are within 2 units in the last place.
These are for NumPy; `ensir.arithmetic.kernels` has the same operations, compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Real

LOG2_E = 1.4426950408889634
LN_2_HIGH, LN_2_LOW = (
    0.6931471803691238,
    1.9082149292705877e-10,
)  # the first has so few bits that times k is exact
INVERSE_LN_10 = 0.4342944819032518
SQRT_HALF = 0.7071067811865476
LEAST = -800.0  # where every exponential is 0
FACTORIALS = (
    2.0,
    6.0,
    24.0,
    120.0,
    720.0,
    5040.0,
    40320.0,
    362880.0,
    3628800.0,
    39916800.0,
    479001600.0,
    6227020800.0,
)
EXPONENTIAL = tuple(1 / factorial for factorial in reversed(FACTORIALS))  # Taylor; the rest is below 5e-18
LOGARITHM = tuple(2 / odd for odd in range(21, 1, -2))  # of 2 artanh(z); the rest is below 1e-18


def exponential(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return exp(x) of float64 values that are at most 700."""
    x = np.maximum(x, LEAST)
    k = np.rint(x * LOG2_E)
    r = (x - k * LN_2_HIGH) - k * LN_2_LOW
    series = np.zeros_like(r)
    for coefficient in EXPONENTIAL:
        series = series * r + coefficient
    return np.ldexp(1.0 + (r + r * r * series), k.astype(np.int64))


def logarithm(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return the natural logarithm of positive float64 values."""
    mantissa, k = np.frexp(x)
    low = mantissa < SQRT_HALF
    mantissa, k = np.where(low, 2 * mantissa, mantissa), np.where(low, k - 1, k).astype(np.float64)
    z = (mantissa - 1.0) / (mantissa + 1.0)
    square = z * z
    series = np.zeros_like(z)
    for coefficient in LOGARITHM:
        series = series * square + coefficient
    return k * LN_2_HIGH + (2.0 * z + (z * (square * series) + k * LN_2_LOW))


def decibels(ratio: float | Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return 10 log₁₀ of positive float64 values."""
    return 10 * (logarithm(np.asarray(ratio, np.float64)) * INVERSE_LN_10)


def quadratic_form(
    matrix: Real[np.ndarray, "*shape size size"], vector: Float[np.ndarray, "*shape size"]
) -> Float[np.ndarray, "*shape"]:
    """Return vᵀAv of many small matrices and vectors, added up row by row."""
    total = np.zeros(vector.shape[:-1])
    for m in range(vector.shape[-1]):
        row = np.zeros_like(total)
        for n in range(vector.shape[-1]):
            row += matrix[..., m, n] * vector[..., n]
        total += vector[..., m] * row
    return total
