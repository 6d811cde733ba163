"""`ensir fit` and `ensir fuse` with methods that have a fit, in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import xarray
from examples import as_stored
from test_cli import ensir, given

from ensir.cells.filters import FilterMethod
from ensir.cells.tensor import TensorFilters, fuse
from ensir.images import image_files
from ensir.storage import fits

MODELS = ("a", "b")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Targets, and predictions of two models that a blur of both makes better; a fit."""
    root = tmp_path_factory.mktemp("images")
    for dataset, names in (("ref", ["r1", "r2", "r3"]), ("test", ["t1", "t2"])):
        for i, name in enumerate(names):
            y, x = np.mgrid[0:40, 0 : 44 + i]
            target = 128 + 100 * np.stack([np.sin(x / 7 + y / (9 + c) + i) for c in range(3)], axis=2)
            for model, noise in (("gt", 0.0), ("a", 12.0), ("b", 9.0)):
                random = np.random.default_rng([*name.encode(), int(noise)])
                value = np.clip(np.rint(target + random.normal(0, noise, target.shape)), 0, 255)
                image_files.write(root / dataset / model / f"{name}.png", value.astype(np.uint8))
    reference = root / "ref"
    ensir(
        "fit",
        "--method",
        "local_filters",
        "--target",
        reference / "gt",
        *given(reference, *MODELS),
        "-o",
        root / "my.fit",
    )
    return root


def test_files_arrays_and_tensors_are_equal(folder: Path, tmp_path: Path):
    fit = folder / "my.fit"
    ensir(
        "fuse", "--lut", fit, *given(folder / "test", "b", "a"), "-o", tmp_path, "--error-map", tmp_path / "e"
    )
    method, table = FilterMethod({}, str(fit)), TensorFilters(str(fit))
    for name in ("t1", "t2"):
        images = [image_files.read(str(folder / f"test/{model}/{name}.png")) for model in MODELS]
        x = np.ascontiguousarray(np.moveaxis(np.stack(images), 3, 1))
        fused, errors = method.fuse_with_error(x)
        np.testing.assert_allclose(fuse(torch.as_tensor(x), table), fused, rtol=0, atol=1e-4)
        stored = as_stored(fused.reshape(3, -1), 8).T.reshape(images[0].shape)
        np.testing.assert_array_equal(
            image_files.read(str(tmp_path / f"{name}.png")), np.clip(np.rint(stored), 0, 255).astype(np.uint8)
        )
        np.testing.assert_array_equal(tifffile.imread(tmp_path / f"e/{name}.tif"), np.moveaxis(errors, 0, 2))
        target = image_files.read(str(folder / f"test/gt/{name}.png")).astype(np.float64)
        average = np.mean((np.mean(images, axis=0) - target) ** 2)
        assert np.mean((np.moveaxis(fused, 0, 2) - target) ** 2) < 0.8 * average


def test_the_file_opens_in_xarray(folder: Path):
    with xarray.open_dataset(folder / "my.fit") as opened:
        assert opened["filter"].dims == ("cell", "feature")
        assert opened["model"].values.tolist() == list(MODELS)
        assert opened["count"].sum() == 3 * 40 * (44 + 45 + 46)
    assert fits.load(str(folder / "my.fit")).reference_images == ("r1", "r2", "r3")


def test_what_it_holds_is_shown(folder: Path):
    shown = ensir("lut", "show", folder / "my.fit").stdout
    assert "method:                    local_filters\n" in shown
    assert "on 3 images held out in turn" in shown


def test_images_of_the_reference_are_told(folder: Path, tmp_path: Path):
    warned = ensir("fuse", "--lut", folder / "my.fit", *given(folder / "ref", *MODELS), "-o", tmp_path)
    assert "3 of 3 images are those that" in warned.stderr


def test_other_models_are_refused(folder: Path, tmp_path: Path):
    error = ensir("fuse", "--lut", folder / "my.fit", *given(folder / "test", "a"), "-o", tmp_path, code=2)
    assert "was fitted for the models a, b; given: a" in error.stderr


def test_a_folder_that_is_no_fit(folder: Path, tmp_path: Path):
    words = given(folder / "test", *MODELS)
    error = ensir("fuse", "--lut", folder / "test", *words, "-o", tmp_path, code=2)
    assert error.stderr.startswith(f"error: {folder / 'test'}")
