"""HDF5 files of strangers: no other file is read, no walk is endless, nothing large is made of a few bytes."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from ensir.cells import lut
from ensir.errors import InputError
from ensir.images import image_files
from ensir.storage import hdf5, netcdf
from ensir.storage.layout import Place

PIXELS = np.arange(4 * 5 * 3, dtype=np.float32).reshape(4, 5, 3)


def external_link(file: h5py.File, secret: Path) -> None:
    file["prediction"] = h5py.ExternalLink(str(secret), "prediction")


def external_storage(file: h5py.File, secret: Path) -> None:
    file.create_dataset("prediction", PIXELS.shape, np.uint8, external=[(str(secret), 0, PIXELS.size)])


def virtual(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout(PIXELS.shape, np.float32)
    layout[:] = h5py.VirtualSource(str(secret), "prediction", PIXELS.shape)
    file.create_virtual_dataset("prediction", layout)


def circle(file: h5py.File, secret: Path) -> None:
    group = file.create_group("a").create_group("b")
    for name in "xyz":
        group[name] = file["a"]
        file["a"][name] = group
    file["prediction"] = PIXELS


def fan(file: h5py.File, secret: Path) -> None:
    """Each group holds the next one by ten names: 10¹⁶ ways."""
    group = file
    for _ in range(20):
        group = group.create_group("0")
        for name in "123456789":
            group.parent[name] = group
    file["prediction"] = PIXELS


def many(file: h5py.File, secret: Path) -> None:
    group = file.create_group("a")
    for i in range(hdf5.MOST_LINKS):
        file[f"{i}"] = group


def claims(shape: tuple[int, ...], chunks: tuple[int, ...] | bool = True) -> Callable:
    return lambda file, _: file.create_dataset(
        "prediction", shape, np.float64, chunks=chunks, compression="gzip"
    )


def half(file: h5py.File, secret: Path) -> None:
    array = file.create_dataset("prediction", PIXELS.shape, np.float32, chunks=(2, 5, 3))
    array[:2] = 1


HARM = {
    external_link: "refers to the file .*secret.h5'; write the values into the file itself",
    external_storage: "takes its values from other files; write",
    virtual: "takes its values from other files; write",
    many: "more than 10000 groups and arrays",
    claims((2**14, 2**14, 2**20)): "bytes; more than 8,589,934,592 are refused",
    claims((2**14, 2**14, 3)): "lacks some of its values",
    claims((2**20, 2**20)): "are refused",
    half: "lacks some of its values",
}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["prediction"] = PIXELS
    return path


@pytest.mark.parametrize(("harm", "told"), HARM.items())
@pytest.mark.parametrize("array", [None, "prediction"])
def test_harm(tmp_path: Path, secret: Path, harm: Callable, told: str, array: str | None):
    path = tmp_path / "case.h5"
    with h5py.File(path, "w") as file:
        harm(file, secret)
    for read in (image_files.read_values, image_files.header):
        with pytest.raises(InputError, match=told) as refused:
            read(str(path), array)
        assert str(path) in str(refused.value)


@pytest.mark.parametrize("make", [circle, fan])
def test_groups_that_hold_each_other(tmp_path: Path, secret: Path, make: Callable):
    with h5py.File(tmp_path / "case.h5", "w") as file:
        make(file, secret)
    for array in (None, "prediction"):
        np.testing.assert_array_equal(image_files.read_values(str(tmp_path / "case.h5"), array), PIXELS)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    found = lut.LUT(
        models=("a", "b"), bin_width=64, bits=8, channels=1,
        key=np.array([0, 5, 10]), channel=np.zeros(3, np.int64), weights=np.full((3, 2), 0.5),
        count=np.full(3, 100), iterations=np.ones(3, np.int64), status=np.full(3, 2, np.uint8),
        expected_squared_error=np.ones(3), fill="constant", fill_weights=np.full(2, 0.5),
        reference_images=("r",), reference_digests=("0",), attributes={"method": "ensir"},
    )  # fmt: skip
    path = tmp_path / "table.lut"
    lut.save(found, Place.beside(path))
    return path


def huge(file: h5py.File) -> None:
    del file["count"]
    file.create_dataset("count", (2**40,), np.int64, chunks=(2**20,), compression="gzip")


def one_text_many_times(file: h5py.File) -> None:
    """A text of a megabyte, held a thousand times by its place."""
    file["long"] = np.array(["x" * 2**20, *["y"] * 1000], object)


def lists(file: h5py.File) -> None:
    file.create_dataset("lists", (2,), h5py.vlen_dtype(np.int64), chunks=(1,))[:] = [np.zeros(3)] * 2


LUT_HARM = {
    huge: "claims .1099511627776,. values",
    lists: "does not hold its texts as this version writes them",
    lambda file: file.__setitem__(
        "more", h5py.ExternalLink("/etc/passwd", "x")
    ): "refers to the file '/etc/passwd'",
}


@pytest.mark.parametrize(("harm", "told"), LUT_HARM.items())
def test_luts(table: Path, harm: Callable, told: str):
    lut.load(str(table))
    with h5py.File(table, "a") as file:
        harm(file)
    with pytest.raises(InputError, match=told) as refused:
        lut.load(str(table))
    assert str(table) in str(refused.value)


def test_a_lut_that_holds_itself_is_read(table: Path):
    with h5py.File(table, "a") as file:
        file.create_group("inner")["self"] = file["/"]
    assert lut.load(str(table)).models == ("a", "b")


def test_texts_that_are_one(table: Path):
    with h5py.File(table, "a") as file:
        one_text_many_times(file)
        place, count = file["long"].id.get_offset(), len(file["long"])
    content = bytearray(table.read_bytes())
    content[place : place + count * hdf5.REFERENCE] = content[place : place + hdf5.REFERENCE] * count
    table.write_bytes(content)
    with pytest.raises(InputError, match=r"long claims 1,049,624,576 bytes of text"):
        lut.load(str(table))
    assert netcdf.kind(str(table)) == "lut"
