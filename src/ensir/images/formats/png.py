"""PNG: palettes and few bits are expanded, values scaled by the depth that sBIT states, a tRNS colour is kept."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ensir.errors import InputError
from ensir.images import codes
from ensir.images.codes import Header

if TYPE_CHECKING:
    from ensir.images.codes import Pixels

NAME = "PNG"
SUFFIXES = (".png",)
SIGNATURE = rb"\x89PNG\r\n\x1a\n"
READ = "1 to 16 bits, grey, RGB, palettes; fewer bits that `sBIT` states; EXIF orientation"
REFUSES = "animations; alpha that hides something; channels of several depths"

LONGEST = 2**24  # bytes of a chunk that is kept


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    with open(path, "rb") as file:
        png = _read_header(path, file)
    unclear = png.depth == 16 and png.significant and min(png.significant) <= 8
    bits = None if unclear else max(png.depth, 8)
    return Header(*codes.turned((png.height, png.width, png.channels), png.orientation), bits)


def lossy(path: str) -> bool:
    """See `Format`."""
    return False


@dataclass(frozen=True)
class _Header:
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


def _read_header(path: str, file: BinaryIO) -> _Header:
    """Read the header of a PNG file, and the chunks that affect the meaning of pixels."""
    chunks = dict(_chunks(file))
    if b"acTL" in chunks:
        raise InputError(f"{path}: is an animation; save the intended image as PNG without others")
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    codes.check_size(path, height, width)
    channels = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}[colour]
    palette = colour == 3
    return _Header(
        height,
        width,
        depth,
        channels,
        () if palette or depth < 8 else tuple(chunks.get(b"sBIT", b"")[:channels]),
        b"tRNS" in chunks and not palette,
        codes.orientation_in(chunks.get(b"eXIf")),
    )


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the chunks that affect the meaning of pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name in (b"IHDR", b"sBIT", b"tRNS", b"eXIf", b"acTL"):
            content = file.read(min(length, LONGEST))
            if zlib.crc32(name + content).to_bytes(4, "big") != file.read(4):
                raise ValueError(f"its {name.decode()} chunk is damaged")
            yield name, content
        else:
            file.seek(length + 4, 1)


def values(path: str, array: str | None = None) -> Pixels:
    """See `Format`."""
    import imagecodecs

    content = Path(path).read_bytes()
    png = _read_header(path, io.BytesIO(content))
    image = imagecodecs.png_decode(content)  # expands palettes and few bits
    if png.keyed:
        image = image[..., :-1] if png.channels == 3 else image[..., 0]
    image = codes.opaque(path, image, np.iinfo(image.dtype).max)
    return codes.upright(_significant(path, image, png.significant), png.orientation)


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
    return codes.scaled(path, image, 2 ** bits[0] - 1)


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
