"""BMP: palettes are expanded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ensir.images.formats import by_pillow

if TYPE_CHECKING:
    from ensir.images.codes import Header, Pixels

NAME = "BMP"
SUFFIXES = (".bmp",)
SIGNATURE = rb"BM"
READ = "1 to 8 bits with palettes, RGB of 8 bits"
REFUSES = "alpha that hides something"


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    from PIL.BmpImagePlugin import BmpImageFile

    return by_pillow.header(path, NAME, BmpImageFile)


def values(path: str, array: str | None = None) -> Pixels:
    """See `Format`."""
    from PIL.BmpImagePlugin import BmpImageFile

    return by_pillow.values(path, NAME, BmpImageFile)


def lossy(path: str) -> bool:
    """See `Format`."""
    return False
