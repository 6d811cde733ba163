"""Image files: names, reading, writing, and what is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ensir.errors import InputError
from ensir.images import image_files


def paths(folder: Path, *names: str) -> None:
    for name in names:
        image_files.write(folder / name, np.zeros((2, 3, 1), np.uint8))


def test_names_keep_sub_folders_and_lose_declared_suffixes(tmp_path: Path):
    paths(tmp_path, "gt/faces/baby_x4.png", "gt/bird_x4.png", "gt/notes_x4.png")
    (tmp_path / "gt/readme.txt").write_text("no image")
    found = image_files.find(f"{tmp_path}/gt/**/*", "key", "_x4", exclude=["note*"])
    assert found == {"bird": f"{tmp_path}/gt/bird_x4.png", "faces/baby": f"{tmp_path}/gt/faces/baby_x4.png"}


def test_one_name_twice(tmp_path: Path):
    paths(tmp_path, "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 3), np.uint8))
    with pytest.raises(InputError, match=r"the same name 'a'; remove one"):
        image_files.find(f"{tmp_path}/*", "key")


def test_undeclared_suffix(tmp_path: Path):
    paths(tmp_path, "a_x4.png", "b.png")
    with pytest.raises(InputError, match=r"key: .*b\.png does not end in the declared suffix '_x4'"):
        image_files.find(f"{tmp_path}/*.png", "key", "_x4")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("extension", ["png", "tif"])
def test_read_gives_what_was_written(tmp_path: Path, dtype, channels: int, extension: str):
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (5, 7, channels)).astype(dtype)
    path = tmp_path / f"image.{extension}"
    if extension == "png":
        image_files.write(path, image)
    else:
        tifffile.imwrite(path, image.squeeze(), compression="lzw")
    read = image_files.read(str(path))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, image)
    assert image_files.shape(str(path)) == image.shape


def test_jpeg(tmp_path: Path):
    image = np.full((16, 16, 3), 90, np.uint8)
    PIL.Image.fromarray(image).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(image_files.read(str(tmp_path / "a.jpg")).astype(int) - 90).max() <= 1


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


def broken_files() -> dict[str, tuple[bytes, str]]:
    whole = imagecodecs.png_encode(np.random.default_rng(0).integers(0, 255, (20, 20, 3)).astype(np.uint8))
    deep = imagecodecs.png_encode(np.random.default_rng(0).integers(0, 9999, (20, 20, 3)).astype(np.uint16))
    return {
        "truncated.png": (whole[:-300], "cannot be read as an image"),
        "truncated16.png": (deep[:-300], "cannot be read as an image"),
        "empty.png": (b"", "cannot be read as an image"),
        "text.jpg": (b"no image at all", "cannot be read as an image"),
        "text.tif": (b"no image at all", "cannot be read as an image"),
        "huge.png": (png(16_500, 16_500), "claims 16500×16500 pixels"),
        "lying.png": (png(4000, 4000), "cannot be read as an image"),
        "alpha.png": (imagecodecs.png_encode(np.zeros((4, 4, 4), np.uint8)), "has 4 channels; convert"),
        "grey_alpha.png": (imagecodecs.png_encode(np.zeros((4, 4, 2), np.uint8)), "has 2 channels; convert"),
    }


@pytest.mark.parametrize("name", broken_files())
def test_broken_files_are_named(tmp_path: Path, name: str):
    content, message = broken_files()[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        image_files.read(str(path))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_palette_bilevel_and_floats_are_refused(tmp_path: Path):
    PIL.Image.new("P", (4, 4)).save(tmp_path / "p.png")
    PIL.Image.new("1", (4, 4)).save(tmp_path / "b.png")
    tifffile.imwrite(tmp_path / "f.tif", np.zeros((4, 4), np.float32))
    PIL.Image.new("P", (4, 4)).save(tmp_path / "p.tif")
    tifffile.imwrite(tmp_path / "w.tif", np.zeros((4, 4), np.uint8), photometric="miniswhite")
    for name, message in (
        ("p.png", "palette"),
        ("b.png", "1-bit"),
        ("f.tif", "float32"),
        ("p.tif", "a TIFF of kind PALETTE; convert it to grey or RGB"),
        ("w.tif", "a TIFF of kind MINISWHITE"),
    ):
        with pytest.raises(InputError, match=message):
            image_files.read(str(tmp_path / name))


def test_colours_one_after_the_other(tmp_path: Path):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    path = tmp_path / "planes.tif"
    tifffile.imwrite(path, image.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(image_files.read(str(path)), image)
    assert image_files.shape(str(path)) == (5, 7, 3)


def test_the_size_of_a_tiff_is_read_from_its_header(tmp_path: Path):
    path = tmp_path / "cut.tif"
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 256, (64, 48), np.uint8))
    path.write_bytes(path.read_bytes()[:-1000])
    assert image_files.shape(str(path)) == (64, 48, 1)
    with pytest.raises(InputError, match=r"cut\.tif"):
        image_files.read(str(path))


def test_a_folder_may_have_any_name(tmp_path: Path):
    paths(tmp_path, "my photos [2024]*/deep/a.png")
    folder = f"{tmp_path}/my photos [2024]*"
    assert image_files.find("**/*", "key", folder=folder) == {"deep/a": f"{folder}/deep/a.png"}


@given(arrays.arrays(np.float64, 20, elements=st.floats(-1e6, 1e6)))
def test_rounding(value: np.ndarray):
    rounded = image_files.to_integers(value, np.uint8, "x")
    assert rounded.dtype == np.uint8
    assert (np.abs(rounded - np.clip(value, 0, 255)) <= 0.5).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers(bad: float):
    with pytest.raises(InputError, match="prediction: 1 of 3 values are NaN or infinite"):
        image_files.to_integers(np.array([0.0, bad, 1.0]), np.uint8, "prediction")
