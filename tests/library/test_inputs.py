"""What arrays say of themselves is heeded: names of models, names of axes, masks, depths, and memory used again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import dask.array
import numpy as np
import pytest
import xarray
from examples import image

import ensir
from ensir.errors import InputError

MODELS = ("a", "b", "c")
X, Y = (list(values) for values in zip(*(image(seed, 12, 14) for seed in range(3)), strict=True))
OTHERS = (2, 0, 1)  # another order


@cache
def table() -> ensir.Lut:
    return ensir.fit(X, Y, method="weighted", models=MODELS)


def weights(lut: ensir.Lut) -> np.ndarray:
    return lut.table.weights  # type: ignore[union-attr]


def mapping(x: np.ndarray, order: tuple[int, ...] = (0, 1, 2)) -> dict[str, np.ndarray]:
    return {MODELS[m]: x[m] for m in order}


def labelled(x: np.ndarray, order: tuple[int, ...] = (0, 1, 2), names: Any = MODELS) -> xarray.DataArray:
    dims = ("model", "channel", "height", "width")
    return xarray.DataArray(x[list(order)], dims=dims, coords={"model": [names[m] for m in order]})


FORMS = pytest.mark.parametrize("form", [mapping, labelled])


def test_targets_in_memory_that_is_used_again():
    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        x, y = np.empty_like(X[0]), np.empty_like(Y[0])
        for one, other in zip(X, Y, strict=True):
            x[...], y[...] = one, other
            yield x, y

    found = ensir.fit(pairs(), method="weighted", models=MODELS)
    np.testing.assert_array_equal(weights(found), weights(table()))
    assert found.table.reference_digests == table().table.reference_digests


# ── names ───────────────────────────────────────────────────────────────────────────────────────────────────


@FORMS
def test_names_tell_the_order_of_the_models(form: Callable[..., Any]):
    for made in (lambda x: iter(x), list):
        found = ensir.fit(made([form(X[0]), form(X[1], OTHERS), form(X[2])]), Y, method="weighted")
        assert found.models == MODELS
        np.testing.assert_array_equal(weights(found), weights(table()))
    given = ensir.fit([form(x, OTHERS) for x in X], Y, method="weighted", models=MODELS)
    np.testing.assert_array_equal(weights(given), weights(table()))
    for x in (form(X[0], OTHERS), form(X[0])):
        np.testing.assert_array_equal(table().fuse(x), table().fuse(X[0]))
        np.testing.assert_array_equal(ensir.fuse(x, table()), table().fuse(X[0]))
        np.testing.assert_array_equal(table().expected_error(x), table().expected_error(X[0]))
    scores = ensir.score(Y[:2], [form(X[0], OTHERS), form(X[1])], metrics=["psnr"])["psnr"]
    np.testing.assert_array_equal(scores, ensir.score(Y[:2], X[:2], metrics=["psnr"])["psnr"][:, OTHERS])
    rows = ensir.select([form(X[0]), form(X[1], OTHERS), form(X[2])], Y).images
    assert rows == ensir.select(X, Y, models=MODELS).images


@FORMS
def test_other_names_are_refused(form: Callable[..., Any]):
    strange = labelled(X[1], names="abd")
    missing = {name: image for name, image in mapping(X[1]).items() if name != "c"}
    for second, message in (
        (strange, "image 2: x: holds the models a, b, d, but the first image holds a, b, c"),
        (missing, "image 2: x: holds the models a, b, but the first image holds a, b, c"),
        (X[1], "image 2: x: names no models, but the first image does; name the models of all images"),
    ):
        for function in (ensir.fit, ensir.count, ensir.select):
            with pytest.raises(InputError, match=message):
                function([form(X[0]), second, form(X[2])], Y)
        with pytest.raises(InputError, match=message):
            ensir.score(Y[:2], [form(X[0]), second])
    with pytest.raises(InputError, match="image 2: x: names a, b, c, but the first image does not"):
        ensir.fit([X[0], form(X[1])], Y[:2])
    with pytest.raises(InputError, match="holds the models a, b, c, but models are a, b, d"):
        ensir.fit(form(X[0]), Y[0], models=["a", "b", "d"])
    for function in (table().fuse, table().expected_error, lambda x: ensir.fuse(x, table())):
        with pytest.raises(InputError, match="x: holds the models a, b, d, but the table is of a, b, c"):
            function(strange)


def test_numbers_are_names_but_not_those_of_an_index():
    lut = ensir.fit(X, Y, method="weighted", models=[1, 2, 3])  # type: ignore[list-item]
    assert lut.models == ("1", "2", "3")
    x = X[0]
    for given in ({2: x[1], 1: x[0], 3: x[2]}, labelled(x, OTHERS, (1, 2, 3))):
        np.testing.assert_array_equal(lut.fuse(given), lut.fuse(x))
    np.testing.assert_array_equal(lut.fuse(labelled(x, names=range(3))), lut.fuse(x))
    with pytest.raises(InputError, match="models: is 'abc'; give a list of names"):
        ensir.fit(X, Y, models="abc")


# ── axes, masks, depths ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("plane", [("height", "width"), ("h", "w"), ("y", "x")])
def test_axes_are_put_in_order_by_their_names(plane: tuple[str, str]):
    x = xarray.DataArray(X[0], dims=("model", "channel", *plane)).transpose(..., *plane[::-1])
    y = xarray.DataArray(Y[0], dims=("channel", *plane)).transpose(*plane[::-1], "channel")
    np.testing.assert_array_equal(table().fuse(x), table().fuse(X[0]))
    assert ensir.score(y, X[0][0]) == ensir.score(Y[0], X[0][0])
    np.testing.assert_array_equal(
        weights(ensir.fit(x, y, method="weighted")), weights(ensir.fit(X[0], Y[0], method="weighted"))
    )


@pytest.mark.parametrize("form", [np.asanyarray, dask.array.from_array])
def test_masked_values_are_refused(form: Callable[[Any], Any]):
    masked = np.ma.masked_array(Y[0], np.zeros(Y[0].shape, bool))
    assert ensir.score(form(masked), X[0][0]) == ensir.score(Y[0], X[0][0])
    masked[0, 0, :2] = np.ma.masked
    with pytest.raises(
        InputError, match=r"image 1: y: 2 of 504 values are masked; fill them \(`filled`\), or leave"
    ):
        ensir.fit(X[0], form(masked))


def test_models_are_scored_in_their_own_depths():
    x, y = X[0], Y[0] / 255
    deep = {"a": x[0], "b": x[1] * np.uint16(257), "c": x[2] / 255}
    found = ensir.score(y, deep, value_range=(0, 1))
    expected = ensir.score(y, x, value_range=(0, 1))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9)
    with pytest.raises(InputError, match="x holds uint16, but its target uint8"):
        ensir.score(Y[0], deep, value_range=(0, 1))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_of_no_numbers_are_refused(value: float):
    wrong = Y[0] * 1.0
    wrong[0, 0, 0] = value
    for y, x, what in ((wrong, X[0], "y"), (Y[0], wrong, "x")):
        with pytest.raises(InputError, match=f"image 1: {what}: 1 of 504 values are NaN or infinite"):
            ensir.score(y, x, value_range=(0, 255))


def test_what_is_no_array_is_refused():
    for function in (
        lambda: table().fuse(None),
        lambda: ensir.fit(None, Y[0]),
        lambda: ensir.score(Y[0], None),
    ):
        with pytest.raises(InputError, match="x: is NoneType; give predictions, as an array or several"):
            function()
    for x in (X[0], X):
        with pytest.raises(InputError, match="y: is int; give targets, as an array or several"):
            ensir.fit(x, 3)
    with pytest.raises(InputError, match="x, model b: is int; give an array or several"):
        table().fuse({"a": X[0][0], "b": 3, "c": X[0][2]})


def test_a_single_image_chooses_nothing():
    with pytest.raises(InputError, match='strength: "auto" is chosen by images that are held out'):
        ensir.fit(X[0], Y[0], method="least_squares")
