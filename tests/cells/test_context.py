"""Cells and features of context, and their sums, beside their definitions written out with NumPy."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensir.cells import context, filter_statistics
from ensir.errors import InputError
from ensir.storage.layout import Place

SHAPES = [
    (2, 1, 1, 1),
    (2, 3, 1, 4),
    (3, 3, 2, 2),
    (3, 1, 4, 1),
    (3, 3, 9, 7),
    (4, 3, 60, 13),
    (2, 1, 11, 12),
]
AXIAL, DIAGONAL = ((-1, 0), (1, 0), (0, -1), (0, 1)), ((-1, -1), (-1, 1), (1, -1), (1, 1))


def pictures(
    shape: tuple[int, ...], dtype: str, seed: int = 0, spread: int = 40, contrast: int = 148
) -> np.ndarray:
    """Predictions, (model, channel, height, width), that differ by some levels, and reach black and white."""
    random = np.random.default_rng(seed)
    unit = 257 if dtype == "uint16" else 1
    base = (128 + random.integers(-contrast, contrast + 1, shape[1:])) * unit
    return np.clip(base + random.integers(-spread, spread + 1, shape) * unit, 0, 255 * unit).astype(dtype)


def shifted(x: np.ndarray, dy: int, dx: int) -> np.ndarray:
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(1, 1), (1, 1)], mode="edge")
    return padded[..., 1 + dy : 1 + dy + x.shape[-2], 1 + dx : 1 + dx + x.shape[-1]]


def boxed(values: np.ndarray) -> np.ndarray:
    padded = np.pad(values, 2, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, (5, 5)).sum((2, 3))


def expected_features(x: np.ndarray) -> np.ndarray:
    """The features as they are meant, (feature, channel, height, width)."""
    unit = 257 if x.dtype == np.uint16 else 1
    x = x.astype(np.float64)
    mean = x.mean(0)
    rings = [[sum(shifted(x, *at) for at in ring) / 4 for ring in (AXIAL, DIAGONAL)]][0]
    features = [*(x - mean)[:-1], *(rings[0] - mean), *(rings[1] - mean)]
    if x.shape[1] > 1:
        others = [[c for c in range(x.shape[1]) if c != own] for own in range(x.shape[1])]
        over_others = lambda v: np.stack([v[own].mean(0) for own in others])  # noqa: E731
        features += [over_others(d) for d in (x - mean)[:-1]]
        features += [over_others(ring.mean(0) - mean) for ring in rings]
    middle = (mean // (32 * unit) + 0.5) * 32 * unit
    return np.stack([*features, mean - middle, np.full_like(mean, unit)])


def expected_cells(x: np.ndarray) -> np.ndarray:
    """The cells by their definition, (channel, height, width)."""
    models, channels = x.shape[:2]
    unit = 257 if x.dtype == np.uint16 else 1
    x = x.astype(np.int64)
    steps = 2 ** np.arange(7) * unit
    differing = boxed(sum(abs(x[i] - x[j]).sum(0) for i, j in combinations(range(models), 2)))
    a = (4 * differing[..., None] >= 25 * channels * (models * (models - 1) // 2) * steps).sum(-1)
    n = x.sum((0, 1))
    change = np.zeros_like(n)
    change[:, 1:-1] += abs(n[:, 2:] - n[:, :-2])
    change[1:-1] += abs(n[2:] - n[:-2])
    g = (2 * boxed(change)[..., None] >= 75 * channels * models * steps).sum(-1)
    return a * 64 + g * 8 + x.sum(0) // models // (32 * unit)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_cells_and_features(shape: tuple[int, ...], dtype: str):
    x = pictures(shape, dtype)
    cell, features = context.features_of(x)
    scale = context.scale(*shape[:2])
    np.testing.assert_array_equal(cell, expected_cells(x))
    np.testing.assert_array_equal(features, np.rint(features))
    np.testing.assert_allclose(features / scale, expected_features(x), rtol=0, atol=1e-7 * 65535)
    assert len(features) == context.number_of_features(*shape[:2])


def test_every_level_occurs():
    ranges = (*range(10), 12, 25, 50, 90, 148)
    noisy = [pictures((3, 3, 16, 16), "uint8", spread=n, contrast=m) for n in ranges for m in ranges]
    nearly_equal = np.full((3, 3, 16, 16), 99, np.uint8)
    nearly_equal[0, :, ::2] += 1
    cells = np.concatenate([expected_cells(x).ravel() for x in (*noisy, nearly_equal)])
    for levels in context.parts_of(cells):
        np.testing.assert_array_equal(np.unique(levels), np.arange(8))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), constant=st.integers(-5, 5))
def test_a_constant_changes_no_feature_that_compares(seed: int, constant: int):
    x = np.random.default_rng(seed).integers(5, 250, (3, 3, 6, 7)).astype(np.uint8)
    moved = (x.astype(np.int64) + constant).astype(np.uint8)
    np.testing.assert_array_equal(context.features_of(x)[1][:-2], context.features_of(moved)[1][:-2])


def counted(x: np.ndarray, y: np.ndarray, edges: list[int]) -> filter_statistics.FilterStatistics:
    """Count an image in pieces that end at some rows, as the workflow does."""
    counter = filter_statistics.counter([str(m) for m in range(len(x))], 8 * x.itemsize, x.shape[1], {})
    for first, last in zip([0, *edges], [*edges, x.shape[2]], strict=True):
        top, bottom = max(first - context.HALO, 0), min(last + context.HALO, x.shape[2])
        rows = slice(first - top, last - top)
        counter.add(list(x[:, :, top:bottom]), y[:, top:bottom], 3, rows)
    return counter.statistics()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(3, 3, 9, 7), (2, 1, 20, 12)])
def test_sums_are_those_of_the_features(shape: tuple[int, ...], dtype: str):
    x, y = pictures(shape, dtype), pictures(shape, dtype, 1)[0]
    cell, features = context.features_of(x)
    scale = context.scale(*shape[:2])
    rest = scale * y.astype(object) - scale // shape[0] * x.astype(object).sum(0)
    made = counted(x, y, [])
    np.testing.assert_array_equal(made.key, np.unique(cell))
    assert set(made.fold) == {3}
    for i, key in enumerate(made.key):
        f, r = features[:, cell == key].astype(object), rest[cell == key]
        assert made.count[i] == len(r)
        assert (made.gram[i] == f @ f.T).all()
        assert (made.cross[i] == f @ r).all()
        assert made.square[i] == r @ r


@pytest.mark.parametrize("edges", [[1], [5, 6], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 40]])
def test_the_sums_do_not_depend_on_how_an_image_is_cut(edges: list[int]):
    x, y = pictures((3, 3, 60, 13), "uint8"), pictures((3, 3, 60, 13), "uint8", 1)[0]
    whole, pieces = counted(x, y, []), counted(x, y, edges)
    for name in filter_statistics.DIMENSIONS:
        np.testing.assert_array_equal(getattr(whole, name), getattr(pieces, name))


def test_statistics_add_up():
    images = [pictures((3, 3, 12, 9), "uint8", seed) for seed in range(4)]
    counters = [filter_statistics.counter("abc", 8, 3, {}) for _ in range(3)]
    for fold, x in enumerate(images):
        for counter in (counters[0], counters[1 + fold % 2]):
            counter.add(list(x), x[0][::-1], fold, slice(0, 12))
    together, *pieces = (counter.statistics() for counter in counters)
    added = filter_statistics.total(pieces)
    for name in filter_statistics.DIMENSIONS:
        np.testing.assert_array_equal(getattr(added, name), getattr(together, name))


def test_statistics_of_another_version_are_refused(tmp_path: Path):
    made = counted(pictures((2, 1, 4, 4), "uint8"), pictures((1, 4, 4), "uint8"), [])
    older = filter_statistics.FilterStatistics(
        **{**vars(made), "gram": made.gram[:, :-2, :-2], "cross": made.cross[:, :-2]}
    )
    for name, statistics in (("now", made), ("older", older)):
        filter_statistics.save(statistics, Place.beside(tmp_path / name), {}, {})
    assert filter_statistics.load(str(tmp_path / "now"))[0].models == made.models
    with pytest.raises(
        InputError, match="counted by another version of local filters; run the workflow again"
    ):
        filter_statistics.load(str(tmp_path / "older"))


def test_a_sum_beyond_64_bits_is_an_error():
    x = pictures((2, 1, 4, 4), "uint16")
    made = counted(x, x[0], [])
    huge = filter_statistics.FilterStatistics(**{**vars(made), "square": np.full_like(made.square, 2**62)})
    with pytest.raises(InputError, match="exceeds 64 bits; use a smaller reference"):
        filter_statistics.total([huge, huge])
