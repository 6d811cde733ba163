"""Predictions in `.npy` and HDF5 files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ensir import registry, restorers
from ensir.errors import InputError
from ensir.images import image_files
from ensir.images.depth import to_integers


def folder(path: Path, bits: int = 8, extent: tuple[float, float] = (0, 255), **settings: Any) -> np.ndarray:
    model = {"kind": "folder", "value_range": None, "array": None, "any_range": False, **settings}
    degraded = restorers.Degraded("x", None, (4, 5, 3), bits, 1, None, extent=lambda: extent)
    (prediction,) = (
        registry.module("restorers", (model)["kind"]).Restorer(model, [str(path)]).restore([degraded])
    )
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
    value[0, 0] = [black, white, white + (white - black) / 40]  # beyond white is clipped
    path = write(tmp_path / f"x{extension}", value)
    assert image_files.shape(str(path)) == (4, 5, 3)
    prediction = folder(path, bits, value_range=[black, white])
    expected = np.clip(np.rint((value.astype(float) - black) / (white - black) * most), 0, most)
    np.testing.assert_array_equal(to_integers(prediction, f"uint{bits}", "x"), expected)


def test_integers_and_grey(tmp_path: Path):
    value = np.arange(20, dtype=np.uint8).reshape(4, 5)
    path = write(tmp_path / "x.npy", value)
    np.testing.assert_array_equal(folder(path), value[..., None])
    assert image_files.shape(str(path)) == (4, 5, 1)


@pytest.mark.parametrize("dtype", ["int16", "uint32", "int64", ">u2", ">f4"])
def test_integers_whose_range_is_declared(tmp_path: Path, dtype: str):
    """Of signed and of long integers, black and white are not known; of two bytes they are, in any order."""
    value = np.arange(0, 240, 4).reshape(4, 5, 3)
    path = str(write(tmp_path / "x.npy", value.astype(dtype)))
    known = dtype == ">u2"
    assert image_files.header(path).ranged is not known
    expected = value if known else value * 257
    np.testing.assert_array_equal(image_files.read(path, None, [0, 255]), expected)
    np.testing.assert_array_equal(folder(Path(path), 16, value_range=[0, 255]), expected)
    if not known:
        with pytest.raises(InputError, match="black and white are not known"):
            folder(Path(path), 16)


def test_one_of_several_arrays(tmp_path: Path):
    path = write(tmp_path / "x.h5", np.zeros((4, 5, 3)), "net/a")
    write(path, np.ones((4, 5, 3)), "net/b")
    assert folder(path, value_range=[0, 1], array="net/b").min() == 255
    assert folder(path, value_range=[0, 1], array="net/a", extent=(0, 3)).max() == 0
    with pytest.raises(InputError, match=r"holds 2 arrays \(net/a, net/b\); name one with `array`"):
        folder(path, value_range=[0, 1])
    with pytest.raises(InputError, match="has no array 'c'; it holds net/a, net/b"):
        folder(path, value_range=[0, 1], array="c")


@pytest.mark.parametrize("extension", [".npy", ".h5"])
def test_bad_arrays(tmp_path: Path, extension: str):
    path = write(tmp_path / f"x{extension}", np.zeros((4, 5, 3)))
    with pytest.raises(
        InputError,
        match="holds numbers whose black and white are not known; declare the model's `value_range`",
    ):
        folder(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match="cannot be read as an array"):
        folder(path)
    with pytest.raises(InputError, match="no such file"):
        folder(tmp_path / f"y{extension}")
    with pytest.raises(
        InputError, match=r"with shape \(2, 4, 5, 3\); store each image as numbers \(height, width, channel\)"
    ):
        folder(write(tmp_path / f"z{extension}", np.zeros((2, 4, 5, 3))))


def test_pickled_objects_are_refused(tmp_path: Path):
    np.save(tmp_path / "x.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as an array") as refused:
        folder(tmp_path / "x.npy")
    assert "allow_pickle" not in str(refused.value)


WRITER = """
import h5py, sys
file = h5py.File(sys.argv[1], "w", libver="latest")
file["x"] = [[1.0]]
file.flush()
print(flush=True)
input()
"""


def test_files_that_are_still_written(tmp_path: Path):
    """By another process, which holds HDF5's lock; or by one that ended before it closed the file."""
    path = tmp_path / "x.h5"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout
    writer.stdout.readline()
    for _ in ("open", "killed"):
        with pytest.raises(InputError, match="seems to be still open for writing") as refused:
            folder(path)
        assert "wait until its program has ended" in str(refused.value)
        assert "replace" not in str(refused.value)
        writer.kill()
        writer.communicate()


@pytest.mark.parametrize(
    ("held", "declared", "message"),
    [
        (
            (0, 255),
            [0, 1],
            r"9[0-9.]+ % of its values lie far outside \[0, 1\]; .* perhaps \[0, 255\]; declare",
        ),
        ((-1, 1), [0, 1], r"4[0-9.]+ % of its values lie far outside \[0, 1\]; .* perhaps \[-1, 1\]"),
        ((0, 65535), [0, 255], r"far outside \[0, 255\]; .* perhaps \[0, 65535\]"),
        (
            (0, 1),
            [0, 255],
            r"all of its values, but not the target's, are black in \[0, 255\]; .* perhaps \[0, 1\]",
        ),
        ((-1, 1), [0, 255], r"are black in \[0, 255\]; .* perhaps \[-1, 1\]"),
        ((0, 255), [0, 65535], r"are black in \[0, 65535\]; .* perhaps \[0, 255\]"),
        ((0, 1), [-1, 1], r"lie in the upper half of \[-1, 1\]; .* perhaps \[0, 1\]"),
    ],
)
def test_floats_in_another_range_than_declared(tmp_path: Path, held, declared, message: str):
    value = np.random.default_rng(0).uniform(*held, (40, 50, 3))
    path = write(tmp_path / "x.npy", value)
    with pytest.raises(InputError, match=message) as error:
        folder(path, value_range=declared)
    assert str(error.value).startswith(f"{path}: ")
    assert "`any_range: true`" in str(error.value)
    black, white = declared
    expected = (value - black) * 255 / (white - black)
    np.testing.assert_allclose(folder(path, value_range=declared, any_range=True), expected)


def test_floats_that_overshoot_and_dark_images(tmp_path: Path):
    random = np.random.default_rng(0)
    path = write(tmp_path / "x.npy", random.uniform(-0.03, 1.03, (40, 50, 3)))
    assert folder(path, value_range=[0, 1]).shape == (40, 50, 3)
    few = random.uniform(0, 1, (40, 50, 3))
    few[0, :15] = 3  # 0.75 %
    assert folder(write(tmp_path / "x.npy", few), value_range=[0, 1]).max() == 765
    ringing = random.uniform(0, 1, (40, 50, 3))
    ringing[:, ::5] = 1.15  # 20 %
    assert folder(write(tmp_path / "x.npy", ringing), value_range=[0, 1]).max() > 290
    ringing[:, ::3] = 1.15  # 47 %
    with pytest.raises(InputError, match=r"4\d.* % of its values lie far outside \[0, 1\]"):
        folder(write(tmp_path / "x.npy", ringing), value_range=[0, 1])
    dark = write(tmp_path / "x.npy", random.uniform(0, 1 / 255, (40, 50, 3)))
    assert folder(dark, value_range=[0, 1], extent=(0, 3)).max() < 1
    bright = write(tmp_path / "x.npy", random.uniform(0.2, 1, (40, 50, 3)))
    assert folder(bright, value_range=[-1, 1], extent=(140, 255)).min() > 150


@pytest.mark.parametrize("extension", [".npy", ".h5"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "u1"])
def test_unsigned_integers_are_code_values_whatever_is_declared(tmp_path: Path, dtype: str, extension: str):
    value = np.random.default_rng(0).integers(0, 2, (4, 5, 3)).astype(dtype)
    path = write(tmp_path / f"x{extension}", value)
    prediction = folder(path, 8 * value.itemsize, value_range=[0, 1])
    np.testing.assert_array_equal(prediction, value)
    assert to_integers(prediction, f"uint{8 * value.itemsize}", "x") is prediction


def test_floats_of_the_other_byte_order(tmp_path: Path):
    value = np.linspace(0, 1, 60).reshape(4, 5, 3)
    path = write(tmp_path / "x.npy", value.astype(">f4"))
    np.testing.assert_allclose(folder(path, value_range=[0, 1]), value * 255, rtol=1e-6)


def test_values_that_are_packed(tmp_path: Path):
    path = write(tmp_path / "x.h5", np.zeros((4, 5, 3), np.uint8))
    with h5py.File(path, "a") as file:
        file["prediction"].attrs["scale_factor"] = 0.5
    with pytest.raises(
        InputError, match=r"its values must be scaled \(scale_factor\), which is not supported"
    ):
        folder(path)
