"""EnsIR as its equations read, bin set by bin set, with masks over all pixels: what the benchmark is compared with."""

from itertools import product

import numpy as np


def masks(x, bin_width):
    """Yield every bin set and which values fall into it."""
    bins = range(0, 256, bin_width)
    for key in product(bins, repeat=len(x)):
        inside = np.ones(x.shape[1], bool)
        for prediction, start in zip(x, key, strict=True):
            inside &= (prediction >= start) & (prediction < start + bin_width)
        yield key, inside


def partition(x, y, bin_width):
    """Return predictions and targets of every occupied bin set."""
    return {key: (x[:, inside], y[inside]) for key, inside in masks(x, bin_width) if inside.any()}


def em(x, y, steps=1000, tolerance=1e-5):
    """Fit the mixing weights of one bin set, value by value (Eqs. 9–13)."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    mean, variance = x.mean(axis=1, keepdims=True), np.maximum(x.var(axis=1, keepdims=True), 1e-6)
    weights, before = np.full((len(x), 1), 1 / len(x)), -np.inf
    for _ in range(steps):
        density = (
            weights * np.exp(-((y - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance) + 1e-300
        )
        gamma = density / density.sum(axis=0)
        total = gamma.sum(axis=1, keepdims=True)
        weights = total / len(y)
        variance = np.maximum((gamma * (y - mean) ** 2).sum(axis=1, keepdims=True) / (total + 1e-300), 1e-6)
        likelihood = np.log(density.sum(axis=0)).mean()
        if likelihood - before < tolerance:
            break
        before = likelihood
    return weights[:, 0]


def fit(pixels, models):
    """Return the weights of every bin set."""
    return {key: em(x, y) if len(y) >= 100 else np.full(models, 1 / models) for key, (x, y) in pixels.items()}


def fuse(x, weights, bin_width):
    """Return the weighted sum of each value's predictions."""
    fused = x.mean(axis=0, dtype=np.float32)
    for key, inside in masks(x, bin_width):
        if key in weights and inside.any():
            fused[inside] = weights[key] @ x[:, inside]
    return fused
