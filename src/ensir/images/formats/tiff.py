"""Decode TIFF files that hold one image, which is grey or RGB or can be converted to that, as their tags say."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.errors import InputError
from ensir.images import codes
from ensir.images.codes import Header

if TYPE_CHECKING:
    from ensir.images.codes import Pixels, Values

NAME = "TIFF"
SUFFIXES = (".tif", ".tiff")
SIGNATURE = rb"II[*+]\0|MM\0[*+]"
READ = (
    "1 to 16 bits, grey (either way), RGB, palettes, luma and chroma; fewer bits that the tags state; 16- to 64-bit "
    "floats; orientation"
)
REFUSES = "several pages or images, CMYK and Lab, signed or 32-bit integers, alpha that hides something"

# Compressions that tifffile decodes to RGB; 6, their predecessor, is ambiguous.
JPEG_IN_TIFF = (7, 33007, 34892)
PHOTOMETRIC = 262
RAW = (32803, 34892)  # photometric interpretations: a mosaic of colours, and linear raw values
DNG_VERSION = 50706
MOST_BELOW = 16  # images below another that are looked at
FULL_RANGE = (0, 255, 128, 255, 128, 255)  # black and white of Y, Cb and Cr, as in JFIF
BT601 = (0.299, 0.587, 0.114)


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    with _opened(path) as page:
        size = codes.turned((page.imagelength, page.imagewidth, _channels(page)), _orientation(page))
        if page.dtype.kind == "f":
            return Header(*size, None, True)
        bits = 8 if page.photometric == 3 or _largest_code(path, page) <= 255 else 16
        return Header(*size, bits)


def values(path: str, array: str | None = None) -> Values:
    """See `Format`."""
    with _opened(path) as page:
        if page.dtype.kind == "f":
            floats = codes.opaque(path, _codes(page), 1)
            return codes.upright(floats.astype(floats.dtype.newbyteorder("=")), _orientation(page))
        most = _largest_code(path, page)
        if page.photometric == 6 and not (page.compression in JPEG_IN_TIFF and page.planarconfig == 1):
            image = _from_ycbcr(path, page)
        else:
            image = _codes(page)
        image = codes.opaque(path, image, 2**page.bitspersample - 1)
        if page.photometric == 3:
            image = _colours(path, page)[image]
        elif page.photometric == 0:
            image = codes.scaled(path, image, most)
            image = np.iinfo(image.dtype).max - image
        else:
            image = codes.scaled(path, image, most)
        return codes.upright(image, _orientation(page))


def lossy(path: str) -> bool:
    """See `Format`."""
    with _opened(path) as page:
        return page.compression in JPEG_IN_TIFF


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    """Open the only image of a TIFF file, a tifffile.TiffPage, if it is grey or RGB, or can be converted to that."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        if _is_raw(page):
            raise InputError(
                f"{path}: is a raw photograph; what it shows depends on who develops it: develop it, and save it as "
                "16-bit PNG"
            )
        if _has_second(tiff) or page.subifds or tiff.series[0].size != page.size or page.imagedepth > 1:
            raise InputError(
                f"{path}: holds more than one image (pages, channels, sizes or moments); save the intended one as grey "
                "or RGB in a file of its own"
            )
        if PHOTOMETRIC not in page.tags:
            raise InputError(
                f"{path}: does not say whether 0 is black (PhotometricInterpretation); save it as PNG"
            )
        colours = tifffile.PHOTOMETRIC(page.photometric).name
        if colours not in ("MINISBLACK", "MINISWHITE", "RGB", "PALETTE", "YCBCR"):
            kind = "CMYK" if colours == "SEPARATED" else colours
            raise InputError(f"{path}: is a TIFF of kind {kind}; convert it to grey or RGB")
        depths = page.tags.valueof(258, default=1)
        kind = page.dtype.kind if page.dtype else ""
        floats = kind == "f" and colours in ("MINISBLACK", "RGB")
        if not floats and (kind not in ("b", "u") or page.bitspersample > 16):
            held = page.dtype or f"{page.bitspersample}-bit"
            raise InputError(
                f"{path}: holds {held} values of kind {colours}; only unsigned integers of up to 16 bit and floats are "
                "read: convert it to 8- or 16-bit PNG"
            )
        if isinstance(depths, tuple) and len(set(depths)) > 1:
            raise InputError(f"{path}: its channels have {depths} bits; save it with 8 or 16 bits each")
        codes.check_size(path, page.imagelength, page.imagewidth)
        if page.samplesperpixel > 4:
            raise InputError(
                f"{path}: has {page.samplesperpixel} channels; convert it to grey or RGB without alpha"
            )
        if 0 in page.databytecounts:
            raise InputError(f"{path}: lacks some of its pixels (sparse strips or tiles); save it whole")
        yield page


def _is_raw(page: Any) -> bool:
    """Return whether a file is a raw photograph, whose first image may be a preview."""
    below = islice(page.pages, MOST_BELOW) if page.subifds else ()
    return DNG_VERSION in page.tags or any(image.photometric in RAW for image in (page, *below))


def _has_second(tiff: Any) -> bool:
    """Return whether there are more pages than one; their number may be without bounds."""
    try:
        tiff.pages[1]
    except IndexError:
        return False
    return True


def _channels(page: Any) -> int:
    return 3 if page.photometric == 3 else {2: 1, 4: 3}.get(page.samplesperpixel, page.samplesperpixel)


def _orientation(page: Any) -> int:
    value = page.tags.valueof(codes.ORIENTATION, default=1)
    return value if value in range(1, 9) else 1


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
    if tag := page.tags.get(codes.ORIENTATION):  # libtiff would apply half of the orientations
        content[tag.valueoffset : tag.valueoffset + 2] = struct.pack(page.parent.byteorder + "H", 1)
    return imagecodecs.tiff_decode(bytes(content), asrgb=True)[..., :3]


def _ratios(page: Any, tag: int, default: tuple[float, ...]) -> np.ndarray:
    """Return the fractions of a tag."""
    value = page.tags.valueof(tag)
    if value is None:
        return np.array(default)
    numerator, denominator = np.reshape(value, (-1, 2)).T
    return numerator / denominator
