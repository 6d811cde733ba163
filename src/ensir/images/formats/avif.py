"""AVIF: still images, decoded by imagecodecs, which keeps 10 and 12 bits; sizes and orientation by Pillow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ensir.errors import InputError
from ensir.images import codes
from ensir.images.formats import by_pillow

if TYPE_CHECKING:
    from ensir.images.codes import Header, Pixels

NAME = "AVIF"
SUFFIXES = (".avif",)
SIGNATURE = rb"....ftyp(?:avi[fs]|.{8}(?:.{4}){0,8}avi[fs])"
READ = "8, 10 or 12 bits, grey or RGB; orientation"
REFUSES = "sequences; alpha that hides something"

LONGEST = 2**20  # bytes of metadata
CONFIGURATION = re.compile(rb"\0\0\0.av1C\x81.(.)", re.DOTALL)  # of an AV1 image item


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    from PIL.AvifImagePlugin import AvifImageFile

    found = by_pillow.header(path, NAME, AvifImageFile)
    return found._replace(bits=8 if _depth(path) == 8 else 16)


def values(path: str, array: str | None = None) -> Pixels:
    """See `Format`."""
    import imagecodecs
    from PIL.AvifImagePlugin import AvifImageFile

    with by_pillow.opened(path, NAME, AvifImageFile) as image:
        orientation = codes.orientation_in(image.info.get("exif"))
    white = 2 ** _depth(path) - 1
    decoded = codes.opaque(path, imagecodecs.avif_decode(Path(path).read_bytes()), white)
    return codes.upright(codes.scaled(path, decoded, white), orientation)


def lossy(path: str) -> bool:
    """See `Format`: no header tells."""
    return True


def _depth(path: str) -> int:
    """Return the bits of a value, which the configuration of each item (colours, alpha, tiles) states."""
    with open(path, "rb") as file:
        flags = CONFIGURATION.findall(file.read(LONGEST))
    depths = {(12 if flag[0] & 0x20 else 10) if flag[0] & 0x40 else 8 for flag in flags}
    if len(depths) != 1:
        raise InputError(f"{path}: states {len(depths)} depths, and not one; save it as 8- or 16-bit PNG")
    return depths.pop()
