"""JPEG: grey, or luma and chroma, of 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ensir.images.formats import by_pillow

if TYPE_CHECKING:
    from ensir.images.codes import Header, Pixels

NAME = "JPEG"
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")
SIGNATURE = rb"\xff\xd8\xff"
READ = "8 bits, grey or RGB, as Pillow converts luma and chroma; EXIF orientation"
REFUSES = "CMYK, 12 bits"


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    from PIL.JpegImagePlugin import JpegImageFile

    return by_pillow.header(path, NAME, JpegImageFile)


def values(path: str, array: str | None = None) -> Pixels:
    """See `Format`."""
    from PIL.JpegImagePlugin import JpegImageFile

    return by_pillow.values(path, NAME, JpegImageFile)


def lossy(path: str) -> bool:
    """See `Format`."""
    return True
