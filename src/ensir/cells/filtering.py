"""The compiled loops of context: levels and features, sums of their products, and filtering. See `context`."""

from __future__ import annotations

import numpy as np

from ensir.cells.key import LEVELS, LEVELS_OF_CONTEXT
from ensir.execution.kernels import njit, prange

REACH = 2  # pixels on each side of the middle of a box
ROWS_AT_ONCE = 48
VECTOR = 4  # products are added up so many at a time


@njit(nogil=True, cache=True)
def _five(values, result):
    """Sum a row over five pixels; beyond its ends, the first or last value goes on."""
    last, inside = len(values) - 1, max(len(values) - 2 * REACH, 0)
    middle, first, second, third, fourth = result[REACH:], values[1:], values[2:], values[3:], values[4:]
    for j in range(inside):
        middle[j] = np.int32(values[j] + first[j] + second[j] + third[j] + fourth[j])
    for edge in range(min(REACH, last + 1)):
        for j in (edge, last - edge):
            result[j] = 0
            for k in range(j - REACH, j + REACH + 1):
                result[j] += values[min(max(k, 0), last)]


@njit(nogil=True, cache=True)
def _add_levels(box, thresholds, weight, levels):
    """Add `weight` to a pixel's level for each threshold that its sum reaches."""
    more, none = np.uint16(weight), np.uint16(0)
    for threshold in thresholds:
        for j in range(len(levels)):
            levels[j] += more if box[j] >= threshold else none


@njit(nogil=True, cache=True)
def _slide(box, added, left):
    """Move sums over rows by a row."""
    for j in range(len(box)):
        box[j] = np.int32(box[j] + added[j] - left[j])


@njit(nogil=True, cache=True)
def _add(values, sums):
    for j in range(len(sums)):
        sums[j] = np.int32(sums[j] + np.int32(values[j]))


@njit(nogil=True, cache=True)
def _add_difference(values, others, sums):
    for j in range(len(sums)):
        larger = max(values[j], others[j]) - min(values[j], others[j])
        sums[j] = np.int32(sums[j] + np.int32(larger))


@njit(nogil=True, cache=True)
def levels_of_pixels(x, first, last, disagreement, change, levels):
    """Write what the keys of a pixel's values have in common: its levels of disagreement and change, weighted.

    Parameters
    ----------
    x : (model, channel, height, width)
    first, last : int
        The rows.
    disagreement, change : int32 arrays, (7,)
        Thresholds of sums over 5×5 pixels; see `context.thresholds`.
    levels : uint16 array, (row, width), to be written
    """
    models, channels, height, width = x.shape
    top, bottom = max(first - REACH - 1, 0), min(last + REACH + 1, height)
    total, differing, changing = np.empty((3, bottom - top, width), np.int32)
    row = np.empty(width, np.int32)
    for i in range(top, bottom):
        sums = total[i - top]
        sums[:] = 0
        row[:] = 0
        for c in range(channels):
            for m in range(models):
                _add(x[m, c, i], sums)
                for n in range(m):
                    _add_difference(x[m, c, i], x[n, c, i], row)
        _five(row, differing[i - top])
    for i in range(max(first - REACH, 0), min(last + REACH, height)):
        here = total[i - top]
        row[:] = 0
        _add_difference(here[2:], here[:-2], row[1:-1])
        if 0 < i < height - 1:
            _add_difference(total[i - top + 1], total[i - top - 1], row)
        _five(row, changing[i - top])
    boxes = np.zeros((2, width), np.int32)
    for i in range(first - REACH, first + REACH + 1):
        near = min(max(i, 0), height - 1) - top
        _add(differing[near], boxes[0])
        _add(changing[near], boxes[1])
    for i in range(first, last):
        if i > first:
            added, left = min(i + REACH, height - 1) - top, max(i - REACH - 1, 0) - top
            _slide(boxes[0], differing[added], differing[left])
            _slide(boxes[1], changing[added], changing[left])
        own = levels[i - first]
        own[:] = 0
        _add_levels(boxes[0], disagreement, LEVELS_OF_CONTEXT**2, own)
        _add_levels(boxes[1], change, LEVELS_OF_CONTEXT, own)


@njit(nogil=True, cache=True)
def sums_of_row(x, i, total, around):
    """Sum one row over the models, and each model (and the sum) over the four axial and the four diagonal neighbours.

    Parameters
    ----------
    x : (model, channel, height, width)
    i : int
    total : float32 array, (channel, width), to be written
        Here and in features, whole numbers below 2²⁴, which float32 holds.
    around : float32 array, (2, model + 1, channel, width), to be written
        Axial, diagonal; the last model is the sum.
    """
    models, channels, height, width = x.shape
    above, below, last = max(i - 1, 0), min(i + 1, height - 1), width - 1
    beside = np.empty(width, np.float32)
    for c in range(channels):
        sums, all_axial, all_diagonal = total[c], around[0, models, c], around[1, models, c]
        for j in range(width):
            sums[j] = 0
            all_axial[j] = 0
            all_diagonal[j] = 0
        for m in range(models):
            up, here, down = x[m, c, above], x[m, c, i], x[m, c, below]
            axial, diagonal = around[0, m, c], around[1, m, c]
            for j in range(width):
                sums[j] += np.float32(here[j])
                beside[j] = np.float32(up[j]) + np.float32(down[j])
            for j in range(1, last):
                axial[j] = beside[j] + np.float32(here[j - 1]) + np.float32(here[j + 1])
                diagonal[j] = beside[j - 1] + beside[j + 1]
            for j in (0, last):
                left, right = max(j - 1, 0), min(j + 1, last)
                axial[j] = beside[j] + np.float32(here[left]) + np.float32(here[right])
                diagonal[j] = beside[left] + beside[right]
            for j in range(width):
                all_axial[j] += axial[j]
                all_diagonal[j] += diagonal[j]


@njit(nogil=True, cache=True)
def features_of_row(x, i, c, total, around, keys, step, features):
    """Write the features of one row and channel, (feature, width); see `context.features_of`."""
    _place(total[c], keys, step, x.shape[1], features[-2], features[-1])
    models, channels = x.shape[:2]
    others, each, four = max(channels - 1, 1), np.float32(models), np.float32(4)
    n = 0
    for m in range(models - 1):
        _compare(x[m, c, i], total[c], each, np.float32(1), np.float32(4 * others), features[n])
        n += 1
    for ring in range(2):
        for m in range(models):
            _compare(around[ring, m, c], total[c], each, four, np.float32(others), features[n])
            n += 1
    if channels == 1:
        return
    features[n:-2] = 0
    for other in range(channels):
        if other != c:
            for m in range(models - 1):
                _compare_more(x[m, other, i], total[other], each, np.float32(1), four, features[n + m])
            for ring in range(2):
                row = features[n + models - 1 + ring]
                _compare_more(
                    around[ring, models, other], total[other], np.float32(1), four, np.float32(1), row
                )


@njit(nogil=True, cache=True)
def _place(total, keys, step, channels, above, one):
    """Write how far each mean of the models is above the middle of its level, and what a level of 0–255 is."""
    times, half = np.float32(4 * max(channels - 1, 1)), np.float32(step // 2)
    for j in range(len(total)):
        level = np.float32(keys[j] % LEVELS_OF_CONTEXT)
        above[j] = times * (total[j] - np.float32(step) * level - half)
        one[j] = times * np.float32(step // (LEVELS // LEVELS_OF_CONTEXT))


@njit(nogil=True, cache=True)
def _compare(values, total, times, less, factor, result):
    """Write factor · (times · values − less · total)."""
    for j in range(len(total)):
        result[j] = factor * (times * np.float32(values[j]) - less * total[j])


@njit(nogil=True, cache=True)
def _compare_more(values, total, times, less, factor, result):
    """Add factor · (times · values − less · total)."""
    for j in range(len(total)):
        result[j] += factor * (times * np.float32(values[j]) - less * total[j])


@njit(nogil=True, cache=True)
def add_products(x, y, first, last, disagreement, change, step, products, count):
    """Add the products of features and targets, and count values, by key.

    Parameters
    ----------
    x : (model, channel, height, width)
    y : (channel, height, width)
    first, last : int
        The rows that are counted.
    disagreement, change
        See `levels_of_pixels`.
    step : int
        Sum over the models from one level of a key's last part to the next.
    products : float64 or int64 array, (key, vector, width of a vector)
        Lower products of features and target, one vector for each factor; the target comes after the features.
    count : int64 array, (key,)
    """
    models, channels, _, width = x.shape
    factors, padded = products.shape[1:]
    total, around = (
        np.empty((channels, width), np.float32),
        np.empty((2, models + 1, channels, width), np.float32),
    )
    row, keys = np.empty((factors, width), np.float32), np.empty(width, np.uint32)
    value = np.zeros(padded, products.dtype)
    factor = np.float32(4 * max(channels - 1, 1))
    levels = np.empty((last - first, width), np.uint16)
    levels_of_pixels(x, first, last, disagreement, change, levels)
    for i in range(first, last):
        sums_of_row(x, i, total, around)
        for c in range(channels):
            keys_of_row(levels[i - first], total[c], step, keys)
            features_of_row(x, i, c, total, around, keys, step, row[: factors - 1])
            _compare(y[c, i], total[c], np.float32(models), np.float32(1), factor, row[factors - 1])
            for j in range(width):
                count[keys[j]] += 1
                sums = products[keys[j]]
                for n in range(factors):
                    value[n] = row[n, j]
                for n in range(factors):
                    own, line = value[n], sums[n]
                    for k in range(n // VECTOR * VECTOR + VECTOR):
                        line[k] += own * value[k]


@njit(nogil=True, cache=True)
def keys_of_row(levels, total, step, keys):
    """Write the key of each value of a row; half a level is far more than what rounding may change."""
    levels_of_one, half = np.float32(1) / np.float32(step), np.float32(0.5)
    for j in range(len(keys)):
        keys[j] = np.int32(levels[j]) + np.int32((total[j] + half) * levels_of_one)


@njit(nogil=True, cache=True)
def terms_of_row(x, i, middle, total, own, shared):
    """Write what one row is filtered from; see `context.coefficients`.

    Parameters
    ----------
    x : (model, channel, height, width)
    i : int
    middle : int
        A code value that is taken off each prediction first, so that float32 rounds less.
    total : float32 array, (channel, width), to be written
        Sums over the models.
    own : float32 array, (channel, 3 model, width), to be written
        Each model, its four axial and its four diagonal neighbours.
    shared : float32 array, (model + 2, width), to be written
        Sums over the channels: of each model, and of the axial and the diagonal neighbours of all models.
    """
    models, channels, height, width = x.shape
    above, below, last = max(i - 1, 0), min(i + 1, height - 1), width - 1
    one, four = np.float32(middle), np.float32(4 * middle)
    beside = np.empty(width, np.float32)
    shared[:] = 0
    for c in range(channels):
        sums = total[c]
        sums[:] = np.float32(models * middle)
        for m in range(models):
            up, here, down = x[m, c, above], x[m, c, i], x[m, c, below]
            value, axial, diagonal = own[c, m], own[c, models + m], own[c, 2 * models + m]
            for j in range(width):
                value[j] = np.float32(here[j]) - one
                sums[j] += value[j]
                beside[j] = np.float32(up[j]) + np.float32(down[j]) - four
            for j in range(1, last):
                axial[j] = beside[j] + np.float32(here[j - 1]) + np.float32(here[j + 1])
                diagonal[j] = beside[j - 1] + beside[j + 1] + four
            for j in (0, last):
                left, right = max(j - 1, 0), min(j + 1, last)
                axial[j] = beside[j] + np.float32(here[left]) + np.float32(here[right])
                diagonal[j] = beside[left] + beside[right] + four
            all_values, all_axial, all_diagonal = shared[m], shared[models], shared[models + 1]
            for j in range(width):
                all_values[j] += value[j]
                all_axial[j] += axial[j]
                all_diagonal[j] += diagonal[j]


@njit(nogil=True, cache=True)
def _term(n, own, shared, one):
    """Return the row of a term: those of the channel, then those that all channels share, then the constant."""
    if n < len(own):
        return own[n]
    return shared[n - len(own)] if n < len(own) + len(shared) else one


@njit(nogil=True, cache=True, parallel=True)
def filtered(x, disagreement, change, step, middle, table, fused):
    """Write the filtered predictions.

    Parameters
    ----------
    x : (model, channel, height, width)
    disagreement, change, step
        See `add_products`.
    middle
        See `terms_of_row`.
    table : complex128 array, (four terms, key)
        Coefficients: four float32 in each, which are looked up at once.
    fused : float32 array, (channel, height, width), to be written
    """
    models, channels, height, width = x.shape
    blocks = (height + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE
    for block in prange(blocks):
        total = np.empty((channels, width), np.float32)
        own = np.empty((channels, 3 * models, width), np.float32)
        others = models + 2 if channels > 1 else 0
        shared, one = np.empty((models + 2, width), np.float32), np.ones(width, np.float32)
        keys, found = np.empty(width, np.uint32), np.empty(width, np.complex128)
        weights = found.view(np.float32)
        sums = np.empty(width, np.float32)
        start, stop = block * ROWS_AT_ONCE, min((block + 1) * ROWS_AT_ONCE, height)
        levels = np.empty((stop - start, width), np.uint16)
        levels_of_pixels(x, start, stop, disagreement, change, levels)
        for i in range(start, stop):
            terms_of_row(x, i, middle, total, own, shared)
            for c in range(channels):
                keys_of_row(levels[i - start], total[c], step, keys)
                sums[:] = np.float32(middle)
                for n in range(len(table)):
                    four = table[n]
                    first, second = (
                        _term(4 * n, own[c], shared[:others], one),
                        _term(4 * n + 1, own[c], shared[:others], one),
                    )
                    third, fourth = (
                        _term(4 * n + 2, own[c], shared[:others], one),
                        _term(4 * n + 3, own[c], shared[:others], one),
                    )
                    for j in range(width):
                        found[j] = four[keys[j]]
                    for j in range(width):
                        k = 4 * j
                        sums[j] = (
                            sums[j]
                            + (weights[k] * first[j] + weights[k + 1] * second[j])
                            + (weights[k + 2] * third[j] + weights[k + 3] * fourth[j])
                        )
                for j in range(width):
                    fused[c, i, j] = sums[j]
