"""JPEG 2000, in a JP2 file or as a bare codestream, decoded by imagecodecs: Pillow reduces 16-bit RGB to 8."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ensir.errors import InputError
from ensir.images import codes
from ensir.images.codes import Header
from ensir.images.formats import boxes

if TYPE_CHECKING:
    from ensir.images.codes import Pixels

NAME = "JPEG 2000"
SUFFIXES = (".jp2", ".j2k", ".j2c", ".jpf", ".jpx")
SIGNATURE = rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"
READ = "1 to 16 bits, grey or RGB, lossless or lossy"
REFUSES = "palettes, luma and chroma, subsampled or signed channels; alpha that hides something"

LONGEST = 2**16  # bytes of metadata
COLOURS = {16, 17}  # numbers of sRGB and grey


class _Found(NamedTuple):
    """What the main header says; a wavelet that is reversible may be lossless."""

    height: int
    width: int
    channels: int
    bits: int
    reversible: bool


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    found = _read_header(path)
    channels = {2: 1, 4: 3}.get(found.channels, found.channels)
    return Header(found.height, found.width, channels, 8 if found.bits <= 8 else 16)


def values(path: str, array: str | None = None) -> Pixels:
    """See `Format`."""
    import imagecodecs

    white = 2 ** _read_header(path).bits - 1
    decoded = imagecodecs.jpeg2k_decode(Path(path).read_bytes())
    return codes.scaled(path, codes.opaque(path, decoded, white), white)


def lossy(path: str) -> bool:
    """See `Format`: a reversible wavelet may have been cut off, too, which nothing tells."""
    return not _read_header(path).reversible


def _read_header(path: str) -> _Found:
    """Read the boxes of a JP2 file, then the markers SIZ and COD of the codestream."""
    with open(path, "rb") as file:
        if file.read(4) != b"\xff\x4f\xff\x51":
            file.seek(0)
            for name, _ in boxes.walk(file, inside={b"jp2h"}):
                if name == b"pclr":
                    raise InputError(f"{path}: has a palette; convert it to RGB")
                if name == b"colr":
                    method, _, _, colours = struct.unpack(">BBBI", file.read(7))
                    if method == 1 and colours not in COLOURS:
                        raise InputError(
                            f"{path}: is in colour space {colours}, neither grey nor sRGB; convert it to one of these"
                        )
                if name == b"jp2c":
                    break
            else:
                raise ValueError("it holds no codestream")
            file.seek(4, 1)
        return _codestream(path, file)


def _codestream(path: str, file: BinaryIO) -> _Found:
    length, _, right, bottom, left, top, *_, channels = struct.unpack(">HH8IH", file.read(38))
    if length != 38 + 3 * channels or not channels:
        raise ValueError("its header is damaged")
    codes.check_size(path, bottom - top, right - left)
    kinds = {file.read(3) for _ in range(channels)}
    if b"" in kinds:
        raise ValueError("it is cut off")
    if len(kinds) > 1 or channels > 4:
        raise InputError(
            f"{path}: has {channels} channels, of several depths or sizes; convert it to grey or RGB"
        )
    depth, *steps = kinds.pop()
    if depth & 0x80 or depth > 15 or steps != [1, 1]:
        raise InputError(
            f"{path}: has signed, subsampled or channels of more than 16 bits; save it as 8- or 16-bit PNG"
        )
    while marker := file.read(2):
        (length,) = struct.unpack(">H", file.read(2))
        if marker == b"\xff\x52":
            return _Found(bottom - top, right - left, channels, depth + 1, file.read(10)[9] == 1)
        file.seek(length - 2, 1)
    raise ValueError("its header is damaged")
