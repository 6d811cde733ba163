"""The kernel of SSIM: local means, variances and covariance by a separable Gaussian, in one pass over the rows.

Wang et al. (2004). The index needs four smoothed moments only: of x, y, x² + y² and xy. All sums are formed in a fixed
order and none is contracted to a fused multiply-add, so that every machine finds the same bits; for equal images,
numerator and denominator are the same number, and the index is exactly 1.

Numba compiles it once; jobs load the machine code: see `ensir.execution.machine_code`.
"""

from __future__ import annotations

from ensir.execution.kernels import njit

RADIUS = 5  # pixels
# The Gaussian of σ 1.5 from its middle on, its sum over all eleven being 1.
TAP_0, TAP_1, TAP_2 = 0.26601172486179436, 0.2130055377112537, 0.10936068950970002
TAP_3, TAP_4, TAP_5 = 0.03600077212843083, 0.007598758135239185, 0.0010283800844791092
TILE = 64  # columns smoothed at once, so that the rows of one window stay in the fastest cache
SPAN = TILE + 16  # room for the columns that they need, in whole vectors


@njit(nogil=True, error_model="numpy")
def _smooth(values, at, step):
    """Return the weighted sum of the eleven values from `at` on, `step` apart."""
    return (
        TAP_0 * values[at + 5 * step]
        + TAP_1 * (values[at + 4 * step] + values[at + 6 * step])
        + TAP_2 * (values[at + 3 * step] + values[at + 7 * step])
        + TAP_3 * (values[at + 2 * step] + values[at + 8 * step])
        + TAP_4 * (values[at + step] + values[at + 9 * step])
        + TAP_5 * (values[at] + values[at + 10 * step])
    )


@njit(nogil=True, error_model="numpy")
def summed_similarity(x, y, rows, columns, c1, c2, moments, smooth, sums):
    """Return the sum of the SSIM of all windows that lie wholly in a block.

    Parameters
    ----------
    x, y : float64 arrays, row by row
        At least 11 rows and columns.
    rows, columns : int
    c1, c2 : float
        The constants (0.01 · range)² and (0.03 · range)².
    moments, smooth, sums : float64 arrays to work in
        4 · `SPAN`; 4 · rows · `TILE`; `TILE`. Loads are faster where each begins at a multiple of 64 bytes.
    """
    strip = rows * TILE
    for j in range(4 * SPAN):
        moments[j] = 0.0  # also beyond the last column, as whole tiles are smoothed
    for j in range(TILE):
        sums[j] = 0.0  # one for each column of a tile: vectorized, and yet in a fixed order
    for first in range(0, columns - 2 * RADIUS, TILE):
        width = min(TILE, columns - 2 * RADIUS - first)
        for row in range(rows):
            for j in range(width + 2 * RADIUS):
                a, b = x[row * columns + first + j], y[row * columns + first + j]
                moments[j] = a  # of one row, one moment after the other
                moments[SPAN + j] = b
                moments[2 * SPAN + j] = a * a + b * b
                moments[3 * SPAN + j] = a * b
            for moment in range(4):
                for j in range(TILE):
                    smooth[moment * strip + row * TILE + j] = _smooth(moments, moment * SPAN + j, 1)
        for row in range(rows - 2 * RADIUS):
            for j in range(TILE):
                at = row * TILE + j
                mean_x, mean_y = _smooth(smooth, at, TILE), _smooth(smooth, strip + at, TILE)
                mean_squares = _smooth(smooth, 2 * strip + at, TILE)
                mean_product = _smooth(smooth, 3 * strip + at, TILE)
                squares, product = mean_x * mean_x + mean_y * mean_y, mean_x * mean_y
                similarity = ((2 * product + c1) * (2 * (mean_product - product) + c2)) / (
                    (squares + c1) * (mean_squares - squares + c2)
                )
                sums[j] += similarity if j < width else 0.0
    total = 0.0
    for j in range(TILE):
        total += sums[j]
    return total
