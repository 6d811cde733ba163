"""Boxes, of which JPEG 2000 and JPEG XL files are made: a length, a name, and the content."""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator
from typing import BinaryIO


def walk(file: BinaryIO, inside: Collection[bytes] = ()) -> Iterator[tuple[bytes, int]]:
    """Yield name and length of the content of each box, at whose content the file then stands.

    Parameters
    ----------
    file : binary file
        At the beginning of a box.
    inside : names
        Boxes of boxes whose content is walked, too.
    """
    end = os.fstat(file.fileno()).st_size
    place = file.tell()
    while place + 8 <= end:
        file.seek(place)
        length, name = struct.unpack(">I4s", file.read(8))
        start = place + 8
        if length == 1:
            (length,), start = struct.unpack(">Q", file.read(8)), place + 16
        length = length or end - place
        if length < start - place:
            raise ValueError(f"its box {name!r} is damaged")
        if name in inside:
            place = start
            continue
        yield name, length - (start - place)
        place += length
