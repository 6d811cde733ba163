"""PBM, PGM and PPM, binary or text: own code, since Pillow reduces 16 bits to 8."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from ensir.errors import InputError
from ensir.images import codes
from ensir.images.codes import Header

if TYPE_CHECKING:
    from ensir.images.codes import Pixels

NAME = "PBM, PGM or PPM"
SUFFIXES = (".pbm", ".pgm", ".ppm", ".pnm")
SIGNATURE = rb"P[1-6][\s#]"
READ = "1 to 16 bits, grey or RGB, binary or text; any largest value is white"
REFUSES = "more than one image"

LONGEST = 2**16  # bytes of a header with its comments
TOKEN = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*(\d{1,10})(?=[\s#])")


class _Found(NamedTuple):
    """What a header says; `start` is where the values begin."""

    kind: int
    height: int
    width: int
    most: int
    start: int

    @property
    def channels(self) -> int:
        """How many values a pixel has."""
        return 3 if self.kind in (3, 6) else 1


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    with open(path, "rb") as file:
        found = _read_header(path, file)
    return Header(found.height, found.width, found.channels, 8 if found.most <= 255 else 16)


def values(path: str, array: str | None = None) -> Pixels:
    """See `Format`."""
    with open(path, "rb") as file:
        found = _read_header(path, file)
        file.seek(found.start)
        content = file.read()
    shape = (found.height, found.width, found.channels)
    if found.kind == 4:
        rows, rest = _exactly(content, found.height * -(-found.width // 8))
        bits = np.unpackbits(np.frombuffer(rows, np.uint8).reshape(found.height, -1), axis=1)
        image = 1 - bits[:, : found.width, None]
    elif found.kind < 4:
        image, rest = _text(content, found).reshape(shape), b""
    else:
        dtype = np.dtype("u1" if found.most <= 255 else ">u2")
        pixels, rest = _exactly(content, found.height * found.width * found.channels * dtype.itemsize)
        image = np.frombuffer(pixels, dtype).reshape(shape).astype(dtype.newbyteorder("="))
    if re.match(rb"\s*P[1-7]\s", rest):
        raise InputError(f"{path}: holds more than one image; save the intended one in a file of its own")
    return codes.scaled(path, image, found.most)


def lossy(path: str) -> bool:
    """See `Format`."""
    return False


def _read_header(path: str, file: BinaryIO) -> _Found:
    """Read the numbers at the beginning, among which comments may stand."""
    content, place = file.read(LONGEST), 2
    kind, numbers = int(content[1:2]), list[int]()
    for _ in range(2 if kind in (1, 4) else 3):
        token = TOKEN.match(content, place)
        if token is None:
            raise ValueError("its header is damaged")
        numbers.append(int(token[1]))
        place = token.end()
    width, height, most = (*numbers, 1)[:3]
    if not (0 < most < 2**16 and width and height):
        raise ValueError("its header is damaged")
    codes.check_size(path, height, width)
    return _Found(kind, height, width, most, place + 1)


def _exactly(content: bytes, length: int) -> tuple[bytes, bytes]:
    if len(content) < length:
        raise ValueError("it is cut off")
    return content[:length], content[length:]


def _text(content: bytes, found: _Found) -> np.ndarray:
    """Read values that are written as text; bits need no space between them."""
    content = re.sub(rb"#[^\n\r]*", b"", content)
    count = found.height * found.width * found.channels
    if found.kind == 1:
        bits = np.frombuffer(content.translate(None, b" \t\r\n\v\f"), np.uint8)[:count]
        if len(bits) < count or (bits & 0xFE != 0x30).any():
            raise ValueError("it is cut off or damaged")
        return (0x31 - bits).astype(np.uint8)
    numbers = content.split(maxsplit=count)[:count]
    if len(numbers) < count:
        raise ValueError("it is cut off")
    image = np.array(numbers).astype(np.int64)
    if image.min() < 0 or image.max() > found.most:
        raise ValueError(f"it has values beyond its largest, {found.most}")
    return image.astype(np.uint16 if found.most > 255 else np.uint8)
