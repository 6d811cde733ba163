"""`best` takes what is best on held-out images, says honestly by how much, and is what it took; `weighted`."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import NAMES, fitted, released, silent

from ensir import registry
from ensir.cells import filter_statistics, statistics
from ensir.cells.counting import count
from ensir.cells.filters import FilterMethod
from ensir.cells.lut import LutMethod
from ensir.cells.tensor import TensorFilters, TensorLUT, load
from ensir.errors import InputError
from ensir.methods import Candidate, best, local_filters, weighted
from ensir.scoring import leaving_out
from ensir.storage import fits
from ensir.storage.fits import Fit
from ensir.storage.layout import Place

SQUARES = {"kind": "least_squares", "channels": "joint", "bin_width": 32, "strength": "auto"}
ONE_CELL = {"kind": "weighted", **{"bin_width": 256, "channels": "joint"}}
SHAPE = (3, 3, 40, 40)


def pictures(seed: int, kind: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Predictions and targets of four images, for which a method is made: one model, some models, or neighbours."""
    random, pairs = np.random.default_rng(seed), []
    sigma = {"one": (2, 9, 9), "neighbours": (9, 9, 9), "nothing": (1, 1, 1)}[kind]
    for i in range(4):
        ramp = np.add.outer(np.arange(40) * random.uniform(-2, 2), np.arange(40) * random.uniform(-2, 2))
        y = np.clip(np.rint(128 + ramp + np.zeros((3, 1, 1))), 0, 255)
        noise = random.normal(0, np.array(sigma)[:, None, None, None], SHAPE)
        if kind == "nothing":  # the model that is wrong in an image is right in all others
            noise[i % 3] += 12
        pairs.append((np.clip(np.rint(y + noise), 0, 255).astype(np.uint8), y.astype(np.uint8)))
    return pairs


def candidates(pairs: list[tuple[np.ndarray, np.ndarray]], *settings: dict[str, Any]) -> list[Candidate]:
    bins = statistics.total(
        [
            count(x.reshape(3, 3, -1), y.reshape(3, -1), NAMES[:3], 32, fold)
            for fold, (x, y) in enumerate(pairs)
        ]
    )
    counter = filter_statistics.counter(NAMES[:3], 8, 3, {})
    for fold, (x, y) in enumerate(pairs):
        counter.add(list(x), y, fold, slice(0, 40))
    of = {"local_filters": counter.statistics()}
    return [
        Candidate(s["kind"], s, registry.module("methods", s["kind"]), of.get(s["kind"], bins))
        for s in settings
    ]


ALL = (SQUARES, released(32), ONE_CELL, {"kind": "local_filters"})


def fit_of(arrays: dict[str, np.ndarray]) -> Fit:
    attributes = {"settings": {"kind": "best"}, "reference": "ref", "versions": {}}
    return Fit(NAMES[:3], 8, arrays, ("r",), ("0" * 64,), attributes)


def test_where_neighbours_tell_more_it_is_the_filters(caplog: pytest.LogCaptureFixture):
    pairs = pictures(0, "neighbours")
    given = candidates(pairs, *ALL)
    with caplog.at_level(logging.INFO):
        found = best.fit(given, {}, silent)
    assert found["chosen"] == "local_filters"
    assert found["candidate"].tolist() == ["average", "least_squares", "ensir", "weighted", "local_filters"]
    assert "chose local_filters: +" in caplog.text
    method = best.Method({}, fit_of(found))
    assert isinstance(method, FilterMethod)
    alone = local_filters.fit(given[3].statistics, {}, silent)
    np.testing.assert_array_equal(method.filter, alone["filter"])
    assert "local_filters" in best.summary(fit_of(found))["chosen"]


def test_a_lut_that_is_chosen_is_that_of_the_method():
    given = candidates(pictures(0, "one"), SQUARES)
    found = best.fit(given, {}, silent)
    assert found["chosen"] == "least_squares"
    settings = json.loads(str(found["options"][1]))
    assert settings["strength"] != "auto"
    method, alone = best.Method({}, fit_of(found)), fitted(given[0].statistics, settings)
    assert isinstance(method, LutMethod)
    for name in ("key", "channel", "weights", "count", "expected_squared_error", "fill_weights"):
        np.testing.assert_array_equal(getattr(method.lut, name), getattr(alone, name), err_msg=name)
    assert (method.lut.fill, method.lut.bin_width, method.lut.channels) == (alone.fill, 32, 1)


def test_gains_are_those_of_fitting_without_the_image():
    pairs = pictures(1, "one")
    found = best.fit(candidates(pairs, ONE_CELL, released(32)), {}, silent)
    for column, settings in ((1, ONE_CELL), (2, released(32))):
        for left_out, (x, y) in enumerate(pairs):
            kept = [pair for i, pair in enumerate(pairs) if i != left_out]
            lut = fitted(candidates(kept, settings)[0].statistics, settings)
            average = np.mean((x.mean(axis=0) - y) ** 2)
            expected = 10 * np.log10(average / np.mean((LutMethod({}, lut).fuse(x, np.float64) - y) ** 2))
            assert found["gain"][left_out, column] == pytest.approx(expected, abs=1e-6)


def test_the_gain_that_is_told_is_of_choices_without_the_image():
    gains = np.array([[0.0, 1.0, 5.0], [0.0, 1.0, -3.0], [0.0, 1.0, -3.0]])
    np.testing.assert_array_equal(leaving_out.chosen_on_others(gains), [1.0, 1.0, 1.0])
    gains[1:, 2] = 0.9
    np.testing.assert_array_equal(leaving_out.chosen_on_others(gains), [1.0, 0.9, 0.9])  # flattered, it is 5
    np.testing.assert_array_equal(leaving_out.chosen_on_others(-gains - 0.1), [0.0, 0.0, 0.0])


def test_where_nothing_helps_it_is_the_average():
    """The model that is wrong in an image is right in the others, and gets too much weight."""
    pairs = pictures(2, "nothing")[:3]
    found = best.fit(candidates(pairs, ONE_CELL), {}, silent)
    assert found["gain"][:, 1].mean() < 0
    assert found["chosen"] == "average"
    np.testing.assert_array_equal(found["gain_of_choice"], 0)
    method = best.Method({}, fit_of(found))
    for x, _ in pairs:
        np.testing.assert_allclose(method.fuse(x), x.mean(axis=0), rtol=1e-6)
    assert best.summary(fit_of(found))["chosen"] == "average"


def test_the_average_as_a_lut():
    pairs = pictures(1, "neighbours")
    for settings in (SQUARES, {"kind": "local_filters"}):
        arrays = best._average(candidates(pairs, settings)[0].statistics)
        method = best.Method({}, fit_of(arrays))
        x, _ = pairs[0]
        np.testing.assert_allclose(method.fuse(x), x.mean(axis=0), rtol=1e-6)
        expected = np.mean([(x.mean(axis=0) - y) ** 2 for x, y in pairs])
        assert method.lut.expected_squared_error[0] == pytest.approx(expected)


def test_a_single_image_leaves_nothing_to_choose_by():
    with pytest.raises(InputError, match="the reference is a single image"):
        best.fit(candidates(pictures(0, "one")[:1], ONE_CELL), {}, silent)


@pytest.mark.parametrize("kind", ["one", "neighbours"])
def test_groups_files_and_tensors_hold_the_same(tmp_path: Path, kind: str):
    pairs = pictures(0, kind)
    found = best.fit(candidates(pairs, *(ALL if kind == "neighbours" else ALL[:1])), {}, silent)
    fit, x = fit_of(found), pairs[0][0]
    fits.save(fit, best.DIMENSIONS, Place.beside(tmp_path / "best.zarr"))
    fits.save_file(fit, best.DIMENSIONS, tmp_path / "best.fit")
    expected, errors = best.Method({}, fit).fuse_with_error(x)
    for name in ("best.zarr", "best.fit"):
        again = best.Method({}, str(tmp_path / name))
        np.testing.assert_array_equal(again.fuse_with_error(x), (expected, errors))
        assert best.summary(fits.load(str(tmp_path / name))) == best.summary(fit)
        table = load(str(tmp_path / name))
        assert isinstance(table, TensorFilters if kind == "neighbours" else TensorLUT)
    weights = best.Method({}, fit).weights(x)
    assert weights.shape == SHAPE


def test_a_damaged_table_is_an_error():
    found = best.fit(candidates(pictures(0, "one"), SQUARES), {}, silent)
    for change, message in (
        ({"key": found["key"][::-1]}, "do not fit each other"),
        ({"fill": None}, "lacks what"),
    ):
        broken = {name: value for name, value in {**found, **change}.items() if value is not None}
        with pytest.raises(InputError, match=message):
            best.Method({}, fit_of(broken))


def test_weighted_is_least_squares_of_one_cell():
    pairs = pictures(3, "one")
    given = candidates(pairs, ONE_CELL)[0]
    found = fitted(given.statistics, ONE_CELL)
    x = np.concatenate([x.reshape(3, -1) for x, _ in pairs], axis=1).astype(np.float64)
    y = np.concatenate([y.ravel() for _, y in pairs]).astype(np.float64)
    (own,) = found.weights
    assert (found.key.tolist(), found.channels, found.bins) == ([0], 1, 1)
    assert own.sum() == pytest.approx(1)
    error = np.mean((own @ x - y) ** 2)
    assert found.expected_squared_error[0] == pytest.approx(error)
    random = np.random.default_rng(0)
    for other in random.dirichlet(np.ones(3), 200):
        assert error <= np.mean((other @ x - y) ** 2) + 1e-9
    assert weighted.Weighted().traced == ONE_CELL
