"""Exponential, logarithm and small solves: close to the truth, and compiled to the same bits."""

import numpy as np
import pytest

from ensir.arithmetic import functions, kernels, systems

SPACING = 2.0**-52


def test_exponential():
    x = np.concatenate(
        [-np.random.default_rng(0).uniform(0, 750, 20_000), [0, -745.1, -1e308, -np.inf, 1.5, 700]]
    )
    found, expected = functions.exponential(x), np.exp(x.astype(np.longdouble))
    normal = expected > 1e-307
    np.testing.assert_allclose(found[normal], expected[normal].astype(float), rtol=2 * SPACING, atol=0)
    np.testing.assert_allclose(found[~normal], expected[~normal].astype(float), rtol=2 * SPACING, atol=5e-324)
    np.testing.assert_array_equal(found, [kernels.exponential(value) for value in x])


def test_logarithm():
    random = np.random.default_rng(0)
    x = np.concatenate(
        [10 ** random.uniform(-320, 300, 20_000), random.uniform(0.5, 4, 20_000), [1, 2, 5e-324]]
    )
    found, expected = functions.logarithm(x), np.log(x.astype(np.longdouble))
    np.testing.assert_allclose(found, expected.astype(float), rtol=2 * SPACING, atol=0)
    np.testing.assert_array_equal(found, [kernels.logarithm_from_zero(value) for value in x])
    assert kernels.logarithm(3.0) == functions.logarithm(np.array(3.0))
    assert kernels.logarithm_from_zero(0.0) == -np.inf


def test_decibels_of_powers_of_ten_are_whole():
    np.testing.assert_array_equal(functions.decibels(10.0 ** np.arange(6)), 10.0 * np.arange(6))


def test_sums_of_products():
    random = np.random.default_rng(0)
    matrix, vector = random.normal(size=(5, 4, 4)), random.normal(size=(5, 4))
    expected = np.einsum("cm,cmn,cn->c", vector, matrix, vector)
    np.testing.assert_allclose(functions.quadratic_form(matrix, vector), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 12])
def test_minimum_with_sum_one(size):
    random = np.random.default_rng(size)
    half = random.normal(size=(size, 2 * size))
    matrix, linear = half @ half.T, random.normal(size=size)
    system = np.block([[matrix, np.ones((size, 1))], [np.ones((1, size)), np.zeros((1, 1))]])
    expected = np.linalg.solve(system, np.append(linear, 1))[:-1]
    np.testing.assert_allclose(systems.with_sum_one(matrix, linear), expected, rtol=1e-9, atol=1e-9)
