"""Context: the key of a value by its surroundings, and what it has to tell there.

How far the models differ and how much the picture changes within 5×5 pixels are two levels of the key, the mean of the
models at the value itself is the third. Features compare the predictions at a value with those around it and in the
other channels; the last two tell where a value is between black and white. All are integers, so that sums of their
products are the same on every machine. Beyond the edge of a picture its last row or column goes on.

M models, C channels, x_j the predictions, Σ their sum, m = Σ/M their mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ensir.cells import key
from ensir.cells.key import LEVELS_OF_CONTEXT as LEVELS
from ensir.images import depth

if TYPE_CHECKING:
    from jaxtyping import Float32, Float64, Int, Int32, Shaped, UInt16

KEYS = LEVELS**3
HALO = 3  # rows above and below a value on which its key and features depend


def scale(models: int, channels: int) -> int:
    """Return the factor that makes features, and targets about the mean, integers."""
    return 4 * models * max(channels - 1, 1)


def number_of_differences(models: int, channels: int) -> int:
    """Return how many features compare: 4 M, or 3 M − 1 of grey images, which have no other channels."""
    return 4 * models if channels > 1 else 3 * models - 1


def number_of_features(models: int, channels: int) -> int:
    """Return p: those that compare, and the two of `m` that let the models' errors depend on how bright they are."""
    return number_of_differences(models, channels) + 2


def parts_of(number: Int[np.ndarray, " key"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the three levels of keys: disagreement of the models, change of the picture, mean of the models."""
    return number // LEVELS**2, number // LEVELS % LEVELS, number % LEVELS


def thresholds(
    models: int, channels: int, bits: int
) -> tuple[Int32[np.ndarray, " level"], Int32[np.ndarray, " level"]]:
    """Return the sums over 5×5 pixels from which on a pixel is in each level but the first.

    They are 1, 2, 4, …, 64 times a quarter of a level of 0–255, for the mean difference of two models; and one and a
    half levels, for how much the mean of the models changes from one neighbour of a pixel to the opposite one, in both
    directions together.
    """
    steps = depth.unit(bits) * 2 ** np.arange(LEVELS - 1)
    disagreement = -(-25 * channels * (models * (models - 1) // 2) * steps // 4)
    change = -(-75 * channels * models * steps // 2)
    return disagreement.astype(np.int32), change.astype(np.int32)


def step(models: int, bits: int) -> int:
    """Return by how much the sum of the models grows from one level of the last part of a key to the next."""
    return key.LEVELS // LEVELS * depth.unit(bits) * models


def limits(
    x: Shaped[np.ndarray, "model channel height width"],
) -> tuple[Int32[np.ndarray, " level"], Int32[np.ndarray, " level"], int]:
    """Return the thresholds of the two levels, and the step, of some predictions."""
    models, channels, bits = *x.shape[:2], x.itemsize * 8
    return *thresholds(models, channels, bits), step(models, bits)


def keys_of(
    x: Shaped[np.ndarray, "model channel height width"],
) -> UInt16[np.ndarray, "channel height width"]:
    """Return the key of every value of whole predictions."""
    from ensir.cells.filtering import levels_of_pixels

    disagreement, change, step = limits(x)
    levels = np.empty(x.shape[2:], np.uint16)
    levels_of_pixels(x, 0, x.shape[2], disagreement, change, levels)
    return levels + (x.sum(axis=0, dtype=np.uint32) // step).astype(np.uint16)


def features_of(
    x: Shaped[np.ndarray, "model channel height width"],
) -> tuple[UInt16[np.ndarray, "channel height width"], Float32[np.ndarray, "feature channel height width"]]:
    """Return the key and the features of every value; slow, for looking at them.

    Returns
    -------
    key : uint16 array, (channel, height, width)
    features : float32 array, (feature, channel, height, width)
        Whole numbers, `scale` times what they mean:
        x_j − m (all models but the last); mean of the four axial neighbours of x_j, minus m; mean of the four diagonal
        ones, minus m; mean of x_j − m over the other channels (all models but the last); means over the other channels
        of what m's axial and diagonal neighbours are above m; m minus the middle of its level of the key; one level of
        0–255, which is constant.
    """
    from ensir.cells.filtering import features_of_row, keys_of_row, levels_of_pixels, sums_of_row

    models, channels, height, width = x.shape
    count = number_of_features(models, channels)
    disagreement, change, step = limits(x)
    keys = np.empty((channels, height, width), np.uint16)
    features = np.empty((count, channels, height, width), np.float32)
    levels = np.empty((height, width), np.uint16)
    levels_of_pixels(x, 0, height, disagreement, change, levels)
    total, around = (
        np.empty((channels, width), np.float32),
        np.empty((2, models + 1, channels, width), np.float32),
    )
    own = np.empty(width, np.uint32)
    row = np.empty((count, width), np.float32)
    for i in range(height):
        sums_of_row(x, i, total, around)
        for channel in range(channels):
            keys_of_row(levels[i], total[channel], step, own)
            features_of_row(x, i, channel, total, around, own, step, row)
            features[:, channel, i] = row
            keys[channel, i] = own
    return keys, features


def middles(bits: int) -> Float64[np.ndarray, " key"]:
    """Return the code value in the middle of the last level of each key."""
    return (parts_of(np.arange(KEYS))[2] + 0.5) * (key.LEVELS // LEVELS * depth.unit(bits))


def coefficients(
    filters: Float64[np.ndarray, "key feature"], models: int, channels: int, bits: int, middle: int
) -> Float64[np.ndarray, "key term"]:
    """Return filters of features, and m, as those of terms that take less to compute.

    The terms of a value are, of its own channel, each model, the sum of its four axial and that of its four diagonal
    neighbours; then, where there are several channels, sums over all channels: of each model, and of the axial and the
    diagonal neighbours of all models; at last, one. All are of what predictions are above `middle`, and so is the
    result.
    """
    filters, level, one = filters[:, :-2], filters[:, -2], filters[:, -1]
    constant = (level * (middle - middles(bits)) + one * depth.unit(bits))[:, None]
    own, axial, diagonal = (filters[:, start : start + models] for start in (0, models - 1, 2 * models - 1))
    own = np.pad(own[:, : models - 1], ((0, 0), (0, 1)))
    mean = (1 - own.sum(axis=1) - axial.sum(axis=1) - diagonal.sum(axis=1)) / models
    own = own + (mean + level / models)[:, None]
    if channels == 1:
        return np.concatenate([own, axial / 4, diagonal / 4, constant], axis=1)
    others = np.pad(filters[:, 3 * models - 1 : 4 * models - 2], ((0, 0), (0, 1)))
    rings = filters[:, 4 * models - 2 : 4 * models]
    others = (others - (others.sum(axis=1) + rings.sum(axis=1))[:, None] / models) / (channels - 1)
    rings = rings / (4 * models * (channels - 1))
    return np.concatenate(
        [own - others, axial / 4 - rings[:, :1], diagonal / 4 - rings[:, 1:], others, rings, constant], axis=1
    )


def filtered(
    x: Shaped[np.ndarray, "model channel height width"], filters: Float64[np.ndarray, "key feature"]
) -> Float32[np.ndarray, "channel height width"]:
    """Return m + Wᵀf of every value, with the filter W of its key.

    Parameters
    ----------
    x : C-contiguous uint8 or uint16 array, (model, channel, height, width)
        Whole predictions, in code values.
    filters : float64 array, (key, feature)
    """
    from ensir.cells import filtering

    models, channels, bits = *x.shape[:2], x.itemsize * 8
    middle = (depth.white(bits) + 1) // 2
    found = coefficients(filters, models, channels, bits, middle)
    table = np.zeros((KEYS, -(-found.shape[1] // 4), 4), np.float32)
    table.reshape(KEYS, -1)[:, : found.shape[1]] = found
    looked_up = np.ascontiguousarray(table.swapaxes(0, 1)).view(np.complex128)[:, :, 0]
    fused = np.empty(x.shape[1:], np.float32)
    filtering.filtered(x, *limits(x), middle, looked_up, fused)
    return fused
