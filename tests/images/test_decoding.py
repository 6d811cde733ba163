"""What image files hold, by their content: depths, orientations, colours, and what is refused."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import PIL.Image
import pytest
import tifffile
from pictures import LONG, RATIONAL, SHORT, chunk, exif, packed, png, scaled, subsampled, tiff, upright

from ensir.errors import InputError
from ensir.images import formats, image_files

RANDOM = np.random.default_rng(0)
SIZE = (5, 7)


def codes(bits: int, channels: int = 1, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Random codes, black and white among them."""
    values = RANDOM.integers(0, 2**bits, size if channels == 1 else (*size, channels))
    values[0, 0], values[-1, -1] = 0, 2**bits - 1
    return values


def read(path: Path, content: bytes) -> np.ndarray:
    """Read a file; its header promises what is read."""
    path.write_bytes(content)
    image = image_files.read(str(path))
    assert image_files.shape(str(path)) == image.shape
    assert image_files.header(str(path)).bits in (8 * image.itemsize, None)  # None: the values alone tell
    return image


def assert_equal(image: np.ndarray, expected: np.ndarray) -> None:
    assert image.dtype == expected.dtype
    np.testing.assert_array_equal(image, expected if expected.ndim == 3 else expected[:, :, None])


def refused(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        image_files.read(str(path))
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def saved(image: np.ndarray | PIL.Image.Image, kind: str, **options: Any) -> bytes:
    """An image as Pillow writes it."""
    file = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = PIL.Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


def written(image: np.ndarray, **options: Any) -> bytes:
    """An image as tifffile writes it."""
    file = io.BytesIO()
    tifffile.imwrite(file, image, **options)
    return file.getvalue()


def scene(size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A smooth 8-bit RGB image: JPEG keeps it."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack([2 * x + 40, 3 * y + 20, x + 2 * y + 30], axis=2).astype(np.uint8)


# ── depth ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", range(1, 17))
def test_tiff_of_any_depth(tmp_path: Path, bits: int, channels: int, planar: bool):
    values = codes(bits, channels)
    content = tiff(values, bits, 1 if channels == 1 else 2, planar=planar)
    assert_equal(read(tmp_path / "x.tif", content), scaled(values, bits))


@pytest.mark.parametrize("bits", [1, 4, 8, 12, 16])
def test_where_zero_is_white(tmp_path: Path, bits: int):
    values = codes(bits)
    assert_equal(read(tmp_path / "x.tif", tiff(values, bits, 0)), scaled(2**bits - 1 - values, bits))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("tag", [281, 341])
@pytest.mark.parametrize(("bits", "held"), [(10, 16), (12, 16), (14, 16), (8, 16), (4, 8), (1, 8)])
def test_tiff_that_states_a_smaller_depth(tmp_path: Path, bits: int, held: int, tag: int, channels: int):
    values = codes(bits, channels)
    stated = {tag: (SHORT, [2**bits - 1] * channels)}
    content = tiff(values, held, 1 if channels == 1 else 2, stated)
    assert_equal(read(tmp_path / "x.tif", content), scaled(values, bits))


def test_the_largest_value_of_a_tiff_is_not_its_depth(tmp_path: Path):
    values = codes(16) // 2 * 2
    assert_equal(read(tmp_path / "x.tif", tiff(values, 16, 1, {281: (SHORT, [65534])})), values.astype("u2"))
    eight = np.minimum(codes(8), 100)
    assert_equal(read(tmp_path / "y.tif", tiff(eight, 8, 1, {281: (SHORT, [100])})), eight.astype("u1"))
    refused(
        tmp_path / "z.tif", tiff(codes(10), 16, 1, {281: (SHORT, [1000])}), "states 1000 as its largest value"
    )
    refused(
        tmp_path / "z.tif", tiff(codes(14), 16, 1, {281: (SHORT, [1023])}), "has values above 1023, the larg"
    )


def test_channels_of_different_depths(tmp_path: Path):
    content = tiff(codes(5, 3), 5, 2, {258: (SHORT, [5, 6, 5])})
    refused(tmp_path / "x.tif", content, "x.tif: ")


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_png_of_any_depth(tmp_path: Path, bits: int, interlaced: bool):
    values = codes(bits, size=(11, 13))
    content = png(values, bits, interlaced=interlaced)
    assert_equal(read(tmp_path / "x.png", content), scaled(values, bits))
    if bits >= 8:
        values = codes(bits, 3, (11, 13))
        assert_equal(read(tmp_path / "x.png", png(values, bits, interlaced=interlaced)), scaled(values, bits))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("bits", "held"), [(10, 16), (12, 16), (14, 16), (8, 16), (5, 8)])
def test_png_whose_values_were_not_scaled_up(tmp_path: Path, bits: int, held: int, channels: int):
    values = codes(bits, channels)
    colours = values if channels in (1, 3) else values[..., :-1].squeeze(-1 if channels == 2 else ())
    stored = values.copy()
    if channels in (2, 4):
        stored[..., -1] = 2**held - 1
    content = png(stored, held, chunk(b"sBIT", bytes([bits] * channels)))
    assert_equal(read(tmp_path / "x.png", content), scaled(colours, bits))


@pytest.mark.parametrize("most", [4095, 200])
@pytest.mark.parametrize("low_bits", ["zero", "repeated", "rounded"])
def test_png_whose_values_were_scaled_up(tmp_path: Path, low_bits: str, most: int):
    values = np.minimum(codes(12), most)  # 200: dark, so that its values would fit into 12 bits
    stored = {
        "zero": values << 4,
        "repeated": values << 4 | values >> 8,
        "rounded": scaled(values, 12).astype(int),
    }[low_bits]
    content = png(stored, 16, chunk(b"sBIT", b"\x0c"))
    assert_equal(read(tmp_path / "x.png", content), stored.astype(np.uint16))


def test_png_that_has_more_bits_than_it_states(tmp_path: Path):
    values = codes(16)
    assert_equal(read(tmp_path / "x.png", png(values, 16, chunk(b"sBIT", b"\x0c"))), values.astype(np.uint16))
    several = chunk(b"sBIT", bytes([5, 6, 5]))
    refused(tmp_path / "x.png", png(codes(5, 3), 8, several), "channels have 5, 6, 5 bits; save it")


def test_values_of_other_types(tmp_path: Path):
    for dtype in (np.int16, np.uint32, np.int8, np.complex64):
        refused(tmp_path / "x.tif", written(np.zeros(SIZE, dtype)), f"holds {np.dtype(dtype)} values")


# ── orientation ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(tmp_path: Path, orientation: int, order: str):
    image, data = scene(), exif(orientation, order)
    marked = chunk(b"eXIf", data)
    tagged = {274: (SHORT, [orientation])}
    lossless = {
        "before.png": png(image.astype(int), 8, before=marked),
        "after.png": png(image.astype(int), 8, after=marked),
        "x.tif": tiff(image.astype(int), 8, 2, tagged),
        "planar.tif": tiff(image.astype(int), 8, 2, tagged, planar=True),
        "x.webp": saved(image, "WEBP", lossless=True, exif=b"Exif\0\0" + data),
    }
    for name, content in lossless.items():
        assert_equal(read(tmp_path / name, content), upright(image, orientation))
    plain = saved(image, "JPEG", quality=95)
    jpeg = saved(image, "JPEG", quality=95, exif=b"Exif\0\0" + data)
    assert_equal(read(tmp_path / "x.jpg", jpeg), upright(read(tmp_path / "plain.jpg", plain), orientation))
    deep = codes(16, 3)
    turned = upright(deep, orientation).astype(np.uint16)
    assert_equal(read(tmp_path / "deep.png", png(deep, 16, marked)), turned)
    assert_equal(read(tmp_path / "deep.tif", tiff(deep, 16, 2, tagged)), turned)


@pytest.mark.parametrize("orientation", [0, 9, 99])
def test_orientations_that_mean_nothing(tmp_path: Path, orientation: int):
    values = codes(8)
    content = png(values, 8, chunk(b"eXIf", exif(orientation)))
    assert_equal(read(tmp_path / "x.png", content), values.astype(np.uint8))
    content = tiff(values, 8, 1, {274: (SHORT, [orientation])})
    assert_equal(read(tmp_path / "x.tif", content), values.astype(np.uint8))


def test_damaged_exif(tmp_path: Path):
    refused(
        tmp_path / "x.png",
        png(codes(8), 8, chunk(b"eXIf", b"no EXIF")),
        "its EXIF, which may hold its orientation, is damaged",
    )
    damaged = png(codes(8), 8, chunk(b"eXIf", exif(6))).replace(exif(6), exif(8))
    refused(tmp_path / "x.png", damaged, "its eXIf chunk is damaged")
    empty = saved(scene(), "JPEG", exif=b"Exif\0\0")
    assert read(tmp_path / "x.jpg", empty).shape == (48, 64, 3)


def test_what_is_written_is_upright(tmp_path: Path):
    image = read(tmp_path / "x.png", png(codes(8, 3), 8, chunk(b"eXIf", exif(6))))
    image_files.write(tmp_path / "y.png", image)
    assert b"eXIf" not in (tmp_path / "y.png").read_bytes()
    np.testing.assert_array_equal(image_files.read(str(tmp_path / "y.png")), image)


# ── colours ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("orientation", [1, 2, 6, 8])
@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2), (4, 2)])
def test_luma_and_chroma(tmp_path: Path, across: int, down: int, orientation: int):
    blocks = RANDOM.integers(0, 256, (4, 6, 3)).repeat(down, axis=0).repeat(across, axis=1)
    ycbcr = blocks.astype(np.uint8)
    ycbcr[..., 0] = RANDOM.integers(0, 256, ycbcr.shape[:2])
    tags = {530: (SHORT, [across, down]), 274: (SHORT, [orientation])}
    content = tiff(ycbcr, 8, 6, tags, strips=[subsampled(ycbcr, across, down)])
    rgb = np.asarray(PIL.Image.fromarray(ycbcr, "YCbCr").convert("RGB")).astype(int)
    difference = read(tmp_path / "x.tif", content) - upright(rgb, orientation)
    assert np.abs(difference).max() <= (0 if (across, down) == (1, 1) else 1)  # libtiff rounds in its own way


def test_chroma_of_a_tiff_is_subsampled_unless_it_says_otherwise(tmp_path: Path):
    ycbcr = RANDOM.integers(0, 256, (3, 4, 3)).repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)
    rgb = np.asarray(PIL.Image.fromarray(ycbcr, "YCbCr").convert("RGB")).astype(int)
    content = tiff(ycbcr, 8, 6, strips=[subsampled(ycbcr, 2, 2)])
    assert np.abs(read(tmp_path / "x.tif", content) - rgb).max() <= 1
    refused(tmp_path / "x.tif", tiff(ycbcr, 8, 6), "a TIFF of kind YCBCR, not the usual one; convert it")


def test_coefficients_of_luma(tmp_path: Path):
    red, green, blue = luma = (0.2126, 0.7152, 0.0722)
    ycbcr = RANDOM.integers(64, 192, (6, 8, 3)).astype(np.uint8)
    fractions = [part for weight in luma for part in (round(10000 * weight), 10000)]
    limits = [part for level in (16, 235, 128, 240, 128, 240) for part in (level, 1)]
    tags = {530: (SHORT, [1, 1]), 529: (RATIONAL, fractions), 532: (RATIONAL, limits)}
    y = (ycbcr[..., 0] - 16.0) * 255 / 219
    b, r = ((ycbcr[..., c] - 128.0) * 127 / 112 for c in (1, 2))
    expected = np.stack([y + 2 * (1 - red) * r, 0 * y, y + 2 * (1 - blue) * b], axis=2)
    expected[..., 1] = (y - red * expected[..., 0] - blue * expected[..., 2]) / green
    difference = read(tmp_path / "x.tif", tiff(ycbcr, 8, 6, tags)) - np.clip(expected, 0, 255)
    assert np.abs(difference).max() <= 3.2  # libtiff rounds luma and chroma first: up to 3.13


@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_jpeg_inside_tiff(tmp_path: Path, photometric: str):
    image = scene() if photometric == "rgb" else scene()[..., 0]
    content = written(image, photometric=photometric, compression="jpeg", compressionargs={"level": 98})
    assert np.abs(read(tmp_path / "x.tif", content).squeeze() - image.astype(int)).max() <= 6
    content = saved(scene(), "TIFF", compression="jpeg", quality=95)
    assert np.abs(read(tmp_path / "y.tif", content) - scene().astype(int)).max() <= 6


def test_colours_without_one_meaning_as_rgb(tmp_path: Path):
    four = PIL.Image.fromarray(codes(8, 4).astype(np.uint8), "CMYK")
    refused(tmp_path / "x.jpg", saved(four, "JPEG"), "is a CMYK image; convert it to grey or RGB")
    refused(tmp_path / "x.tif", saved(four, "TIFF"), "is a TIFF of kind CMYK; convert it to grey or RGB")
    refused(tmp_path / "x.tif", tiff(codes(8, 3), 8, 8), "is a TIFF of kind CIELAB; convert")
    ycck = imagecodecs.jpeg_encode(codes(8, 4).astype(np.uint8), colorspace="CMYK", outcolorspace="YCCK")
    refused(tmp_path / "x.jpg", ycck, "is a CMYK image; convert it")


def test_jpeg_of_more_bits(tmp_path: Path):
    content = imagecodecs.jpeg8_encode(codes(12).astype(np.uint16), bitspersample=12)
    refused(
        tmp_path / "x.jpg",
        content,
        "is an unusual or damaged JPEG file .*12-bit.*; save it anew, as 8- or 16-bit PNG",
    )
    image = scene()
    assert_equal(read(tmp_path / "x.jpg", imagecodecs.jpeg8_encode(image, lossless=True)), image)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_png_with_a_palette(tmp_path: Path, bits: int):
    palette, values = RANDOM.integers(0, 256, (2**bits, 3)).astype(np.uint8), codes(bits)
    assert_equal(read(tmp_path / "x.png", png(values, bits, palette=palette)), palette[values])
    opaque, clear = chunk(b"tRNS", b"\xff"), chunk(b"tRNS", b"\x80")
    assert_equal(read(tmp_path / "x.png", png(values, bits, opaque, palette=palette)), palette[values])
    refused(
        tmp_path / "x.png",
        png(values, bits, clear, palette=palette),
        "the last is no opaque alpha channel",
    )
    deeper = chunk(b"sBIT", b"\5\5\5")  # speaks of the palette
    assert_equal(read(tmp_path / "x.png", png(values, bits, deeper, palette=palette)), palette[values])


@pytest.mark.parametrize("factor", [257, 256, 1])
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_tiff_with_a_palette(tmp_path: Path, bits: int, factor: int):
    palette, values = RANDOM.integers(0, 256, (2**bits, 3)), codes(bits)
    colours = {320: (SHORT, [int(value) * factor for value in palette.T.ravel()])}
    assert_equal(read(tmp_path / "x.tif", tiff(values, bits, 3, colours)), palette[values].astype(np.uint8))
    deep = {320: (SHORT, [int(value) for value in RANDOM.integers(0, 65536, 3 * 2**bits)])}
    refused(tmp_path / "x.tif", tiff(values, bits, 3, deep), "palette image whose colours have 16 bits")


def test_bmp_and_webp(tmp_path: Path):
    image = scene()
    coloured = PIL.Image.fromarray(image).quantize(16)
    assert_equal(read(tmp_path / "x.bmp", saved(image, "BMP")), image)
    assert_equal(read(tmp_path / "x.bmp", saved(image[..., 0], "BMP")), image[..., 0])
    assert_equal(read(tmp_path / "x.bmp", saved(coloured, "BMP")), np.asarray(coloured.convert("RGB")))
    bilevel = PIL.Image.fromarray(image[..., 0] > 99)
    assert_equal(read(tmp_path / "x.bmp", saved(bilevel, "BMP")), np.asarray(bilevel) * np.uint8(255))
    assert_equal(read(tmp_path / "x.webp", saved(image, "WEBP", lossless=True)), image)


# ── alpha ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_dropped_where_it_hides_nothing(tmp_path: Path, channels: int, bits: int):
    values = codes(bits, channels)
    values[..., -1] = 2**bits - 1
    expected = scaled(values[..., :-1], bits)
    photometric = 1 if channels == 2 else 2
    files = {"x.png": lambda: png(values, bits)} | {
        f"{extra}.tif": lambda e=extra: tiff(values, bits, photometric, {338: (SHORT, [e])})
        for extra in (0, 1, 2)
    }
    for name, content in files.items():
        assert_equal(read(tmp_path / name, content()), expected)
    values[2, 3, -1] -= 1
    for name, content in files.items():
        refused(tmp_path / name, content(), "the last is no opaque alpha channel")


def test_alpha_of_webp(tmp_path: Path):
    image = np.dstack([scene(), np.full((48, 64), 255, np.uint8)])
    assert_equal(read(tmp_path / "x.webp", saved(image, "WEBP", lossless=True, exact=True)), scene())
    image[3, 4, 3] = 9
    refused(
        tmp_path / "x.webp",
        saved(image, "WEBP", lossless=True, exact=True),
        "the last is no opaque alpha channel",
    )


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_png_that_marks_a_colour_has_all_its_colours(tmp_path: Path, channels: int, bits: int):
    values = codes(bits, channels)
    mark = chunk(b"tRNS", np.ravel(values[0, 0]).astype(">u2").tobytes())
    assert_equal(read(tmp_path / "x.png", png(values, bits, mark)), scaled(values, bits))


# ── names, and other files ──────────────────────────────────────────────────────────────────────────────────


def test_content_counts_and_not_the_name(tmp_path: Path):
    image, deep = scene(), codes(16, 3)
    jpeg = saved(image, "JPEG", quality=95)
    files = {
        "PNG": (png(image.astype(int), 8), image),
        "16-bit PNG": (png(deep, 16), deep.astype(np.uint16)),
        "JPEG": (jpeg, np.asarray(PIL.Image.open(io.BytesIO(jpeg)))),
        "TIFF": (tiff(deep, 16, 2), deep.astype(np.uint16)),
        "BigTIFF": (written(image, photometric="rgb", bigtiff=True), image),
        "BMP": (saved(image, "BMP"), image),
        "WebP": (saved(image, "WEBP", lossless=True), image),
    }
    for content, expected in files.values():
        for suffix in formats.IMAGE_SUFFIXES:
            assert_equal(read(tmp_path / f"x{suffix}", content), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html>429 Too many requests</html>", "a web page or other text; the download"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS.*`git lfs pull`"),
        (b"/annex/objects/SHA256E-s1--0.png\n", "a pointer of git-annex.*`git annex get`"),
        (b"GIF89a" + bytes(99), "is a GIF file, which is not read; convert it to PNG"),
        (b"P7\nWIDTH 4\n", "is a PAM file"),
        (b"PF\n4 4\n-1.0\n" + bytes(48), "is a PFM file"),
        (b"\0\0\0\x1cftypheic" + bytes(99), "is a HEIF file"),
        (b"PK\x03\x04" + bytes(99), "is a ZIP file"),
        (b"v/1\x01" + bytes(99), "cannot be read as an image"),
        (b"\x01\x02\x03" * 9, "it is none of PNG, JPEG, TIFF, BMP, WebP"),
    ],
)
def test_files_that_are_no_images_here(tmp_path: Path, content: bytes, message: str):
    refused(tmp_path / "x.png", content, message)


def test_more_than_one_image(tmp_path: Path):
    grey, colour = codes(8).astype(np.uint8), scene()
    stack = np.stack([grey] * 3)
    pyramid = io.BytesIO()
    with tifffile.TiffWriter(pyramid) as file:
        file.write(colour, photometric="rgb", subifds=1)
        file.write(colour[::2, ::2], photometric="rgb", subfiletype=1)
    pages = io.BytesIO()
    with tifffile.TiffWriter(pages) as file:
        file.write(colour, photometric="rgb")
        file.write(colour[::2, ::2], photometric="rgb", subfiletype=1)
    for content in (
        written(stack, photometric="minisblack"),
        written(stack, ome=True, photometric="minisblack", metadata={"axes": "CYX"}),
        written(stack, ome=True, photometric="minisblack", metadata={"axes": "ZYX"}),
        written(stack, imagej=True, metadata={"axes": "TYX"}),
        written(np.stack([colour] * 2), photometric="rgb"),
        written(stack, photometric="minisblack", volumetric=True, tile=(16, 16, 16)),
        pyramid.getvalue(),
        pages.getvalue(),
    ):
        refused(tmp_path / "x.tif", content, "holds more than one image")
    for kind in ("webp", "png", "avif"):
        moving = saved(
            PIL.Image.fromarray(colour), kind, save_all=True, append_images=[PIL.Image.new("RGB", (64, 48))]
        )
        refused(tmp_path / f"x.{kind}", moving, "is an animation")


def test_raw_photographs(tmp_path: Path):
    """A preview above a mosaic, as ARW and NEF files have it; and a mosaic alone."""
    mosaic, colour = codes(16), scene()
    content = io.BytesIO()
    with tifffile.TiffWriter(content) as file:
        file.write(colour, photometric="rgb", subifds=1, subfiletype=1)
        file.write(mosaic.astype(np.uint16), photometric="cfa")
    for file in (content.getvalue(), written(mosaic.astype(np.uint16), photometric="cfa")):
        refused(tmp_path / "x.arw", file, "is a raw photograph; what it shows depends on who develops it")


def test_a_tiff_that_does_not_say_whether_0_is_black(tmp_path: Path):
    """Readers differ: some invert it, others do not."""
    content = tiff(codes(8), 8, 1)
    directory = struct.unpack(">I", content[4:8])[0]
    at = content.index(struct.pack(">HHI", 262, SHORT, 1), directory)
    refused(
        tmp_path / "x.tif", content[:at] + struct.pack(">H", 261) + content[at + 2 :], "whether 0 is black"
    )


def test_pixels_that_were_never_written(tmp_path: Path):
    strips = [bytes(7), b""]
    content = tiff(codes(8, size=(2, 7)), 8, 1, strips=strips)
    refused(tmp_path / "x.tif", content, "lacks some of its pixels")


def test_many_channels(tmp_path: Path):
    content = written(
        RANDOM.integers(0, 255, (*SIZE, 5), np.uint8), photometric="minisblack", planarconfig="contig"
    )
    refused(tmp_path / "x.tif", content, "has 5 channels; convert it")


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (10, 10)])
def test_small_images(tmp_path: Path, size: tuple[int, int]):
    values = RANDOM.integers(0, 256, (*size, 3))
    for name, content in (("x.png", png(values, 8)), ("x.tif", tiff(values, 8, 2))):
        assert_equal(read(tmp_path / name, content), values.astype(np.uint8))
    assert read(tmp_path / "x.jpg", saved(values.astype(np.uint8), "JPEG")).shape == (*size, 3)


def test_the_limit_of_pillow_stays(tmp_path: Path):
    limit = PIL.Image.MAX_IMAGE_PIXELS
    read(tmp_path / "x.jpg", saved(scene(), "JPEG"))
    assert limit == PIL.Image.MAX_IMAGE_PIXELS is not None
    huge = bytearray(saved(scene(), "JPEG"))
    at = huge.index(b"\xff\xc0") + 5
    huge[at : at + 4] = struct.pack(">HH", 65000, 65000)
    refused(tmp_path / "x.jpg", bytes(huge), "claims 65000×65000 pixels")
    huge = tiff(codes(8), 8, 1, {256: (LONG, [2**17]), 257: (LONG, [2**17])})
    refused(tmp_path / "x.tif", huge, "claims 131072×131072 pixels")


def test_lossy_files(tmp_path: Path):
    image = scene()
    lossy = {
        "x.jpg": saved(image, "JPEG"),
        "named.png": saved(image, "JPEG"),
        "x.webp": saved(image, "WEBP"),
        "x.tif": written(image, photometric="rgb", compression="jpeg"),
    }
    lossless = {
        "y.png": png(image.astype(int), 8),
        "named.jpg": png(image.astype(int), 8),
        "y.webp": saved(image, "WEBP", lossless=True),
        "y.tif": tiff(image.astype(int), 8, 2, strips=[b"".join(packed(image, 8))]),
        "y.bmp": saved(image, "BMP"),
    }
    for name, content in (lossy | lossless).items():
        (tmp_path / name).write_bytes(content)
        assert image_files.is_lossy(str(tmp_path / name)) == (name in lossy), name
