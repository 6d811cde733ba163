"""Fusing by LUT: dense and sparse, 8 and 16 bit, and its file."""

from dataclasses import fields, replace

import h5py
import numpy as np
import pytest
from examples import made, pixels, seeds
from hypothesis import given, settings
from hypothesis import strategies as st

from ensir.cells import lut as luts
from ensir.cells.lut import LutMethod, load, save
from ensir.errors import InputError
from ensir.storage.layout import Place


@given(
    seed=seeds,
    models=st.sampled_from([2, 3, 5]),
    bits=st.sampled_from([8, 16]),
    channels=st.sampled_from(["joint", "separate"]),
    arithmetic=st.sampled_from(["released", "paper"]),
)
@settings(max_examples=25)  # fmt: skip
def test_fused_values_lie_within_their_predictions(seed, models, bits, channels, arithmetic):
    method = LutMethod({}, made(seed, models, bits, channels, arithmetic))
    x, _ = pixels(seed + 1, models, bits)
    fused, exact = method.fuse(x), method.fuse(x, np.float64)
    slack = models * 1e-6 if arithmetic == "released" else 1e-12  # what the weights may sum to beside one
    assert (exact >= x.min(axis=0) * (1 - slack)).all()
    assert (exact <= x.max(axis=0) * (1 + slack)).all()
    assert fused.dtype == np.float32
    np.testing.assert_allclose(fused, exact, rtol=0, atol=1e-4 * (257 if bits == 16 else 1))
    *weights, _ = method.weights(x).astype(np.float32)
    *others, last = x.astype(np.float32)
    np.testing.assert_array_equal(
        fused, sum((w * (other - last) for w, other in zip(weights, others, strict=True)), last)
    )
    np.testing.assert_allclose((method.weights(x) * x).sum(axis=0), exact, rtol=1e-12)


@pytest.mark.parametrize("bits", [8, 16])
def test_weights_that_do_not_sum_to_one(bits):
    lut = made(0, bits=bits)
    method = LutMethod({}, replace(lut, weights=lut.weights * 1.5, fill_weights=lut.fill_weights * 1.5))
    x, _ = pixels(1, bits=bits)
    weights = method.weights(x).astype(np.float32)
    np.testing.assert_array_equal(method.fuse(x), sum(w * p for w, p in zip(weights, x, strict=True)))


@given(
    seed=seeds,
    channels=st.sampled_from(["joint", "separate"]),
    arithmetic=st.sampled_from(["released", "paper"]),
)
@settings(max_examples=15)
def test_sparse_equals_dense(seed, channels, arithmetic):
    lut = made(seed, channels=channels, arithmetic=arithmetic)
    x, _ = pixels(seed + 1)
    dense = LutMethod({}, lut).fuse(x, np.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(luts, "DENSE_CELLS", 0)
        np.testing.assert_array_equal(LutMethod({}, lut).fuse(x, np.float64), dense)


@given(seed=seeds, bits=st.sampled_from([8, 16]), channels=st.sampled_from(["joint", "separate"]))
@settings(max_examples=15)
def test_expected_errors_of_the_reference_are_its_errors(seed, bits, channels):
    lut = made(seed, bits=bits, channels=channels)
    x, y = pixels(seed, bits=bits)
    method = LutMethod({}, lut)
    fused, expected = method.fuse_with_error(x)
    np.testing.assert_array_equal(fused, method.fuse(x))
    actual = (y - method.fuse(x, np.float64)) ** 2
    np.testing.assert_allclose(expected.sum(dtype=np.float64), actual.sum(), rtol=1e-5)
    np.testing.assert_allclose(np.unique(expected), np.unique(lut.expected_squared_error.astype(np.float32)))


@pytest.mark.parametrize("arithmetic", ["released", "paper"])
def test_empty_cells_expect_no_number(arithmetic, monkeypatch):
    lut = made(0, arithmetic=arithmetic)
    x = np.random.default_rng(0).integers(0, 256, (3, 3, 500)).astype(np.uint8)
    fused, expected = LutMethod({}, lut).fuse_with_error(x)
    np.testing.assert_array_equal(np.isnan(expected), ~np.isin(LutMethod({}, lut).numbers(x), lut.number))
    assert 0 < np.isnan(expected).sum() < expected.size
    assert np.isfinite(fused).all()
    monkeypatch.setattr(luts, "DENSE_CELLS", 0)
    sparse, expected_of_sparse = LutMethod({}, lut).fuse_with_error(x)
    np.testing.assert_allclose(sparse, fused, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(expected_of_sparse, expected)


def test_predictions_that_do_not_fit():
    method = LutMethod({}, made(0, channels="separate"))
    for x in (pixels(0, models=2)[0], pixels(0, bits=16)[0], pixels(0, channels=1)[0]):
        with pytest.raises(
            InputError, match=r"2 predictions do not fit a LUT of 3|cannot fuse images of (16|1);"
        ):
            method.fuse(x)


@pytest.mark.parametrize("channels", ["joint", "separate"])
def test_file(tmp_path, channels):
    lut = made(0, channels=channels)
    save(lut, Place.beside(tmp_path / "a.lut"))
    found = load(str(tmp_path / "a.lut"))
    for field in fields(lut):
        np.testing.assert_array_equal(
            getattr(found, field.name), getattr(lut, field.name), err_msg=field.name
        )


def test_digests_of_predictions_may_be_missing(tmp_path):
    """LUTs of earlier versions have none."""
    digests = (("0", "1"), ("0", "3"), ("4", "5"))
    lut = replace(
        made(0), reference_images=("x", "y"), reference_digests=("0", "3"), prediction_digests=digests
    )
    assert lut.perfect_models == ["b"]
    save(lut, Place.beside(tmp_path / "a.lut"))
    assert load(str(tmp_path / "a.lut")).prediction_digests == digests
    with h5py.File(tmp_path / "a.lut") as file:
        assert file["prediction_digest"].shape == (3, 2)
    with h5py.File(tmp_path / "a.lut", "a") as file:
        del file["prediction_digest"]
    found = load(str(tmp_path / "a.lut"))
    assert (found.prediction_digests, found.reference_digests, found.perfect_models) == ((), ("0", "3"), [])
    np.testing.assert_array_equal(found.weights, lut.weights)


def test_no_lut(tmp_path):
    (tmp_path / "a.lut").write_text("no")
    with pytest.raises(InputError, match="is not a LUT, but a file of another kind"):
        load(str(tmp_path / "a.lut"))
