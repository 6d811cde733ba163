"""Decode image files by their content, whatever their name: PNG, JPEG, TIFF, BMP and WebP, as viewers show them.

Orientation is applied, values are scaled to 8 or 16 bit from the depth that the file states, palettes and 1-bit images
are expanded, an opaque alpha channel is dropped. Images without a unique meaning as grey or RGB are refused.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Shaped

from ensir.errors import InputError

if TYPE_CHECKING:
    import PIL.Image
    import PIL.ImageFile

Shape = tuple[int, int, int]  # height, width, channel
Pixels = Shaped[np.ndarray, "height width *channel"]

LARGEST = 2**28  # pixels; a header that claims more is rejected
LONGEST = 2**24  # bytes of a PNG chunk that is kept
ORIENTATION = 0x0112  # in EXIF, and in TIFF
JPEG_IN_TIFF = (
    7,
    33007,
    34892,
)  # compressions that tifffile decodes to RGB; 6, their predecessor, is ambiguous
FULL_RANGE = (0, 255, 128, 255, 128, 255)  # black and white of Y, Cb and Cr, as in JFIF
BT601 = (0.299, 0.587, 0.114)
READ = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "BMP": rb"BM",
    "WebP": rb"RIFF....WEBP",
}
REFUSED = {
    "a GIF": rb"GIF8",
    "a PBM, PGM, PPM or PAM": rb"P[1-7]\s",
    "a PFM": rb"P[fF]\s",
    "an AVIF or HEIF": rb"....ftyp",
    "a JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "a JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "an OpenEXR": rb"v/1\x01",
    "a Radiance HDR": rb"#\?RADIANCE",
    "a Photoshop": rb"8BPS",
    "a PDF": rb"%PDF",
    "a NumPy": rb"\x93NUMPY",
    "an HDF5": rb"\x89HDF",
}
POINTERS = {
    rb"version https://git-lfs": ("Git LFS", "git lfs pull"),
    rb"/annex/objects/": ("git-annex", "git annex get"),
}


class Header(NamedTuple):
    """What the header of an image tells of what `pixels` returns; no `bits` where the values alone tell that."""

    height: int
    width: int
    channels: int
    bits: int | None


def header(path: str) -> Header:
    """Return size, channels and depth of what `pixels` returns, from the header alone."""
    kind = _kind(path)
    if kind == "PNG":
        with open(path, "rb") as file:
            png = _png(path, file)
        unclear = png.depth == 16 and png.significant and min(png.significant) <= 8
        bits = None if unclear else max(png.depth, 8)
        return Header(*_turned((png.height, png.width, png.channels), png.orientation), bits)
    if kind == "TIFF":
        with _tiff(path) as page:
            bits = 8 if page.photometric == 3 or _largest_code(path, page) <= 255 else 16
            size = (page.imagelength, page.imagewidth, _channels(page))
            return Header(*_turned(size, _orientation_of(page)), bits)
    with _pillow(path, kind) as image:
        channels = 1 if image.mode in ("1", "L", "LA") else 3
        size = (image.height, image.width, channels)
        return Header(*_turned(size, _orientation(image.info.get("exif"))), 8)


def pixels(path: str) -> Pixels:
    """Decode an image.

    Returns
    -------
    uint8 or uint16 array, (height, width) or (height, width, channel)

    Raises
    ------
    InputError
        A file of another kind, or an image that is not plain grey or RGB.
    Exception
        Whatever a decoder raises on a damaged file.
    """
    kind = _kind(path)
    return {"PNG": _png_pixels, "TIFF": _tiff_pixels}.get(kind, _pillow_pixels)(path, kind)


def lossy(path: str) -> bool:
    """Return whether the values of an image are close to, but not exactly, what was saved."""
    kind = _kind(path)
    if kind == "WebP":
        return b"VP8L" not in Path(path).read_bytes()
    if kind == "TIFF":
        with _tiff(path) as page:
            return page.compression in JPEG_IN_TIFF
    return kind == "JPEG"


def _kind(path: str) -> str:
    """Return the kind of a file, by its first bytes."""
    with open(path, "rb") as file:
        head = file.read(256)
    for kind, signature in READ.items():
        if re.match(signature, head, re.DOTALL):
            return kind
    for signature, (program, command) in POINTERS.items():
        if head.startswith(signature):
            raise InputError(f"{path}: is a pointer of {program}, not the image itself; run `{command}`")
    for kind, signature in REFUSED.items():
        if re.match(signature, head, re.DOTALL):
            raise InputError(f"{path}: is {kind} file, which is not read; convert it to PNG")
    if not head:
        raise ValueError("it is empty")
    if head.lstrip().startswith(b"<"):
        raise ValueError("it is a web page or other text; the download may have failed")
    raise ValueError(f"it is none of {', '.join(READ)}")


def _check_size(path: str, height: int, width: int) -> None:
    """Raise an InputError if a header claims too many pixels."""
    if height * width > LARGEST:
        raise InputError(f"{path}: claims {height}×{width} pixels; more than {LARGEST} are refused")


# ── orientation ─────────────────────────────────────────────────────────────────────────────────────────────


def _orientation(exif: bytes | None) -> int:
    """Return the orientation that EXIF data states, 1 to 8."""
    if not exif:
        return 1
    import PIL.Image

    tags = PIL.Image.Exif()
    try:
        tags.load(exif)
        value: Any = tags.get(ORIENTATION)
    except Exception as error:
        raise ValueError(f"its EXIF, which may hold its orientation, is damaged: {error}") from error
    return int(value) if value in range(1, 9) else 1


def _turned(shape: Shape, orientation: int) -> Shape:
    height, width, channels = shape
    return (width, height, channels) if orientation > 4 else shape


def _upright(image: Pixels, orientation: int) -> Pixels:
    """Rotate and mirror an image as its orientation says."""
    if orientation > 4:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────


def _scaled(path: str, codes: Pixels, most: int) -> Pixels:
    """Scale codes of 0 to 2ⁿ − 1 to the full range of 8 bit (n ≤ 8) or 16 bit."""
    dtype, top = (np.uint8, 255) if most <= 255 else (np.uint16, 65535)
    if codes.max(initial=0) > most:
        raise InputError(f"{path}: has values above {most}, the largest that it states; save it again")
    if most == top:
        return codes.astype(dtype, copy=False)
    table = (np.arange(most + 1, dtype=np.uint32) * top + most // 2) // most
    return table.astype(dtype)[codes]


def _opaque(path: str, image: Pixels, white: int) -> Pixels:
    """Drop an alpha channel that hides nothing.

    Raises
    ------
    InputError
        It hides something.
    """
    if image.ndim == 2 or image.shape[2] not in (2, 4):
        return image
    if not (image[..., -1] == white).all():
        raise InputError(
            f"{path}: has {image.shape[2]} channels, and the last is no opaque alpha channel; convert it to grey or "
            "RGB without alpha"
        )
    return image[..., :-1]


# ── PNG ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Png:
    """The header of a PNG file.

    Attributes
    ----------
    significant : tuple of int
        Bits per channel that carry information (sBIT); empty where the file does not say.
    keyed : bool
        One colour is marked as transparent (tRNS), although every pixel has a colour.
    """

    height: int
    width: int
    depth: int
    channels: int
    significant: tuple[int, ...]
    keyed: bool
    orientation: int


def _png(path: str, file: BinaryIO) -> _Png:
    """Read the header of a PNG file, and the chunks that affect the meaning of pixels."""
    chunks = dict(_png_chunks(file))
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    _check_size(path, height, width)
    channels = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}[colour]
    palette = colour == 3
    return _Png(
        height,
        width,
        depth,
        channels,
        () if palette or depth < 8 else tuple(chunks.get(b"sBIT", b"")[:channels]),
        b"tRNS" in chunks and not palette,
        _orientation(chunks.get(b"eXIf")),
    )


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the chunks that affect the meaning of pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name in (b"IHDR", b"sBIT", b"tRNS", b"eXIf"):
            content = file.read(min(length, LONGEST))
            if zlib.crc32(name + content).to_bytes(4, "big") != file.read(4):
                raise ValueError(f"its {name.decode()} chunk is damaged")
            yield name, content
        else:
            file.seek(length + 4, 1)


def _png_pixels(path: str, kind: str) -> Pixels:
    import imagecodecs

    content = Path(path).read_bytes()
    png = _png(path, io.BytesIO(content))
    image = imagecodecs.png_decode(content)  # expands palettes and few bits
    if png.keyed:
        image = image[..., :-1] if png.channels == 3 else image[..., 0]
    image = _opaque(path, image, np.iinfo(image.dtype).max)
    return _upright(_significant(path, image, png.significant), png.orientation)


def _significant(path: str, image: Pixels, bits: tuple[int, ...]) -> Pixels:
    """Scale up a PNG image whose values use the lowest bits only, as many as its sBIT chunk states.

    The standard requires values to be scaled to the depth of the file: where they are, the chunk changes nothing.
    """
    depth = 8 * image.itemsize
    if not bits or min(bits) < 1 or min(bits) >= depth:
        return image
    bits = tuple(min(n, depth) for n in bits)
    channels = [image[..., c] for c in range(len(bits))] if image.ndim == 3 else [image]
    if not all(_unscaled(channel, n) for channel, n in zip(channels, bits, strict=True)):
        return image
    if len(set(bits)) > 1:
        raise InputError(
            f"{path}: its channels have {', '.join(map(str, bits))} bits; save it as 8- or 16-bit PNG"
        )
    return _scaled(path, image, 2 ** bits[0] - 1)


def _unscaled(channel: Pixels, bits: int) -> bool:
    """Return whether values of this many bits use the lowest bits of their type, and not the highest."""
    most = 2**bits - 1
    if channel.max(initial=0) > most:
        return False
    spare = 8 * channel.itemsize - bits
    high = channel.astype(np.int64) >> spare
    scaled_up = (high << spare, np.rint(high * (np.iinfo(channel.dtype).max / most)))
    # A dark image that is scaled up has small values, too.
    return not any((channel == dark).all() for dark in scaled_up)


# ── TIFF ────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _tiff(path: str) -> Iterator[Any]:
    """Open the only image of a TIFF file, a tifffile.TiffPage, if it is grey or RGB, or can be converted to that."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        pages, page, series = len(tiff.pages), tiff.pages.first, tiff.series[0]
        if pages > 1 or page.subifds or series.size != page.size or page.imagedepth > 1:
            raise InputError(
                f"{path}: holds more than one image (pages, channels, sizes or moments); save the intended one as grey "
                "or RGB in a file of its own"
            )
        colours = tifffile.PHOTOMETRIC(page.photometric).name
        if colours not in ("MINISBLACK", "MINISWHITE", "RGB", "PALETTE", "YCBCR"):
            kind = "CMYK" if colours == "SEPARATED" else colours
            raise InputError(f"{path}: is a TIFF of kind {kind}; convert it to grey or RGB")
        depths = page.tags.valueof(258, default=1)
        if page.dtype is None or page.dtype.kind not in "bu" or page.bitspersample > 16:
            held = page.dtype or f"{page.bitspersample}-bit"
            raise InputError(
                f"{path}: holds {held} values; only unsigned integers of up to 16 bit are read: convert it to 8- or "
                "16-bit PNG"
            )
        if isinstance(depths, tuple) and len(set(depths)) > 1:
            raise InputError(f"{path}: its channels have {depths} bits; save it with 8 or 16 bits each")
        _check_size(path, page.imagelength, page.imagewidth)
        if page.samplesperpixel > 4:
            raise InputError(
                f"{path}: has {page.samplesperpixel} channels; convert it to grey or RGB without alpha"
            )
        if 0 in page.databytecounts:
            raise InputError(f"{path}: lacks some of its pixels (sparse strips or tiles); save it whole")
        yield page


def _channels(page: Any) -> int:
    return 3 if page.photometric == 3 else {2: 1, 4: 3}.get(page.samplesperpixel, page.samplesperpixel)


def _orientation_of(page: Any) -> int:
    value = page.tags.valueof(ORIENTATION, default=1)
    return value if value in range(1, 9) else 1


def _tiff_pixels(path: str, kind: str) -> Pixels:
    with _tiff(path) as page:
        most = _largest_code(path, page)
        if page.photometric == 6 and not (page.compression in JPEG_IN_TIFF and page.planarconfig == 1):
            image = _from_ycbcr(path, page)
        else:
            image = _codes(page)
        image = _opaque(path, image, 2**page.bitspersample - 1)
        if page.photometric == 3:
            image = _colours(path, page)[image]
        elif page.photometric == 0:
            image = _scaled(path, image, most)
            image = np.iinfo(image.dtype).max - image
        else:
            image = _scaled(path, image, most)
        return _upright(image, _orientation_of(page))


def _codes(page: Any) -> Pixels:
    """Decode the values of a page, channels last."""
    image = page.asarray()
    if page.axes.startswith("S"):
        image = np.moveaxis(image, 0, -1)
    return image.astype(np.uint8) if image.dtype == bool else image


def _largest_code(path: str, page: Any) -> int:
    """Return the code of white: 2ⁿ − 1 for the n bits of a page, or for fewer where the file says so.

    SMaxSampleValue and MaxSampleValue may state the depth of the values, or the largest one that occurs.
    """
    bits = page.bitspersample
    most = 2**bits - 1
    stated = page.tags.valueof(341, default=page.tags.valueof(281, default=most))
    value = int(max(stated) if isinstance(stated, tuple) else stated)
    if page.photometric == 3 or not 0 < value < most:
        return most
    if value & (value + 1) == 0:  # 2ⁿ − 1
        return value
    if bits > 8 and value < 2 ** (bits - 1):
        raise InputError(
            f"{path}: states {value} as its largest value, which is neither white nor the largest of 10, 12 or 14 "
            "bits; save it as 8- or 16-bit PNG, or remove the tag MaxSampleValue"
        )
    return most


def _colours(path: str, page: Any) -> Pixels:
    """Return the palette of a page, 8-bit RGB."""
    colours = page.colormap.T
    if colours.max(initial=0) > 255:  # otherwise the writer used 8 of the 16 bits, as libtiff assumes, too
        if not ((colours % 257 == 0).all() or (colours % 256 == 0).all()):
            raise InputError(f"{path}: is a palette image whose colours have 16 bits; convert it to RGB")
        colours = colours >> 8
    return colours.astype(np.uint8)


def _from_ycbcr(path: str, page: Any) -> Pixels:
    """Convert luma and chroma that are not JPEG-compressed to RGB."""
    import imagecodecs
    import PIL.Image

    across, down = page.subsampling or (2, 2)
    height, width = page.imagelength, page.imagewidth
    rows = min(page.rowsperstrip or height, height)
    strips = [min(rows, height - top) for top in range(0, height, rows)]
    expected = sum(-(-width // across) * -(-strip // down) * (across * down + 2) for strip in strips)
    unclear = page.subsampling is None if page.compression != 1 else sum(page.databytecounts) != expected
    if page.bitspersample != 8 or page.compression == 6 or page.is_tiled or unclear or page.planarconfig == 2:
        raise InputError(f"{path}: is a TIFF of kind YCBCR, not the usual one; convert it to grey or RGB")
    usual = np.allclose(_ratios(page, 529, BT601), BT601, atol=1e-4)
    usual = usual and np.array_equal(_ratios(page, 532, FULL_RANGE), FULL_RANGE)
    if usual and (across, down) == (1, 1):
        return np.asarray(PIL.Image.fromarray(page.asarray(), "YCbCr").convert("RGB"))
    content = bytearray(Path(path).read_bytes())
    if tag := page.tags.get(ORIENTATION):  # libtiff would apply half of the orientations
        content[tag.valueoffset : tag.valueoffset + 2] = struct.pack(page.parent.byteorder + "H", 1)
    return imagecodecs.tiff_decode(bytes(content), asrgb=True)[..., :3]


def _ratios(page: Any, tag: int, default: tuple[float, ...]) -> np.ndarray:
    """Return the fractions of a tag."""
    value = page.tags.valueof(tag)
    if value is None:
        return np.array(default)
    numerator, denominator = np.reshape(value, (-1, 2)).T
    return numerator / denominator


# ── JPEG, BMP, WebP ─────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _pillow(path: str, kind: str) -> Iterator[PIL.Image.Image]:
    """Open an image with the plugin for its kind: `PIL.Image.open` has a size limit that is global to the process."""
    from PIL import BmpImagePlugin, JpegImagePlugin, WebPImagePlugin

    plugins: dict[str, Callable[[str], PIL.ImageFile.ImageFile]] = {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
        "WebP": WebPImagePlugin.WebPImageFile,
    }
    try:
        opened = plugins[kind](path)
    except SyntaxError as error:  # what Pillow raises for files that it cannot read, such as JPEG of 12 bits
        raise InputError(
            f"{path}: is an unusual {kind} file ({error}); save it as 8- or 16-bit PNG"
        ) from error
    with opened as image:
        _check_size(path, image.height, image.width)
        if getattr(image, "n_frames", 1) > 1:
            raise InputError(f"{path}: is an animation; save the intended image as PNG")
        if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
            raise InputError(f"{path}: is a {image.mode} image; convert it to grey or RGB")
        yield image


def _pillow_pixels(path: str, kind: str) -> Pixels:
    with _pillow(path, kind) as image:
        orientation = _orientation(image.info.get("exif"))
        expanded = image.convert({"1": "L", "P": "RGB"}.get(image.mode, image.mode))
        return _upright(_opaque(path, np.asarray(expanded), 255), orientation)
