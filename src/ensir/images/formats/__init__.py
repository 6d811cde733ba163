"""Formats of files: one module each, which says how its files begin, what is read of them, and what is refused.

Every module holds what `Format` asks for. A file is of the format whose signature it begins with, whatever its name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from ensir.errors import InputError
from ensir.images.formats import (
    avif,
    bmp,
    hdf5,
    jpeg,
    jpeg2000,
    jpegxl,
    matlab,
    npy,
    npz,
    openexr,
    png,
    pnm,
    tensor,
    tiff,
    webp,
)

if TYPE_CHECKING:
    from ensir.images.codes import Header, Values

HEAD = 512  # bytes that tell the format
REFUSED = {
    "a GIF": rb"GIF8",
    "a PAM": rb"P7\s",
    "a PFM": rb"P[fF]\s",
    "a HEIF": rb"....ftyp",
    "a Radiance HDR": rb"#\?RADIANCE",
    "a Photoshop": rb"8BPS",
    "a PDF": rb"%PDF",
    "a ZIP": rb"PK\x03\x04",
}
POINTERS = {
    rb"version https://git-lfs": ("Git LFS", "git lfs pull"),
    rb"/annex/objects/": ("git-annex", "git annex get"),
}


class Format(Protocol):
    """What the module of a format holds; `array` names one of several arrays of a file, where a format has such."""

    @property
    def NAME(self) -> str:
        """How it is called."""

    @property
    def SUFFIXES(self) -> tuple[str, ...]:
        """Usual endings of names, in lower case."""

    @property
    def SIGNATURE(self) -> bytes:
        """A regular expression of the first bytes."""

    @property
    def READ(self) -> str:
        """What is read, and how deep: for the documentation."""

    @property
    def REFUSES(self) -> str:
        """What is refused: for the documentation."""

    def header(self, path: str, array: str | None = None) -> Header:
        """Return size, channels and depth of what `values` returns, from the header alone."""

    def values(self, path: str, array: str | None = None) -> Values:
        """Decode a file to (height, width) or (height, width, channel): uint8, uint16, or numbers in another range.

        Raises
        ------
        InputError
            What is read would have no unique meaning as grey or RGB.
        Exception
            Whatever a decoder raises on a damaged file.
        """

    def lossy(self, path: str) -> bool:
        """Return whether the values may be close to, but not exactly, what was saved."""


IMAGES: tuple[Format, ...] = (png, jpeg, tiff, bmp, webp, pnm, jpeg2000, avif, jpegxl, openexr)
ARRAYS: tuple[Format, ...] = (npy, npz, hdf5, matlab, tensor)
IMAGE_SUFFIXES = tuple(suffix for one in IMAGES for suffix in one.SUFFIXES)
ARRAY_SUFFIXES = tuple(suffix for one in ARRAYS for suffix in one.SUFFIXES)
SUFFIXES = IMAGE_SUFFIXES + ARRAY_SUFFIXES


def is_array(path: str) -> bool:
    """Return whether a file is one of arrays, by its name alone."""
    return path.lower().endswith(ARRAY_SUFFIXES)


def of(path: str) -> Format:
    """Return the format of a file, by its first bytes.

    Raises
    ------
    InputError
        A known format that is not read, or a pointer to a file elsewhere.
    ValueError
        No known format.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD)
    for one in (*IMAGES, *ARRAYS):
        if re.match(one.SIGNATURE, head, re.DOTALL):
            return one
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
    raise ValueError(f"it is none of {', '.join(one.NAME for one in (*IMAGES, *ARRAYS))}")
