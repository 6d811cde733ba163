"""Local filters: their systems are solved right, they find a filter that is there, and never choose to do harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ensir.cells import context, filter_statistics
from ensir.cells.filter_statistics import FilterStatistics
from ensir.errors import InputError
from ensir.methods import local_filters
from ensir.storage import fits
from ensir.storage.layout import Layout

MODELS = ("a", "b", "c")


def silent(done: int, total: int) -> None:
    pass


def images(count: int, seed: int = 0) -> list[np.ndarray]:
    """Predictions of smooth pictures, each with noise of its own, (model, channel, height, width)."""
    random = np.random.default_rng(seed)
    ramps = [
        np.add.outer(np.arange(48), np.arange(40)) * random.uniform(-1, 1, (3, 1, 1)) for _ in range(count)
    ]
    noise = [random.normal(0, [[[[4]]], [[[8]]], [[[8]]]], (3, 3, 48, 40)) for _ in range(count)]
    return [np.clip(np.rint(120 + r + n), 0, 255).astype(np.uint8) for r, n in zip(ramps, noise, strict=True)]


def statistics_of(pairs: list[tuple[np.ndarray, np.ndarray]]) -> FilterStatistics:
    counter = filter_statistics.counter(MODELS, 8, 3, {})
    for fold, (x, y) in enumerate(pairs):
        counter.add(list(x), y, fold, slice(0, y.shape[1]))
    return counter.statistics()


def saved(tmp_path: Path, arrays: dict[str, np.ndarray]) -> str:
    path = tmp_path / "results/fits/x/local_filters.zarr"
    place = Layout(str(tmp_path / "results")).place(str(path))
    fits.save(fits.Fit(MODELS, 8, arrays, (), (), {"reference": "r"}), local_filters.DIMENSIONS, place)
    return str(path)


def method_of(tmp_path: Path, arrays: dict[str, np.ndarray]) -> local_filters.Method:
    return local_filters.Method({}, saved(tmp_path, arrays))


def test_systems_are_solved():
    random = np.random.default_rng(0)
    root = random.normal(size=(20, 12, 30))
    matrix, side = root @ root.swapaxes(1, 2), random.normal(size=(20, 12))
    count, square, prior = np.full(20, 30.0), random.uniform(1, 2, 20), random.normal(size=(20, 12))
    sums, mean, error, strength = (
        local_filters.Sums(count, matrix, side, square),
        np.diag(np.arange(1.0, 13)),
        0.5,
        7.0,
    )
    of_prior = square - 2 * (prior * side).sum(1) + np.einsum("ci,cij,cj->c", prior, matrix, prior)
    pull = strength * np.maximum((np.maximum(of_prior, 0) + 10 * error) / (count + 10), 1e-3 * error) / error
    expected = np.linalg.solve(
        matrix + pull[:, None, None] * mean, (side + pull[:, None] * (prior @ mean))[:, :, None]
    )
    found = local_filters.drawn(sums, prior, mean, error, strength)
    np.testing.assert_allclose(found, expected[:, :, 0], rtol=1e-9)


def test_a_filter_that_is_there_is_found(tmp_path: Path):
    """The target is the mean of the models and half of what the neighbours of the first are above it."""
    pairs = []
    for x in images(4):
        _, features = context.features_of(x)
        axial = features[2] / context.scale(3, 3)  # after x_j − m of two models
        pairs.append((x, np.clip(np.rint(x.mean(0) + 0.5 * axial), 0, 255).astype(np.uint8)))
    arrays = local_filters.fit(statistics_of(pairs), {}, silent)
    assert arrays["held_out"].mean(0).max() > 10  # dB: what is left is rounding
    (x, y), method = pairs[0], method_of(tmp_path, arrays)
    fused = method.fuse(x)
    assert fused.dtype == np.float32
    assert np.mean((fused - y) ** 2) < 0.2
    expected = np.einsum(
        "cyxf,fcyx->cyx", method.filter[context.features_of(x)[0]], context.features_of(x)[1]
    )
    np.testing.assert_allclose(fused, x.mean(0) + expected / context.scale(3, 3), rtol=0, atol=1e-4)


def test_errors_near_black_and_white_are_corrected(tmp_path: Path):
    """Noise that was clipped makes models too dark where the picture is white, all of them alike."""
    random = np.random.default_rng(0)
    pairs = []
    for _ in range(4):
        y = np.clip(random.uniform(-60, 320, (3, 6, 5)), 0, 255).repeat(8, 1).repeat(8, 2)
        noise = random.normal(0, 40, y.shape) + random.normal(0, 5, (3, *y.shape))
        pairs.append((np.clip(np.rint(y + noise), 0, 255).astype(np.uint8), np.rint(y).astype(np.uint8)))
    arrays = local_filters.fit(statistics_of(pairs[:3]), {}, silent)
    gains = arrays["held_out"].mean(axis=0).max(axis=1)
    assert gains[5:].max() > gains[:5].max() + 0.3
    assert "with brightness" in local_filters.summary(fits.load(saved(tmp_path, arrays)))["chosen"]
    (x, y), method = pairs[3], local_filters.Method({}, saved(tmp_path, arrays))
    white = y == 255
    assert 255 - method.fuse(x)[white].mean() < 0.7 * (255 - x.mean(0)[white].mean())


def test_where_nothing_helps_it_is_the_average(tmp_path: Path):
    """Targets that have nothing to do with the pictures: what is learned from one image misleads in another."""
    random = np.random.default_rng(1)
    pairs = [(x, random.integers(0, 256, x.shape[1:]).astype(np.uint8)) for x in images(3)]
    arrays = local_filters.fit(statistics_of(pairs), {}, silent)
    if arrays["held_out"].mean(0).max() <= 0:
        assert not arrays["filter"].any()
    x = images(1, 5)[0]
    if not arrays["filter"].any():
        np.testing.assert_allclose(method_of(tmp_path, arrays).fuse(x), x.mean(0), rtol=1e-6)


def test_images_that_the_average_restores_perfectly(tmp_path: Path):
    pairs = [(np.repeat(x[:1], 3, axis=0), x[0]) for x in images(2)]
    arrays = local_filters.fit(statistics_of(pairs), {}, silent)
    assert np.isfinite(arrays["filter"]).all()
    x, y = pairs[0]
    np.testing.assert_allclose(method_of(tmp_path, arrays).fuse(x), y, rtol=0, atol=1e-3)


def test_a_single_image_leaves_nothing_to_choose_by():
    with pytest.raises(InputError, match="the reference is a single image; add images"):
        local_filters.fit(statistics_of([(images(1)[0], images(1)[0][0])]), {}, silent)


def test_other_predictions_are_refused(tmp_path: Path):
    pairs = [(x, x[0]) for x in images(2)]
    method = method_of(tmp_path, local_filters.fit(statistics_of(pairs), {}, silent))
    with pytest.raises(InputError, match="do not fit a method that was fitted to 3 models"):
        method.fuse(pairs[0][0][:2])
    with pytest.raises(InputError, match="grey"):
        method.fuse(pairs[0][0][:, :1])
