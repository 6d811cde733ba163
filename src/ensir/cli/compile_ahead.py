"""Compile Numba's code while the environment is set up, so that the first run does not wait half a minute for it.

This covers what most runs need: three models of 8 bits. All other code is compiled when first used, and cached, too.
"""

from __future__ import annotations

import numpy as np

from ensir.cells import context, em, filter_statistics, statistics
from ensir.cells.counting import count
from ensir.cells.lut import CellWeights, LutMethod, assemble
from ensir.images.similarity import WINDOW, psnr, ssim
from ensir.methods import _walking, least_squares, local_filters

MODELS = ("a", "b", "c")
EM_SETTINGS = {"arithmetic": "released", "precision": "float64", "max_steps": 1}


def compile_ahead() -> None:
    """Call every compiled function once, on a few values."""
    values = np.arange(4 * 3 * 16, dtype=np.uint8).reshape(4, 3, 16)
    y, x = values[0], values[1:]
    folds = statistics.total([count(list(x), y, MODELS, 32, fold) for fold in (0, 1)]).joint()
    least_squares.held_out_errors(folds, (0.0,))
    cells = folds.without_folds()
    first = cells.taken(slice(1))
    em.run(first, np.zeros(1, np.int64), np.full((1, 3), 1 / 3), np.ones((1, 3)), EM_SETTINGS)
    least_squares.solve(statistics.error_matrix(first), 1.0, np.full((1, 3), 1 / 3))
    equal = np.full((len(cells.key), len(MODELS)), 1 / len(MODELS))
    weights = CellWeights(equal, np.zeros(len(equal), np.int64), np.zeros(len(equal), np.uint8))
    LutMethod({}, assemble(cells, weights, ("constant", equal[0]))).fuse(x)
    leaf = (np.full(1, -1, np.int16), np.zeros(1), *(np.full(1, -1, np.int32),) * 2)
    tree = (*leaf, np.zeros(1, np.int32), np.ones(1))
    least_squares.Subsets(folds, {"bin_width": 32, "strength": 1.0, "channels": "joint"}).held_out([0, 1])
    images, target = (
        np.ascontiguousarray(values[1:].reshape(3, 1, 4, 12).repeat(3, 1)),
        values[0].reshape(3, 4, 4),
    )
    counter = filter_statistics.counter(MODELS, 8, 3, {})
    for fold in (0, 1):
        counter.add(list(images[:, :, :, :4]), target, fold, slice(0, 4))
    local_filters.fit(counter.statistics(), {}, lambda done, total: None)
    filters = np.zeros((context.KEYS, context.number_of_features(3, 3)))
    context.keys_of(images)
    context.filtered(images, filters)
    for combine in (_walking.total, _walking.median):
        combine(x.reshape(len(x), -1), *tree, np.empty(y.size))
    for metric in (psnr, ssim):
        metric(*np.zeros((2, WINDOW, WINDOW, 1), np.uint8))  # converted first: one kernel serves all depths


if __name__ == "__main__":
    compile_ahead()
