"""WebP: lossless, or lossy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ensir.images.formats import by_pillow

if TYPE_CHECKING:
    from ensir.images.codes import Header, Pixels

NAME = "WebP"
SUFFIXES = (".webp",)
SIGNATURE = rb"RIFF....WEBP"
READ = "8 bits, lossless or lossy; EXIF orientation"
REFUSES = "animations; alpha that hides something"


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    from PIL.WebPImagePlugin import WebPImageFile

    return by_pillow.header(path, NAME, WebPImageFile)


def values(path: str, array: str | None = None) -> Pixels:
    """See `Format`."""
    from PIL.WebPImagePlugin import WebPImageFile

    return by_pillow.values(path, NAME, WebPImageFile)


def lossy(path: str) -> bool:
    """See `Format`."""
    with open(path, "rb") as file:
        kind = file.read(16)[12:]
    return b"VP8L" not in (Path(path).read_bytes() if kind == b"VP8X" else kind)
