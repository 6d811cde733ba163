"""What arrays say of themselves is heeded: names of models, names of axes, masks, depths, and memory used again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import torch
import xarray
from examples import image

import ensir
from ensir.errors import InputError
from ensir.images import image_files

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


def test_images_are_paired_by_their_names():
    y = dict(zip("rst", Y, strict=True))
    x = {model: {name: X["rst".index(name)][m] for name in "tsr"} for m, model in enumerate(MODELS)}
    lut = ensir.fit(x, y, method="weighted")
    assert lut.reference_images == ("r", "s", "t")
    np.testing.assert_array_equal(weights(lut), weights(table()))
    fused = lut.fuse(x)
    assert list(fused) == ["t", "s", "r"]
    np.testing.assert_array_equal(fused["r"], table().fuse(X[0]))
    expected = ensir.score(Y, [table().fuse(image) for image in X], value_range=(0, 255))
    np.testing.assert_array_equal(ensir.score(y, fused, value_range=(0, 255))["psnr"], expected["psnr"])
    scores = ensir.score(y, x)
    np.testing.assert_array_equal(scores["psnr"], ensir.score(Y, X)["psnr"])
    assert (scores.images, scores.models) == (tuple(y), MODELS)
    assert repr(scores).endswith(f"\nimages: {', '.join(y)}\nmodels: a, b, c")
    missing = {**x, "b": {name: x["b"][name] for name in "rt"}}
    for function in (
        lambda: ensir.fit(missing, y),
        lambda: ensir.score(y, missing),
        lambda: lut.fuse(missing),
    ):
        with pytest.raises(InputError, match=r"x, model b: has no image 's', which (y|model a) has"):
            function()
    with pytest.raises(InputError, match="x: has the image 't', which y has not"):
        ensir.score({name: y[name] for name in "rs"}, fused, value_range=(0, 255))
    with pytest.raises(InputError, match="x: does not name its images, but y does"):
        ensir.fit(X, y)
    with pytest.raises(
        InputError, match="models r, s, t, but the table is of a, b, c; where these are images"
    ):
        lut.fuse(dict(zip("rst", X, strict=True)))
    with pytest.raises(InputError, match="y: does not name its images, but x does; give a mapping by name"):
        ensir.fit(x, Y)


def test_folders_are_read_as_by_commands(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    for name, picture in (("a/r", Y[0]), ("a/s", Y[1][:1])):
        image_files.write(tmp_path / f"{name}_x4.png", np.moveaxis(picture, 0, 2) * np.uint16(257))
    (tmp_path / "a" / "notes.txt").write_text("none")
    found = ensir.read(tmp_path, suffix="_x4")
    assert list(found) == ["a/r", "a/s"]
    assert repr(found) == "<Folder of 2 images: a/r, a/s>"
    np.testing.assert_array_equal(found["a/r"], Y[0] * np.uint16(257))
    np.testing.assert_array_equal(found["a/s"], np.repeat(Y[1][:1], 3, axis=0) * np.uint16(257))
    assert not caplog.records
    (tmp_path / ".hidden.png").write_bytes((tmp_path / "a/r_x4.png").read_bytes())
    assert len(ensir.read(tmp_path, suffix="_x4")) == 2
    assert f"read: {tmp_path} passes over 1 images" in caplog.text
    assert "rename hidden ones" in caplog.text
    with pytest.raises(InputError, match="read: no folder nowhere"):
        ensir.read("nowhere")
    with pytest.raises(InputError, match="does not end in the declared suffix '_x2'"):
        ensir.read(tmp_path, suffix="_x2")


# ── axes, masks, depths ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "axes",
    [
        ("model", "channel", "height", "width"),
        ("models", "c", "h", "w"),
        ("Model", "band", "y", "x"),
        ("model", "channels", "row", "column"),
        ("model", "bands", "lat", "lon"),
    ],
)
def test_axes_are_put_in_order_by_their_names(axes: tuple[str, ...]):
    x = xarray.DataArray(X[0], dims=axes).transpose(..., *axes[::-1])
    y = xarray.DataArray(Y[0], dims=axes[1:]).transpose(*axes[:0:-1])
    np.testing.assert_array_equal(table().fuse(x), table().fuse(X[0]))
    assert ensir.score(y, X[0][0]) == ensir.score(Y[0], X[0][0])
    np.testing.assert_array_equal(
        weights(ensir.fit(x, y, method="weighted")), weights(ensir.fit(X[0], Y[0], method="weighted"))
    )


def test_the_names_of_models_are_on_their_axis_whatever_it_is_called():
    x = labelled(X[0], OTHERS).rename(model="Models").transpose("channel", ...)
    np.testing.assert_array_equal(table().fuse(x), table().fuse(X[0]))


def test_axes_with_other_names_are_refused():
    np.testing.assert_array_equal(table().fuse(xarray.DataArray(X[0])), table().fuse(X[0]))
    unnamed = xarray.concat([xarray.DataArray(x) for x in X[0]], "model").transpose("dim_0", "dim_1", ...)
    np.testing.assert_array_equal(table().fuse(unnamed), table().fuse(X[0]))
    for dims in (
        ("method", "channel", "height", "width"),
        ("model", "channel", "rgb", "width"),
        ("model", "channel", "y", "height"),
        ("model", "channel", "dim_2", "dim_3"),
        ("depth", "model", "channel", "height", "width"),
    ):
        x = X[0][None] if len(dims) == 5 else X[0]
        with pytest.raises(InputError, match=f"x: has the axes {', '.join(map(repr, dims))}; rename them to"):
            table().fuse(xarray.DataArray(x, dims=dims))
    batch = xarray.DataArray(np.stack(X), dims=("batch", "model", "channel", "height", "width"))
    with pytest.raises(
        InputError, match=r"several images are a list .* \[value.isel\(batch=i\) for i in range\(3"
    ):
        table().fuse(batch)
    with pytest.raises(InputError, match=r"holds 3 models of shape \(3, 3, 12, 14\).*\(batch_size=None\)"):
        table().fuse([np.stack(X)])


def test_labels_are_compared_up_to_rounding_and_if_they_say_something():
    def labelled(image: np.ndarray, y: object = None, channel: object = None) -> xarray.DataArray:
        labels = {"y": y, "channel": channel}
        coordinates = {axis: value for axis, value in labels.items() if value is not None}
        return xarray.DataArray(image, dims=("channel", "y", "x"), coords=coordinates)

    def score(of_target: dict, of_result: dict) -> dict:
        return ensir.score(labelled(Y[0], **of_target), labelled(X[0][0], **of_result))

    rows, expected = 50 + np.arange(12) * 0.1, ensir.score(Y[0], X[0][0])
    assert score({"y": rows}, {"y": np.linspace(50, 51.1, 12)}) == expected
    assert score({"channel": [1, 2, 3]}, {"channel": list("RGB")}) == expected
    assert score({"channel": [1, 2, 3]}, {"channel": [0, 1, 2]}) == expected
    for of_target, of_result in (
        ({"y": rows}, {"y": rows + 1e-6}),
        ({"y": rows}, {"y": rows[::-1]}),
        ({"y": np.arange(12)}, {"y": np.arange(12)[::-1]}),
        ({"y": np.arange(12)}, {"y": np.arange(4, 16)}),  # another part of the picture
        ({"channel": list("BGR")}, {"channel": list("RGB")}),
        ({"channel": [3, 2, 1]}, {"channel": list("RGB")}),
    ):
        with pytest.raises(InputError, match="image 1: its arrays have different labels along"):
            score(of_target, of_result)


def test_labels_along_other_axes_are_compared():
    labels = {"channel": ["R", "G", "B"], "y": range(12)}
    y = xarray.DataArray(Y[0], dims=("channel", "y", "x"), coords=labels)
    x = xarray.DataArray(X[0], dims=("model", "channel", "y", "x"), coords=labels | {"model": list(MODELS)})
    np.testing.assert_array_equal(
        weights(ensir.fit(x, y, method="weighted")), weights(ensir.fit(X[0], Y[0], method="weighted"))
    )
    assert ensir.score(y, x.drop_vars("y")).keys() == {"psnr", "ssim"}
    for axis in ("channel", "y"):
        other = x.isel({axis: slice(None, None, -1)})
        for function in (ensir.fit, lambda x, y: ensir.score(y, x), lambda x, y: ensir.score(y, x[0])):
            with pytest.raises(
                InputError, match=f"image 1: its arrays have different labels along '{axis}'; align"
            ):
                function(other, y)
        with pytest.raises(InputError, match=f"x: its arrays have different labels along '{axis}'"):
            table().fuse({"a": x[0], "b": other[1], "c": x[2]})


@pytest.mark.parametrize("form", [np.asanyarray, dask.array.from_array])
def test_masked_values_are_refused(form: Callable[[Any], Any]):
    masked = np.ma.masked_array(Y[0], np.zeros(Y[0].shape, bool))
    assert ensir.score(form(masked), X[0][0]) == ensir.score(Y[0], X[0][0])
    masked[0, 0, :2] = np.ma.masked
    with pytest.raises(
        InputError, match=r"image 1: y: 2 of 504 values are masked; fill them \(`filled`\), or leave"
    ):
        ensir.fit(X[0], form(masked))


@pytest.mark.filterwarnings("ignore:.*MaskedTensors:UserWarning")
def test_tensors_that_are_no_plain_arrays():
    from torch.masked import masked_tensor

    x, mask = torch.tensor(X[0]).float(), torch.ones(X[0].shape, dtype=torch.bool)
    fused = table().fuse(masked_tensor(x, mask), value_range=(0, 255))
    np.testing.assert_array_equal(fused, table().fuse(X[0]))
    mask[0, 0, 0, :2] = False
    with pytest.raises(InputError, match="x: 2 of 1512 values are masked"):
        table().fuse(masked_tensor(x, mask), value_range=(0, 255))
    for strange in (x.to_sparse(), torch.empty(x.shape, device="meta")):
        with pytest.raises(
            InputError, match=r"x: this tensor holds no plain array .*; convert it to an array"
        ):
            table().fuse(strange, value_range=(0, 255))


def test_models_are_scored_in_their_own_depths():
    x, y = X[0], Y[0] / 255
    deep = {"a": x[0], "b": x[1] * np.uint16(257), "c": x[2] / 255}
    found = ensir.score(y, deep, value_range=(0, 1))
    expected = ensir.score(y, x, value_range=(0, 1))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9)
    with pytest.raises(InputError, match="x holds uint16, but its target uint8"):
        ensir.score(Y[0], deep, value_range=(0, 1))


def test_floats_have_no_depth_to_round_to():
    found = ensir.score(Y[0], table().fuse(X[0]), value_range=(0, 255), rounded=True)
    assert found == ensir.score(Y[0], np.rint(table().fuse(X[0])).astype(np.uint8))
    with pytest.raises(
        InputError, match="y holds floats, so that it is not known to which depth x should be rounded"
    ):
        ensir.score(Y[0] * 1.0, table().fuse(X[0]), value_range=(0, 255), rounded=True)
    with pytest.raises(InputError, match="bits: is 16, but the table is of 8 bits; leave it out"):
        ensir.fuse(X[0] / 255, table(), value_range=(0, 1), bits=16)


def test_batches_are_told():
    with pytest.raises(
        InputError, match=r"holds 1 model; .*; of batches, as of a DataLoader, take each image"
    ):
        ensir.fit([X[0][None]], [Y[0][None]])


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
