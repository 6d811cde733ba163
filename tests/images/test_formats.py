"""Each format against the values that were saved, and another reader of them where there is one."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import imagecodecs
import numpy as np
import OpenEXR
import PIL.Image
import pytest
import scipy.io
import tifffile
import torch
from pictures import scaled

from ensir.datasets import folder
from ensir.errors import InputError
from ensir.images import formats, image_files

RANDOM = np.random.default_rng(0)
SIZES = [(5, 7), (1, 9), (64, 33)]
FILES = Path(__file__).parents[2] / "docs" / "files.md"


def codes(bits: int, channels: int, size: tuple[int, int] = (5, 7)) -> np.ndarray:
    """Random codes, black and white among them."""
    values = RANDOM.integers(0, 2**bits, size if channels == 1 else (*size, channels))
    values[0, 0], values[-1, -1] = 0, 2**bits - 1
    return values.astype(np.uint8 if bits <= 8 else np.uint16)


def read(path: Path, content: bytes | None = None, **options: Any) -> np.ndarray:
    """Read a file; its header promises what is read."""
    if content is not None:
        path.write_bytes(content)
    image = image_files.read(str(path), **options)
    header = image_files.header(str(path), options.get("array"))
    assert header[:3] == image.shape
    assert header.ranged == ("value_range" in options)
    assert header.bits in (None, 8 * image.itemsize)
    return image


def assert_equal(image: np.ndarray, expected: np.ndarray) -> None:
    assert image.dtype == expected.dtype
    np.testing.assert_array_equal(image, expected if expected.ndim == 3 else expected[:, :, None])


def refused(path: Path, content: bytes | None, message: str, **options: Any) -> None:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        image_files.read(str(path), **options)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def by_pillow(content: bytes) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(content)))


# ── images ──────────────────────────────────────────────────────────────────────────────────────────────────

ENCODERS: dict[str, tuple[str, Callable[..., bytes], tuple[int, ...]]] = {
    "JPEG 2000": (".jp2", lambda x, n: imagecodecs.jpeg2k_encode(x, level=0, bitspersample=n), (8, 12, 16)),
    "codestream": (
        ".j2k",
        lambda x, n: imagecodecs.jpeg2k_encode(
            x, level=0, bitspersample=n, codecformat="j2k", reversible=True
        ),
        (8, 16),
    ),
    "AVIF": (".avif", lambda x, n: imagecodecs.avif_encode(x, level=100, bitspersample=n), (8, 10, 12)),
    "JPEG XL": (
        ".jxl",
        lambda x, n: imagecodecs.jpegxl_encode(x, lossless=True, bitspersample=n),
        (8, 10, 12, 16),
    ),
    "container": (
        ".jxl",
        lambda x, n: imagecodecs.jpegxl_encode(x, lossless=True, bitspersample=n, usecontainer=True),
        (8, 16),
    ),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ENCODERS)
def test_what_is_compressed_without_loss(tmp_path: Path, name: str, channels: int, size: tuple[int, int]):
    suffix, encode, depths = ENCODERS[name]
    for bits in depths:
        values = codes(bits, channels, size)
        content = encode(values, bits)
        assert_equal(read(tmp_path / f"x{suffix}", content), scaled(values, bits))
        if bits == 8 and suffix != ".jxl":  # another reader; Pillow knows no JPEG XL
            np.testing.assert_array_equal(by_pillow(content), values)
        refused(tmp_path / f"cut{suffix}", content[: len(content) // 2], "cannot be read|damaged AVIF file")


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_colours_that_pillow_wrote(tmp_path: Path, channels: int):
    values = codes(8, channels)
    for suffix, kind, options in ((".jp2", "JPEG2000", {"irreversible": False}), (".bmp", "BMP", {})):
        file = io.BytesIO()
        PIL.Image.fromarray(values).save(file, kind, **options)
        assert_equal(read(tmp_path / f"x{suffix}", file.getvalue()), values)


@pytest.mark.parametrize("name", ["JPEG 2000", "AVIF", "JPEG XL"])
def test_alpha(tmp_path: Path, name: str):
    suffix, encode, depths = ENCODERS[name]
    for bits in depths:
        values = codes(bits, 4)
        values[..., 3] = 2**bits - 1
        path = tmp_path / f"x{suffix}"
        assert_equal(read(path, encode(values, bits)), scaled(values[..., :3], bits))
        values[2, 3, 3] = 0
        refused(path, encode(values, bits), "the last is no opaque alpha channel")


def test_what_may_be_lossy_is_known(tmp_path: Path):
    x = codes(8, 3, (32, 32))
    for content, lossy in (
        (imagecodecs.jpegxl_encode(x, lossless=True), False),
        (imagecodecs.jpegxl_encode(x, distance=1.0), True),
        (imagecodecs.jpeg2k_encode(x, level=0, reversible=True), False),
        (imagecodecs.jpeg2k_encode(x, level=40, reversible=False), True),
        (imagecodecs.webp_encode(x, lossless=True), False),
        (imagecodecs.webp_encode(x, level=80, lossless=False), True),
        (imagecodecs.avif_encode(x), True),
        (b"P6 1 1 255 abc", False),
    ):
        (tmp_path / "x").write_bytes(content)
        assert image_files.is_lossy(str(tmp_path / "x")) is lossy


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_avif(tmp_path: Path, orientation: int):
    tags, file = PIL.Image.Exif(), io.BytesIO()
    tags[0x112] = orientation
    y, x = np.mgrid[:24, :32]
    image = np.stack([5 * y, 4 * x, x + y], axis=2).astype(np.uint8)
    PIL.Image.fromarray(image).save(file, "AVIF", quality=100, subsampling="4:4:4", exif=tags)
    transposed = PIL.Image.open(file)
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(transposed))
    assert_equal(read(tmp_path / "x.avif", file.getvalue()), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_jpeg_xl(tmp_path: Path, orientation: int):
    """Of a JPEG file that was packed anew: its EXIF tells."""
    tags, file = PIL.Image.Exif(), io.BytesIO()
    tags[0x112] = orientation
    y, x = np.mgrid[:24, :32]
    image = np.stack([5 * y, 4 * x, x + y], axis=2).astype(np.uint8)
    PIL.Image.fromarray(image).save(file, "JPEG", quality=95, exif=tags)
    packed = read(tmp_path / "x.jxl", imagecodecs.jpegxl_encode_jpeg(file.getvalue()))
    expected = read(tmp_path / "x.jpg", file.getvalue())
    assert packed.shape == expected.shape
    assert np.abs(packed.astype(int) - expected).max() <= 3
    assert image_files.is_lossy(str(tmp_path / "x.jxl"))


def test_sizes_of_jpeg_xl(tmp_path: Path):
    """Each way in which its header writes a size: multiples of eight, ratios, and any other."""
    for size in [(8, 8), (256, 8), (24, 32), (300, 360), (9, 16), (10, 20), (513, 700), (1, 5000)]:
        path = tmp_path / "x.jxl"
        path.write_bytes(imagecodecs.jpegxl_encode(np.zeros(size, np.uint8), lossless=True, effort=1))
        assert image_files.shape(str(path)) == (*size, 1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("most", [1, 15, 100, 255, 1023, 4095, 65535])
def test_pnm(tmp_path: Path, most: int, channels: int, size: tuple[int, int]):
    values = RANDOM.integers(0, most + 1, (*size, channels))
    top, dtype = (255, np.uint8) if most <= 255 else (65535, np.uint16)
    expected = np.floor(values * top / most + 0.5).astype(dtype)
    kind = 5 if channels == 1 else 6
    head = f"P{kind}\n# made by hand\n{size[1]} {size[0]} # and by no library\n{most}\n".encode()
    binary = head + values.astype("u1" if most <= 255 else ">u2").tobytes()
    assert_equal(read(tmp_path / "x.ppm", binary), expected)
    if most == 255:
        np.testing.assert_array_equal(by_pillow(binary), values.squeeze(2) if channels == 1 else values)
    text = f"P{kind - 3} {size[1]} {size[0]} {most}\n" + "\n# text\n".join(map(str, values.ravel())) + "\n"
    assert_equal(read(tmp_path / "x.pnm", text.encode()), expected)
    refused(tmp_path / "cut.ppm", binary[:-1], "it is cut off")
    refused(tmp_path / "cut.pnm", text.encode()[:20], "it is cut off|its header is damaged")
    refused(tmp_path / "two.ppm", binary + binary, "holds more than one image")
    if most == 100 and channels == 3:
        too_much = head + (values + 101).astype("u1").tobytes()
        refused(tmp_path / "x.ppm", too_much, "has values above 100")


@pytest.mark.parametrize("size", [(5, 7), (4, 16)])
def test_bits_of_pbm(tmp_path: Path, size: tuple[int, int]):
    black = RANDOM.integers(0, 2, size)
    head = f"{size[1]} {size[0]}\n"
    binary = f"P4 {head}".encode() + np.packbits(black, axis=1).tobytes()
    expected = (255 * (1 - black)).astype(np.uint8)
    assert_equal(read(tmp_path / "x.pbm", binary), expected)
    np.testing.assert_array_equal(by_pillow(binary), expected > 0)
    text = f"P1 {head}" + "".join(map(str, black.ravel()))
    assert_equal(read(tmp_path / "x.pbm", text.encode()), expected)


@pytest.mark.parametrize(
    "content",
    [
        b"P5 99999 99999 255\n",
        b"\xff\x0a" + (3 << 1 | 2**20 << 3 | 1 << 33 | 1 << 36).to_bytes(9, "little"),
        imagecodecs.jpeg2k_encode(np.zeros((9, 9), np.uint8), codecformat="j2k").replace(
            bytes([0, 0, 0, 9]), bytes([0x7F, 0, 0, 0]), 2
        ),
    ],
)
def test_sizes_that_are_only_claimed(tmp_path: Path, content: bytes):
    refused(tmp_path / "x.png", content, "claims .* pixels; more than|header is damaged")


# ── floats ──────────────────────────────────────────────────────────────────────────────────────────────────


def exr(path: Path, channels: dict[str, np.ndarray], **header: Any) -> Path:
    start = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File({**start, **header}, channels).write(str(path))
    return path


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_floats_become_16_bit_images_by_their_range(tmp_path: Path, channels: int, dtype: type):
    values = RANDOM.uniform(-1, 1, (5, 7, channels)).astype(dtype)
    values[0, 0], values[1, 1] = -1, 1.01
    plane = values if channels == 3 else values[..., 0]
    expected = np.rint(np.clip((values.astype(np.float64) + 1) / 2, 0, 1) * 65535).astype(np.uint16)
    name = "RGB" if channels == 3 else "Y"
    exr(tmp_path / "x.exr", {name: np.ascontiguousarray(plane)})
    tifffile.imwrite(tmp_path / "x.tif", plane, photometric="rgb" if channels == 3 else "minisblack")
    np.save(tmp_path / "x.npy", plane)
    if dtype == np.float32:
        (tmp_path / "x.jxl").write_bytes(imagecodecs.jpegxl_encode(np.abs(plane), lossless=True))
    for path in sorted(tmp_path.iterdir()):
        if path.suffix == ".jxl":
            np.testing.assert_array_equal(image_files.read_values(str(path)), np.abs(values))
            continue
        assert_equal(read(path, value_range=[-1, 1]), expected)
        refused(path, None, f"holds {np.dtype(dtype)}, whose black and white are not known; .*`value_range`")
        refused(
            path, None, r"far outside \[0, 0.1\]; .*fix the dataset's `value_range`", value_range=[0, 0.1]
        )


def test_floats_that_are_no_numbers(tmp_path: Path):
    values = np.full((5, 7), 0.5, np.float32)
    values[1, 2] = np.nan
    tifffile.imwrite(tmp_path / "x.tif", values, photometric="minisblack")
    refused(tmp_path / "x.tif", None, "1 of 35 values are NaN or infinite", value_range=[0, 1])


def test_alpha_and_layers_of_openexr(tmp_path: Path):
    values = RANDOM.random((5, 7, 4)).astype(np.float32)
    values[..., 3] = 1
    path = exr(tmp_path / "x.exr", {"RGBA": values})
    np.testing.assert_array_equal(image_files.read_values(str(path)), values[..., :3])
    values[1, 1, 3] = 0.5
    refused(exr(path, {"RGBA": values}), None, "the last is no opaque alpha channel", value_range=[0, 1])
    plane = np.ascontiguousarray(values[..., 0])
    several = {"R": plane, "G": plane, "B": plane, "diffuse.R": plane}
    refused(exr(path, several), None, "has the channels B, G, R, diffuse.R, which are neither Y nor R, G, B")
    window = (np.array([0, 0], np.int32), np.array([20, 20], np.int32))
    refused(exr(path, {"Y": plane}, displayWindow=window), None, "holds other pixels than its window shows")


def test_openexr_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = exr(tmp_path / "x.exr", {"Y": np.zeros((5, 7), np.float32)})
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(InputError, match=r"x.exr: .*pip install 'ensir-flow\[exr\]'"):
        image_files.header(str(path))


def test_what_is_written_is_read(tmp_path: Path):
    for channels in (1, 3):
        errors = RANDOM.uniform(0, 1e4, (5, 7, channels)).astype(np.float32)
        errors[1, 2] = np.nan  # cells without reference values
        image_files.write_map(tmp_path / "error.tif", errors)
        np.testing.assert_array_equal(image_files.read_values(str(tmp_path / "error.tif")), errors)
        for bits in (8, 16):
            image = codes(bits, channels).reshape(5, 7, channels)
            image_files.write(tmp_path / "x.png", image)
            assert_equal(read(tmp_path / "x.png"), image)


# ── arrays ──────────────────────────────────────────────────────────────────────────────────────────────────


def hdf5(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            file[name] = value


def matlab_7_3(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """As MATLAB writes it: HDF5 behind a block of its own, axes in reverse order."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["#refs#/a"] = np.zeros(3)  # what cells hold
        for name, value in arrays.items():
            stored = value.T.astype(np.uint8) if value.dtype == bool else value.T
            file[name] = stored
            kind = {"bool": "logical", "float64": "double", "float32": "single"}.get(
                value.dtype.name, value.dtype.name
            )
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Nov 26".ljust(124))


def tensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    first = {
        name: torch.from_numpy(np.moveaxis(x, 2, 0).copy() if x.ndim == 3 else x)
        for name, x in arrays.items()
    }
    torch.save(first if len(first) > 1 else next(iter(first.values())), path)


WRITERS: dict[str, tuple[str, Callable[[Path, dict[str, np.ndarray]], Any]]] = {
    "npz": (".npz", lambda path, arrays: np.savez(path, **arrays)),
    "compressed": (".npz", lambda path, arrays: np.savez_compressed(path, **arrays)),
    "columns": (
        ".npz",
        lambda path, arrays: np.savez(path, **{n: np.asfortranarray(x) for n, x in arrays.items()}),
    ),
    "HDF5": (".h5", hdf5),
    "MATLAB 5": (".mat", lambda path, arrays: scipy.io.savemat(path, arrays)),
    "MATLAB 5 compressed": (".mat", lambda path, arrays: scipy.io.savemat(path, arrays, do_compression=True)),
    "MATLAB 7.3": (".mat", matlab_7_3),
    "PyTorch": (".pt", tensors),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", WRITERS)
def test_arrays(tmp_path: Path, name: str, channels: int):
    suffix, write = WRITERS[name]
    path = tmp_path / f"x{suffix}"
    for size in [(5, 7), (33, 64)]:
        for bits in (8, 16):
            values = codes(bits, channels, size)
            write(path, {"prediction": values})
            assert_equal(read(path), values)
        floats = RANDOM.random(values.shape)
        for dtype in (np.float32, np.float64):
            write(path, {"prediction": floats.astype(dtype)})
            expected = np.rint(floats.astype(dtype).astype(np.float64) * 65535).astype(np.uint16)
            assert_equal(read(path, value_range=[0, 1]), expected)
    if channels == 1:
        write(path, {"prediction": values > 99})
        assert_equal(read(path), np.where(values > 99, 255, 0).astype(np.uint8))


@pytest.mark.parametrize("name", WRITERS)
def test_which_of_several_arrays(tmp_path: Path, name: str):
    suffix, write = WRITERS[name]
    path, values = tmp_path / f"x{suffix}", codes(8, 3)
    write(path, {"one": values, "other": 255 - values})
    assert_equal(read(path, array="one"), values)
    assert_equal(read(path, array="other"), 255 - values)
    refused(path, None, r"holds 2 arrays \(one, other\); name one with `array`")
    refused(path, None, "has no array 'third'; it holds one, other", array="third")


def test_axes(tmp_path: Path):
    values, path = codes(8, 3), tmp_path / "x.npy"
    for stored in (values, values.transpose(2, 0, 1), values[None], values.transpose(2, 0, 1)[None]):
        np.save(path, stored)
        assert_equal(read(path), values)
    np.save(path, values[..., :1].transpose(2, 0, 1))
    assert_equal(read(path), values[..., :1])
    np.save(path, values[:3])
    assert_equal(read(path), values[:3])
    torch.save(torch.from_numpy(values[:3]), tmp_path / "x.pt")
    refused(
        tmp_path / "x.pt", None, r"has shape \(3, 7, 3\), whose channels may be the first axis or the last"
    )
    np.save(path, np.zeros((5, 7, 64), np.uint8))
    refused(path, None, "has 64 channels; convert it to grey or RGB")


def test_what_else_such_files_hold(tmp_path: Path):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"cell": np.array([np.zeros(3), 1], object), "text": "text"})
    refused(path, None, "holds 2 arrays", array=None)
    refused(path, None, "cell is a cell of MATLAB and no array of numbers", array="cell")
    scipy.io.savemat(path, {"image": codes(8, 3), "text": "text"})
    assert read(path).shape == (5, 7, 3)
    scipy.io.savemat(path, {"image": scipy.sparse.eye_array(5)})
    refused(path, None, "is a sparse of MATLAB and no array|is no plain array")
    np.savez(tmp_path / "x.npz", image=np.array([[{}]], object))
    refused(tmp_path / "x.npz", None, "is an array of object")
    for held, message in (
        ({"a": 1}, "holds 0 arrays"),
        ([torch.zeros(3, 9, 9)], "holds no tensor, but a list"),
        (torch.zeros(3, 9, 9, dtype=torch.complex64), "sparse, quantized or complex"),
        (torch.zeros(9, 9).to_sparse(), "sparse, quantized or complex"),
        (torch.zeros(1, 1).expand(2**20, 2**20), "claims 1048576×1048576 pixels"),
    ):
        torch.save(held, tmp_path / "x.pt")
        refused(tmp_path / "x.pt", None, message)
    torch.save(torch.full((3, 9, 9), 0.5, dtype=torch.bfloat16), tmp_path / "x.pt")
    assert (read(tmp_path / "x.pt", value_range=[0, 1]) == 32768).all()


def test_an_archive_that_claims_more_than_it_holds(tmp_path: Path):
    np.savez(tmp_path / "x.npz", image=codes(8, 3))
    content = (tmp_path / "x.npz").read_bytes()
    for shape, message in ((b"(9, 7, 3), ", "cannot be read"), (b"(99999, 99999)", "claims 99999×99999")):
        header = re.search(rb"\(5, 7, 3\), *\}", content)
        assert header
        claimed = shape.ljust(len(header[0]) - 1) + b"}"
        claimed = shape + b", }".rjust(len(header[0]) - len(shape)) if b"9999" in shape else claimed
        damaged = content.replace(header[0], claimed)
        (tmp_path / "y.npz").write_bytes(damaged)
        refused(tmp_path / "y.npz", None, f"{message}|Bad CRC|cannot be read")


# ── datasets ────────────────────────────────────────────────────────────────────────────────────────────────


def test_targets_of_floats_and_in_arrays(tmp_path: Path):
    values = RANDOM.random((5, 7, 3))
    scipy.io.savemat(tmp_path / "x.mat", {"gt": values, "noisy": values / 2})
    section = folder.FolderDataset(kind="folder", target="*.mat", value_range=[0.0, 1.0], array="gt")
    header = section.header(str(tmp_path / "x.mat"))
    assert (header[:4], header.ranged) == ((5, 7, 3, 16), False)
    image = folder.read_target("x", str(tmp_path / "x.mat"), section.traced)
    assert_equal(image, np.rint(values * 65535).astype(np.uint16))
    with pytest.raises(InputError, match=r"x.mat: .*declare the dataset's `value_range`, e.g. \[0, 1\]"):
        section.model_copy(update={"value_range": None}).header(str(tmp_path / "x.mat"))
    assert {"value_range", "array"} & set(folder.FolderDataset(kind="folder", target="*.png").traced) == set()


# ── documentation ───────────────────────────────────────────────────────────────────────────────────────────


def table() -> str:
    rows = ["| format | names | read | refused |", "| --- | --- | --- | --- |"]
    rows += [
        f"| {one.NAME} | {' '.join(f'`{suffix}`' for suffix in one.SUFFIXES)} | {one.READ} | {one.REFUSES} |"
        for one in (*formats.IMAGES, *formats.ARRAYS)
    ]
    return "\n".join(rows)


def test_the_documentation_lists_every_format():
    assert table() in FILES.read_text(encoding="utf-8"), f"docs/files.md needs this table:\n{table()}"
    assert len(set(formats.SUFFIXES)) == len(formats.SUFFIXES)
