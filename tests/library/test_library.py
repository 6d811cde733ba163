"""`import ensir`: arrays of every library in, the workflow's numbers out, and clear errors."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import torch
import xarray
import zarr
from examples import assert_same, counted, fitted, image
from hypothesis import given, settings
from hypothesis import strategies as st

import ensir
from ensir.cells.filters import FilterMethod
from ensir.cells.lut import LutMethod
from ensir.errors import InputError
from ensir.stages.score import compare

MODELS = ("a", "b", "c")
NAMES = ("r1", "r2", "r3")


X, Y = (list(values) for values in zip(*(image(seed, width=30 + seed) for seed in range(3)), strict=True))


def weights(lut: ensir.Lut) -> np.ndarray:
    held = lut.table if hasattr(lut.table, "weights") else lut.table.arrays
    return getattr(held, "weights", None) if hasattr(held, "weights") else held["filter"]


# ── what goes in ────────────────────────────────────────────────────────────────────────────────────────────


def zarr_of(value: np.ndarray) -> zarr.Array:
    array = zarr.create_array({}, shape=value.shape, dtype=value.dtype, chunks=(*value.shape[:-1], 8))
    array[...] = value
    return array


def named(value: np.ndarray) -> xarray.DataArray:
    dims = ("model", "channel", "height", "width")[4 - value.ndim :]
    return xarray.DataArray(value, dims=dims, coords={"model": list(MODELS)} if value.ndim == 4 else None)


AS = {
    "torch": torch.as_tensor,
    "dask": dask.array.from_array,
    "zarr": zarr_of,
    "xarray": lambda value: named(value).transpose("width", ..., "channel").transpose(..., "height", "width"),
    "big-endian": lambda value: value.astype(value.dtype.newbyteorder(">")),
    "floats": lambda value: value / 255,
    "float32 of torch": lambda value: torch.as_tensor(value / 255, dtype=torch.float32),
}


@pytest.mark.parametrize("kind", AS)
def test_arrays_of_any_library(kind: str):
    expected = ensir.fit(X[0], Y[0], models=MODELS, names=["one"])
    x, y = AS[kind](X[0]), AS[kind](Y[0])
    meaning: dict[str, Any] = {"value_range": (0, 1), "bits": 8} if "float" in kind else {}
    found = ensir.fit(x, y, models=MODELS, names="one", **meaning)
    np.testing.assert_array_equal(weights(found), weights(expected))
    assert found.table.reference_digests == expected.table.reference_digests
    fused = found.fuse(x, **{key: value for key, value in meaning.items() if key != "bits"})
    assert isinstance(fused, torch.Tensor if "torch" in kind else np.ndarray)
    unit = 255 if meaning else 1
    np.testing.assert_allclose(np.asarray(fused) * unit, expected.fuse(X[0]), rtol=0, atol=1e-4)
    errors = np.asarray(found.expected_error(x, **{k: v for k, v in meaning.items() if k != "bits"}))
    np.testing.assert_allclose(errors * unit**2, expected.expected_error(X[0]), rtol=1e-5)


@pytest.mark.parametrize("method", ["least_squares", "local_filters"])
def test_images_of_different_sizes_in_any_form(method: str):
    expected = ensir.fit(X, Y, method=method, models=MODELS, names=NAMES)
    by_model = {model: [image[m] for image in X] for m, model in enumerate(MODELS)}
    forms = [
        ensir.fit(by_model, Y, method=method, names=NAMES),
        ensir.fit(zip(X, Y, strict=True), method=method, models=MODELS, names=iter(NAMES)),
        ensir.fit((image for image in X), (image for image in Y), method=method, models=MODELS, names=NAMES),
    ]
    for found in forms:
        np.testing.assert_array_equal(weights(found), weights(expected))
        assert found.models == expected.models == MODELS
        assert found.reference_images == NAMES
    fused = expected.fuse(X)
    np.testing.assert_array_equal(expected.fuse({m: x for m, x in zip(MODELS, X[1], strict=True)}), fused[1])
    reordered = {model: X[1][MODELS.index(model)] for model in ("c", "a", "b")}
    np.testing.assert_array_equal(expected.fuse(reordered), fused[1])
    lazily = expected.fuse(iter(X))
    assert iter(lazily) is lazily
    for one, other in zip(lazily, fused, strict=True):
        np.testing.assert_array_equal(one, other)


def test_pixels_are_enough_for_methods_without_neighbours():
    x, y = X[0].reshape(3, 3, -1), Y[0].reshape(3, -1)
    lut = ensir.fit(x, y, method="weighted")
    np.testing.assert_array_equal(weights(lut), weights(ensir.fit(X[0], Y[0], method="weighted")))
    np.testing.assert_array_equal(lut.fuse(x).reshape(Y[0].shape), lut.fuse(X[0]))
    with pytest.raises(InputError, match="is a run of pixels, but filters are counted by the neighbours"):
        ensir.fit(x, y, method="local_filters")
    with pytest.raises(InputError, match="x: is a run of pixels, but this method looks at the neighbours"):
        ensir.fit(X, Y, method="local_filters").fuse(x)


@pytest.mark.parametrize("bits", [8, 16])
def test_the_cells_are_those_of_their_definition(bits: int):
    x, y = image(5, bits=bits)
    lut = ensir.fit(x, y, method="ensir", bin_width=np.int64(32), channels="separate", models=MODELS)
    expected = fitted(counted(x.reshape(3, 3, -1), y.reshape(3, -1), 32), _plain(lut))
    np.testing.assert_array_equal(lut.table.weights, expected.weights)
    np.testing.assert_array_equal(lut.fuse(x), LutMethod({}, expected).fuse(x))


def _plain(lut: ensir.Lut) -> dict[str, Any]:
    return {"kind": lut.method, **lut.options}


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────

FLOATS = X[0] / np.float32(255)
REFUSED: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "undeclared floats": (FLOATS, Y[0], {}, "holds float32, whose black and white are not known; declare them"),
    "undeclared depth": (FLOATS, Y[0] / 255, {"value_range": (0, 1)}, "declare the depth .* bits=8, or bits=16"),
    "another range": (X[0] * 1.0, Y[0], {"value_range": (0, 1)}, r"far outside \[0, 1\]; .* perhaps \[0, 255\]"),
    "NaN": (FLOATS * np.nan, Y[0], {"value_range": (0, 1)}, "values are NaN or infinite"),
    "a wrong range": (FLOATS, Y[0], {"value_range": (1, 0)}, "must be black and white"),
    "other integers": (X[0].astype(np.int64), Y[0], {}, "holds int64; convert it to uint8"),
    "two depths": (X[0], Y[0].astype(np.uint16), {}, "8 and 16 bits are mixed"),
    "channels last": (np.moveaxis(X[0], 1, 3), np.moveaxis(Y[0], 0, 2), {}, r"np.moveaxis\(image, -1, -3\)"),
    "one model": (X[0][:1], Y[0], {}, "holds 1 model; two or more are combined"),
    "another size": (X[0], Y[1], {}, r"has shape \(3, 24, 31\), but the predictions for it \(3, 24, 30\)"),
    "more images": (X, Y[:2], {}, "hold different numbers of images"),
    "more names": (X, Y, {"names": ["a", "b", "c", "d"]}, "names: there are more than images"),
    "fewer names": (X, Y, {"names": ["a"]}, "names: there are 1, but more images"),
    "one name": (X, Y, {"names": ["a", "b", "a"]}, "image 'a' is counted twice"),
    "an image twice": ([X[0], X[0]], [Y[0], Y[0]], {}, "is counted twice; leave it out"),
    "no targets": (X[0], None, {}, "y: the targets are missing"),
    "no images": ([], [], {}, "hold no image"),
    "other channels": ([X[0], X[1][:, :1]], [Y[0], Y[1][:1]], {}, "1 channels of uint8, .* 3 channels"),
    "names of models": (X[0], Y[0], {"models": ["a", "b"]}, "are not the names of 3 models"),
    "an unknown method": (X[0], Y[0], {"method": "ensire"}, "did you mean 'ensir'"),
    "a method without statistics": (X[0], Y[0], {"method": "rforest"}, "is not fitted to statistics; allowed: best"),
    "an unknown option": (X[0], Y[0], {"bins": 3}, "bins: method ensir has no such option"),
    "a wrong value": (X[0], Y[0], {"bin_width": 0}, "bin_width: .*, not 0"),
    "a wrong prior": (X[0], Y[0], {"prior": [0.5, 0.5]}, "prior: .* must hold 3 numbers"),
    "targets that are predictions": (X[0], X[0][1], {}, "the target is the prediction of model model_1 bit for bit"),
    "one array of targets": (X, Y[0], {}, "y: is one array, but x are several"),
    "one array of predictions": (X[0], Y, {}, "x: is one array, but y are several"),
    "nothing": (None, None, {}, "x: is NoneType; give predictions"),
    "an unknown device": (X[0], Y[0], {"device": "gpu"}, "device: 'gpu' is wrong; allowed: auto, cpu, cuda"),
    "no array": ([["a"]], [Y[0]], {}, "is list, not an array"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str):
    x, y, options, message = REFUSED[case]
    with pytest.raises(InputError, match=message):
        ensir.fit(x, y, **options)


def test_fusing_what_does_not_fit():
    lut = ensir.fit(X, Y, method="weighted", models=MODELS)
    for x, options, message in (
        (X[0][:2], {}, "holds 2 models, but the table is of 3: a, b, c"),
        (X[0].astype(np.uint16), {}, "holds uint16, where 8 bits are expected"),
        (FLOATS, {}, "holds float32, whose black and white are not known"),
        ({"a": X[0][0], "b": X[0][1], "d": X[0][2]}, {}, "but the table is of a, b, c"),
    ):
        with pytest.raises(InputError, match=message):
            lut.fuse(x, **options)
    with pytest.raises(
        InputError, match=r"neither a file nor a method that needs none.*did you mean 'average'"
    ):
        ensir.fuse(X[0], "averag")


def test_files_that_are_no_tables(tmp_path: Path):
    (tmp_path / "text").write_text("no table")
    xarray.Dataset({"a": ("b", [1.0])}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    for name, message in (
        ("", "is a folder, and no fit of a results folder"),
        ("missing.lut", "no such file; fix the path"),
        ("text", "is not a LUT, but a file of another kind"),
        ("other.nc", "is not a LUT"),
    ):
        for function in (ensir.Lut.load, lambda path: ensir.fuse(X[0], path)):
            with pytest.raises(InputError, match=f"{re.escape(str(tmp_path / name))}: {message}"):
                function(tmp_path / name)


# ── statistics that add up ──────────────────────────────────────────────────────────────────────────────────


@given(order=st.permutations(range(6)), cut=st.integers(1, 5))
@settings(max_examples=5, deadline=None)
def test_statistics_add_up_in_any_order(order: list[int], cut: int):
    images = [image(seed, 12, 14) for seed in range(6)]
    whole = ensir.count(*zip(*images, strict=True), models=MODELS, bin_width=64)
    pieces = [
        ensir.count(*zip(*(images[i] for i in some), strict=True), models=MODELS, bin_width=64)
        for some in (order[:cut], order[cut:])
    ]
    found = sum(pieces)
    assert found.images == whole.images
    assert_same(found.sums["bins"], whole.sums["bins"])
    assert_same((pieces[1] + pieces[0]).sums["bins"], whole.sums["bins"])


def test_folds_of_many_images():
    """More than 64 images share folds by their names, wherever they were counted."""
    images = [image(seed, 4, 5) for seed in range(70)]
    names = [f"{number}.png" for number in range(70)]
    options: dict[str, Any] = {"models": MODELS, "method": "local_filters"}
    whole = ensir.count(*zip(*images, strict=True), names=names, **options)
    pieces = [
        ensir.count(*zip(*images[some], strict=True), names=names[some], **options)
        for some in (np.s_[:3], np.s_[3:])
    ]
    found = pieces[1] + pieces[0]
    for name in ("fold", "key", "count", "gram", "cross", "square"):
        np.testing.assert_array_equal(
            getattr(found.sums["filters"], name), getattr(whole.sums["filters"], name)
        )
    assert whole.sums["filters"].fold.max() < 64


def test_methods_share_statistics():
    counted = ensir.count(X, Y, method="best", models=MODELS, names=NAMES)
    for method in ("least_squares", "local_filters"):
        found = ensir.fit(counted, method=method)
        expected = ensir.fit(X, Y, method=method, models=MODELS, names=NAMES)
        np.testing.assert_array_equal(weights(found), weights(expected))
    coarse = ensir.count(X, Y, bin_width=32)
    with pytest.raises(
        InputError, match=r"needs the statistics 'bins' with \{'bin_width': 16\}; counted were"
    ):
        ensir.fit(coarse, bin_width=16)
    with pytest.raises(InputError, match="statistics of different settings do not add up"):
        coarse + ensir.count(*image(9), bin_width=64)
    with pytest.raises(InputError, match="statistics say y, models"):
        ensir.fit(coarse, Y)


# ── scores, selections ──────────────────────────────────────────────────────────────────────────────────────


def test_scores_are_those_of_the_workflow():
    options = {"metrics": ["psnr", "ssim"], "space": "y", "crop": 2}
    found = ensir.score(Y, X, **options)
    sections = {name: {"kind": name} for name in ("psnr", "ssim")}
    for i, (y, x) in enumerate(zip(Y, X, strict=True)):
        for m in range(3):
            expected = compare(
                "x", y.transpose(1, 2, 0), x[m].transpose(1, 2, 0), 8,
                {"space": "y", "crop": 2, "rounded": False, "metrics": sections},
            )  # fmt: skip
            assert {name: values[i, m] for name, values in found.items()} == expected
    one = ensir.score(Y[0], X[0][0], **options)
    assert one == {name: values[0, 0] for name, values in found.items()}
    halves = ensir.score(Y[0] / 255, X[0][0] / 255, value_range=(0, 1), **options)
    assert halves == pytest.approx(one, rel=1e-12)
    mixed = ensir.score(Y[0], X[0] / 255, value_range=(0, 1), **options)
    np.testing.assert_allclose(mixed["psnr"], found["psnr"][0], rtol=1e-12)
    deep = ensir.score(Y[0] * np.uint16(257), X[0][0] / 255, value_range=(0, 1), **options)
    assert deep == pytest.approx(one, rel=1e-9)
    by_name = ensir.score(Y[0], dict(zip(MODELS, X[0], strict=True)), **options)
    np.testing.assert_array_equal(by_name["psnr"], found["psnr"][0])
    for wrong, message in (({"metrics": ["psnrr"]}, "metrics: "), ({"space": "lab"}, "space: ")):
        with pytest.raises(InputError, match=message):
            ensir.score(Y[0], X[0], **wrong)
    with pytest.raises(InputError, match="holds float32, whose black and white are not known"):
        ensir.score(Y[0], ensir.fuse(X[0], "average"))


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["pnsr"], "metrics: 'pnsr' is no metric; allowed: .*; did you mean 'psnr'"),
        ({"mine": {"kind": "sim"}}, "metrics: 'sim' is no metric; .*; did you mean 'ssim'"),
        ([3], "metrics: 3 is no metric"),
        (None, "metrics: is None; give a list of names"),
    ],
)
def test_metrics_that_there_are_not(metrics: Any, message: str):
    assert ensir.score(Y[0], X[0][0], metrics="psnr") == ensir.score(Y[0], X[0][0], metrics=["psnr"])
    with pytest.raises(InputError, match=message):
        ensir.score(Y[0], X[0][0], metrics=metrics)


def test_the_fused_image_scores_best():
    lut = ensir.fit(X, Y, method="least_squares")
    fused = ensir.score(Y, lut.fuse(X), value_range=(0, 255))["psnr"]
    assert (fused[:, None] > ensir.score(Y, X)["psnr"]).all()
    average = ensir.fuse(X, "average")
    np.testing.assert_allclose(average[0], X[0].mean(axis=0), atol=1e-4)
    gains = fused - ensir.score(Y, average, value_range=(0, 255))["psnr"]
    assert lut.gain is not None
    assert 0 < lut.gain.mean() < gains.mean() + 0.5


def test_a_selection_is_that_of_the_statistics():
    found = ensir.select(X, Y, models=MODELS, names=NAMES, seconds={"a": 1.0, "b": 2.0, "c": 4.0})
    assert [row.models for row in found.subsets][-1] == MODELS
    assert [row.seconds for row in found.models] == [1.0, 2.0, 4.0]
    assert {row.image for row in found.images} == set(NAMES)
    assert isinstance(found, ensir.Selection)
    assert re.search(rf"\na \+ b \+ c +{found.subsets[-1].psnr:.2f} +– +7.000 +✓", repr(found))
    page = found._repr_html_()
    assert page.count("<tr>") == 2 + 7 + 3
    assert page.count("<svg") == 1
    counted = ensir.count(X, Y, method="least_squares", models=MODELS, names=NAMES)
    assert ensir.select(counted).images == found.images
    with pytest.raises(InputError, match="single image"):
        ensir.select(X[0], Y[0])
    with pytest.raises(InputError, match="seconds: a takes '1'; give a number"):
        ensir.select(X, Y, models=MODELS, seconds={"a": "1"})  # type: ignore[dict-item]
    with pytest.raises(InputError, match="cannot compare subsets; allowed: least_squares"):
        ensir.select(X, Y, method="ensir")


# ── tables ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["ensir", "least_squares", "best"])
def test_files_and_what_is_shown(method: str, tmp_path: Path):
    lut = ensir.fit(X, Y, method=method, models=MODELS, names=NAMES)
    lut.save(tmp_path / "x.lut")
    assert [path.name for path in tmp_path.iterdir()] == ["x.lut"]
    loaded = ensir.Lut.load(tmp_path / "x.lut")
    np.testing.assert_array_equal(loaded.fuse(X[0]), lut.fuse(X[0]))
    np.testing.assert_array_equal(ensir.fuse(X[0], tmp_path / "x.lut"), lut.fuse(X[0]))
    assert (loaded.method, loaded.options, loaded.bits) == (lut.method, lut.options, 8)
    assert (lut.gain is None) == (method == "ensir")
    np.testing.assert_array_equal(loaded.gain, lut.gain)  # type: ignore[arg-type]
    assert repr(loaded) == repr(lut)
    with xarray.open_dataset(tmp_path / "x.lut") as opened:
        assert opened["model"].values.tolist() == list(MODELS)
    assert re.search(rf"method: +{method}\n", repr(lut))
    assert ("gain over the average" in repr(lut)) == (lut.gain is not None)
    page = lut._repr_html_()
    assert page.count("<polyline") == 3
    assert "a, b, c" in page
    if isinstance(lut.combiner, FilterMethod | LutMethod):
        assert np.isfinite([float(n) for n in re.findall(r"c[xy]='([-\d.]+)'", page)]).all()


def test_what_is_public():
    code = (
        "import sys, ensir; heavy = {'numpy', 'torch', 'numba', 'pydantic', 'zarr', 'scipy'} & set(sys.modules); "
        "assert not heavy, heavy; assert set(ensir.__all__) <= set(dir(ensir)); "
        "[getattr(ensir, name) for name in ensir.__all__ if name != 'tensor']; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in ensir.__all__:
        if not isinstance(getattr(ensir, name), str):
            assert getattr(ensir, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'fits'"):
        ensir.fits  # noqa: B018
