"""Predictions in `.npy` and HDF5 files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ensir import registry, restorers
from ensir.errors import InputError
from ensir.images import array_files
from ensir.images.image_files import to_integers


def folder(path: Path, bits: int = 8, **settings: Any) -> np.ndarray:
    model = {"kind": "folder", "value_range": None, "array": None, **settings}
    degraded = restorers.Degraded("x", None, (4, 5, 3), bits, 1, None)
    (prediction,) = registry.module("restorers", "folder").Restorer(model, [str(path)]).restore([degraded])
    return prediction


def write(path: Path, value: np.ndarray, name: str = "prediction") -> Path:
    if path.suffix == ".npy":
        np.save(path, value)
    else:
        with h5py.File(path, "a") as file:
            file[name] = value
    return path


@pytest.mark.parametrize("extension", [".npy", ".h5", ".hdf5"])
@pytest.mark.parametrize(("bits", "most"), [(8, 255), (16, 65535)])
@pytest.mark.parametrize(("black", "white"), [(0, 1), (-1, 1), (0, 255)])
def test_floats_in_a_declared_range(
    tmp_path: Path, extension: str, bits: int, most: int, black: int, white: int
):
    value = np.random.default_rng(0).uniform(black, white, (4, 5, 3)).astype(np.float32)
    value[0, 0] = [black, white, white + 1]  # beyond white is clipped
    path = write(tmp_path / f"x{extension}", value)
    assert array_files.shape(str(path), None) == (4, 5, 3)
    prediction = folder(path, bits, value_range=[black, white])
    expected = np.clip(np.rint((value.astype(float) - black) / (white - black) * most), 0, most)
    np.testing.assert_array_equal(to_integers(prediction, f"uint{bits}", "x"), expected)


def test_integers_and_grey(tmp_path: Path):
    value = np.arange(20, dtype=np.uint8).reshape(4, 5)
    path = write(tmp_path / "x.npy", value)
    np.testing.assert_array_equal(folder(path), value[..., None])
    assert array_files.shape(str(path), None) == (4, 5, 1)


def test_one_of_several_arrays(tmp_path: Path):
    path = write(tmp_path / "x.h5", np.zeros((4, 5, 3)), "net/a")
    write(path, np.ones((4, 5, 3)), "net/b")
    assert folder(path, value_range=[0, 1], array="net/b").min() == 255
    with pytest.raises(InputError, match=r"holds 2 arrays \(net/a, net/b\); name one with `array`"):
        folder(path, value_range=[0, 1])
    with pytest.raises(InputError, match="has no array 'c'; it holds net/a, net/b"):
        folder(path, value_range=[0, 1], array="c")


@pytest.mark.parametrize("extension", [".npy", ".h5"])
def test_bad_arrays(tmp_path: Path, extension: str):
    path = write(tmp_path / f"x{extension}", np.zeros((4, 5, 3)))
    with pytest.raises(InputError, match="holds float64; declare the model's `value_range`"):
        folder(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match="cannot be read as an array"):
        folder(path)
    with pytest.raises(InputError, match="no such file"):
        folder(tmp_path / f"y{extension}")
    with pytest.raises(
        InputError, match=r"with shape \(2, 4, 5, 3\); store numbers as \(height, width, channel\)"
    ):
        folder(write(tmp_path / f"z{extension}", np.zeros((2, 4, 5, 3))))


def test_pickled_objects_are_refused(tmp_path: Path):
    np.save(tmp_path / "x.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as an array"):
        folder(tmp_path / "x.npy")
