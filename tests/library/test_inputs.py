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
    np.testing.assert_array_equal(ensir.score(y, x)["psnr"], ensir.score(Y, X)["psnr"])
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


def test_folders_are_read_as_by_commands(tmp_path: Path):
    for name, picture in (("a/r", Y[0]), ("a/s", Y[1][:1])):
        image_files.write(tmp_path / f"{name}_x4.png", np.moveaxis(picture, 0, 2) * np.uint16(257))
    (tmp_path / "a" / "notes.txt").write_text("none")
    found = ensir.read(tmp_path, suffix="_x4")
    assert list(found) == ["a/r", "a/s"]
    assert repr(found) == "<Folder of 2 images: a/r, a/s>"
    np.testing.assert_array_equal(found["a/r"], Y[0] * np.uint16(257))
    np.testing.assert_array_equal(found["a/s"], np.repeat(Y[1][:1], 3, axis=0) * np.uint16(257))
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
        ("time", "model", "channel", "height", "width"),
    ):
        x = X[0][None] if len(dims) == 5 else X[0]
        with pytest.raises(InputError, match=f"x: has the axes {', '.join(map(repr, dims))}; rename them to"):
            table().fuse(xarray.DataArray(x, dims=dims))


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


def test_floats_that_are_all_black_in_the_declared_range():
    with pytest.raises(InputError, match=r"y: all of its values are black in \[0, 255\]; .*, or give integ"):
        ensir.fit(X[0], Y[0] / 255, value_range=(0, 255))
    for function in (
        lambda: ensir.fit(X[0] / 255, Y[0], value_range=(0, 255)),
        lambda: ensir.score(Y[0], X[0][0] / 255, value_range=(0, 255)),
    ):
        with pytest.raises(
            InputError, match=r"x: all of its values, but not the target's, are black in .* perhaps"
        ):
            function()
    x = X[0] / 255
    with pytest.raises(InputError, match=r"y: all of its values are black in \[0, 255\]"):
        ensir.score(Y[0] / 255, x[0], value_range=(0, 255))
    with pytest.raises(InputError, match="not the target's, lie in the upper half of"):
        ensir.score(Y[0] // 8, x[0] / 2 + 0.5, value_range=(-1, 1))
    black = np.zeros_like(X[0])
    np.testing.assert_array_equal(table().fuse(black * 1.0, value_range=(0, 255)), table().fuse(black))
    np.testing.assert_array_equal(table().fuse(black + 0.3, value_range=(0, 255)), table().fuse(black))
    dark = (X[0] > 128).astype(np.uint8)
    np.testing.assert_array_equal(table().fuse(dark * 1.0, value_range=(0, 255)), table().fuse(dark))


def test_one_picture_may_be_dark_or_bright(caplog: pytest.LogCaptureFixture):
    """Without a target, there is a warning; targets are refused only where all of them are so."""
    y = [np.tile(value, (2, 2)) / 510 + 0.5 for value in Y]  # no value below the middle of [-1, 1]
    x = [np.tile(value, (2, 2)) / 510 + 0.5 for value in X]
    bright, message = (
        {"value_range": (-1, 1)},
        "all of its values lie in the upper half of [-1, 1]; they go from",
    )
    for function in (lambda: table().fuse(x[0], **bright), lambda: ensir.score(y[0], x[0], **bright)):
        caplog.clear()
        function()
        assert message in caplog.text
    for function in (lambda: ensir.score(y, x, **bright), lambda: ensir.fit(x, y, bits=8, **bright)):
        with pytest.raises(InputError, match="image 1: y: all of its values lie in the upper half"):
            function()
    caplog.clear()
    ensir.fit([*x, x[0] - 1], [*y, y[0] - 1], method="weighted", bits=8, **bright)
    table().fuse(X[0] * 0.002 / 255, value_range=(0, 1))
    assert not caplog.records
    table().fuse(X[0] / 255, value_range=(0, 255))
    assert "x: all of its values are black in [0, 255]" in caplog.text


def test_floats_that_ring_at_edges():
    edge = np.where(np.arange(14) < 7, 0.0, 1.0) + 0.055 * np.sin(np.arange(14))
    x, y = (np.broadcast_to(value, X[0].shape) for value in (edge, np.rint(edge)))
    assert (np.abs(x - 0.5) > 0.5 + 10 / 255).mean() > 0.1
    assert 20 < ensir.score(y[0], x[0], value_range=(0, 1))["psnr"] < 30
    table().fuse(x, value_range=(0, 1))


@pytest.mark.parametrize(("bits", "factor"), [(8, 1), (10, 4), (12, 16)])
def test_images_of_fewer_bits_in_16(bits: int, factor: int):
    """All of a set, unless they are declared to be of 16; a single bright one proves that all are."""
    x, y = (np.tile(value, (2, 2)) * np.uint16(factor) for value in (X[0], Y[0]))
    message = f"no value is above {x.max()}, where white is 65535; perhaps .0, {2**bits - 1}"
    for function in (
        lambda: ensir.fit([x, x], [y, y], names=list("ab")),
        lambda: ensir.score(y, x),
        lambda: ensir.select([x, x], [y, y], names=list("ab")),
    ):
        with pytest.raises(InputError, match=message if bits > 8 else r"black in|no value is above 235"):
            function()
    lut = ensir.fit(x * 1.0, y * 1.0, method="weighted", value_range=(0, 255 * factor), bits=8)
    expected = ensir.fit(*(np.tile(value, (2, 2)) for value in (X[0], Y[0])), method="weighted")
    np.testing.assert_array_equal(weights(lut), weights(expected))
    bright = [np.tile(value, (2, 2)) * np.uint16(257) for value in (X[1], Y[1])]
    if bits == 8:  # black in 16
        for function in (
            lambda: ensir.score(y * 1.0, x * 1.0, value_range=(0, 65535)),
            lambda: ensir.fit(x * 1.0, y * 1.0, value_range=(0, 65535), bits=16),
            lambda: ensir.fit(x, y, bits=16),
            lambda: ensir.score(bright[1], x),
            lambda: ensir.fit(x, bright[1]),
        ):
            with pytest.raises(InputError, match=r"black in|no value is above 235"):
                function()
        return
    assert ensir.score(y * 1.0, x * 1.0, value_range=(0, 65535))["psnr"].min() > 45
    assert ensir.score(y, x, value_range=(0, 65535))["psnr"].min() > 45
    ensir.fit(x, y, method="weighted", bits=16)
    assert ensir.score([y, bright[1]], [x, bright[0]])["psnr"].shape == (2, 3)
    pieces = [ensir.count(*pair, method="weighted") for pair in ((x, y), bright)]
    ensir.fit(sum(pieces), method="weighted")
    with pytest.raises(InputError, match=message):
        ensir.fit(pieces[0], method="weighted")


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
