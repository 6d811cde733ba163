"""Filters, ready to run: arrays, tensors and files give the same values; weights and errors mean what they say."""

from __future__ import annotations

import json
from pathlib import Path

import h5netcdf
import numpy as np
import pytest
import torch

from ensir.cells import context
from ensir.cells.filters import FilterMethod
from ensir.cells.tensor import TensorFilters, fuse
from ensir.errors import InputError
from ensir.methods.local_filters import DIMENSIONS
from ensir.storage import fits
from ensir.storage.fits import Fit
from ensir.storage.layout import Place

CASES = [(8, 3, 3), (8, 1, 2), (8, 4, 2), (16, 3, 4), (16, 1, 3)]  # bits, channels, models


def filters(bits: int, channels: int, models: int, seed: int = 0) -> Fit:
    """A fit of random filters, with gaps."""
    random = np.random.default_rng(seed)
    features = context.number_of_features(models, channels)
    arrays = {
        "filter": random.normal(0, 0.1, (context.KEYS, features)),
        "count": random.integers(0, 3, context.KEYS),
        "expected_squared_error": random.uniform(1, 9, context.KEYS),
        "held_out": random.normal(0, 1, (4, 5, 11)),
        "strength": np.arange(11.0),
    }
    settings = {"settings": {"kind": "local_filters"}, "reference": "ref", "versions": {"ensir": "1"}}
    names = tuple("abcdefgh"[:models])
    return Fit(names, bits, arrays, ("r1",), ("0" * 64,), settings, (("1" * 64,),) * models)


def pictures(bits: int, channels: int, models: int, seed: int = 1) -> np.ndarray:
    """Steep and flat, bright and dark: many cells."""
    random = np.random.default_rng(seed)
    scene = 127 + 120 * np.sin(np.add.outer(np.arange(33) / 5, np.arange(29) ** 2 / 60))
    x = scene + random.normal(0, 12, (models, channels, 33, 29)) * np.linspace(0, 1, 29)
    values = np.clip(np.rint(x * (257 if bits == 16 else 1)), 0, 255 * (257 if bits == 16 else 1))
    return values.astype(np.uint16 if bits == 16 else np.uint8)


@pytest.mark.parametrize(("bits", "channels", "models"), CASES)
def test_tensors_and_arrays_agree(bits: int, channels: int, models: int):
    fit, x = filters(bits, channels, models), pictures(bits, channels, models)
    expected = FilterMethod({}, fit).fuse(x)
    assert len(np.unique(context.keys_of(x))) > 40
    batch = torch.as_tensor(np.stack([x[..., ::-1], x], axis=1))  # model, image, channel, height, width
    for dtype in (torch.float64, torch.float32):
        for codes in (batch, batch.to(torch.float32)):
            fused = fuse(codes, TensorFilters(fit, dtype=dtype))
            assert fused.dtype == dtype
            unit = 257 if bits == 16 else 1
            np.testing.assert_allclose(fused[1] / unit, expected / unit, rtol=0, atol=1e-4)


def test_keys_are_those_of_the_features():
    for case in CASES:
        x = pictures(*case)
        np.testing.assert_array_equal(context.keys_of(x), context.features_of(x)[0])


def test_weights_are_what_a_fused_value_grows_by():
    fit, x = filters(8, 3, 3), pictures(8, 3, 3)
    method = FilterMethod({}, fit)
    weights, fused, keys = method.weights(x), method.fuse(x).astype(np.float64), context.keys_of(x)
    tried = 0
    for model in range(3):
        for place in ((0, 12, 7), (1, 16, 20), (2, 20, 9)):
            changed = x.copy()
            changed[(model, *place)] ^= 1
            if context.keys_of(changed)[place] == keys[place]:
                step = float(changed[(model, *place)]) - float(x[(model, *place)])
                grown = (float(method.fuse(changed)[place]) - fused[place]) / step
                assert weights[(model, *place)] == pytest.approx(grown, abs=1e-4)
                tried += 1
    assert tried


def test_without_filters_all_models_weigh_alike():
    fit, x = filters(8, 3, 3), pictures(8, 3, 3)
    fit.arrays["filter"][:] = 0
    np.testing.assert_allclose(FilterMethod({}, fit).weights(x), 1 / 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_that_know_no_brightness_can_be_read(channels: int):
    fit, x = filters(8, channels, 3), pictures(8, channels, 3)
    fit.arrays["filter"][:, -2:] = 0
    older = Fit(fit.models, 8, {**fit.arrays, "filter": fit.arrays["filter"][:, :-2]}, (), (), fit.attributes)
    np.testing.assert_array_equal(FilterMethod({}, older).fuse(x), FilterMethod({}, fit).fuse(x))


def test_errors_are_those_of_the_cells():
    fit, x = filters(8, 3, 3), pictures(8, 3, 3)
    fused, errors = FilterMethod({}, fit).fuse_with_error(x)
    np.testing.assert_array_equal(fused, FilterMethod({}, fit).fuse(x))
    keys = context.keys_of(x)
    known = fit.arrays["count"][keys] > 0
    assert 0 < known.sum() < known.size
    assert np.isnan(errors[~known]).all()
    np.testing.assert_allclose(errors[known], fit.arrays["expected_squared_error"][keys][known], rtol=1e-6)


def test_a_file_holds_what_a_group_holds(tmp_path: Path):
    fit, x = filters(8, 3, 3), pictures(8, 3, 3)
    fits.save(fit, DIMENSIONS, Place.beside(tmp_path / "group.zarr"))
    fits.save_file(fit, DIMENSIONS, tmp_path / "file.fit")
    for path in ("group.zarr", "file.fit"):
        assert fits.is_fit(str(tmp_path / path))
        found = fits.load(str(tmp_path / path))
        assert (found.models, found.bits, found.reference_images) == (fit.models, 8, ("r1",))
        assert (found.attributes, found.prediction_digests) == (fit.attributes, fit.prediction_digests)
        for name, array in fit.arrays.items():
            np.testing.assert_array_equal(found.arrays[name], array)
        fused = FilterMethod({}, str(tmp_path / path)).fuse(x)
        np.testing.assert_array_equal(fused, FilterMethod({}, fit).fuse(x))


def test_what_does_not_fit_is_refused(tmp_path: Path):
    fit = filters(8, 3, 3)
    table = TensorFilters(fit)
    for shape in ((2, 3, 4, 4), (3, 1, 4, 4), (3, 4, 4)):
        with pytest.raises(InputError, match="does not fit filters of 3 models and colour images"):
            fuse(torch.zeros(shape, dtype=torch.uint8), table)
    for name, value in (
        ("filter", np.zeros((512, 7))),
        ("filter", np.full((512, 12), np.nan)),
        ("count", np.zeros(9)),
    ):
        broken = Fit(fit.models, 8, {**fit.arrays, name: value}, (), (), fit.attributes)
        with pytest.raises(InputError, match="holds no local filters of 3 models; fit again"):
            FilterMethod({}, broken)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"kind": "lut"}, "is not a fit"),
        ({"format_version": 7}, "has fit format 7"),
        ({"settings": "{"}, "lacks what a fit holds"),
        ({"bits": 9}, "lacks what a fit holds"),
    ],
)
def test_damaged_files_are_an_error(tmp_path: Path, attributes: dict, message: str):
    path = tmp_path / "x.fit"
    fits.save_file(filters(8, 3, 3), DIMENSIONS, path)
    with h5netcdf.File(path, "a") as file:
        assert json.loads(file.attrs["settings"]) == {"kind": "local_filters"}
        file.attrs.update(attributes)
    with pytest.raises(InputError, match=message):
        fits.load(str(path))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be read as a fit"):
        fits.load(str(path))
