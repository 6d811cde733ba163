"""What is read of HDF5 files, of whoever: arrays that the file itself holds, of a size that is checked before.

HDF5 lets a file name others, whose bytes become its arrays; groups hold each other; and an array claim any size.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

from ensir.errors import InputError

if TYPE_CHECKING:
    import h5py

MOST_LINKS, DEEPEST = 10_000, 16
CHUNK_BYTES = 2**28
TEXT_BYTES = 2**26  # of all texts of an array
LENGTH, REFERENCE = 4, 16  # bytes of a text's length, and of that with its place in the file
INSIDE = "write the values into the file itself"


def arrays(path: str, group: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yield the arrays below a group with their paths; what is in a group that has several is found by one.

    Raises
    ------
    InputError
        More links than are followed, or one that leaves the file.
    """
    yield from _walk(path, group, "", 0, set[int](), iter(range(MOST_LINKS)))


def _walk(
    path: str, group: h5py.Group, place: str, depth: int, seen: set[int], left: Iterator[int]
) -> Iterator[tuple[str, h5py.Dataset]]:
    import h5py

    for name in group:
        if next(left, None) is None:
            raise InputError(
                f"{path}: holds more than {MOST_LINKS} groups and arrays; keep one array in a file"
            )
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            raise InputError(f"{path}: {place}{name} refers to the file {link.filename!r}; {INSIDE}")
        if isinstance(link, h5py.SoftLink):  # another name of something, if it is there at all
            continue
        value = group[name]
        if isinstance(value, h5py.Dataset):
            yield f"{place}{name}", value
        elif isinstance(value, h5py.Group) and depth < DEEPEST:
            address = h5py.h5o.get_info(value.id).addr
            if address not in seen:
                seen.add(address)
                yield from _walk(path, value, f"{place}{name}/", depth + 1, seen, left)


def check(path: str, name: str, array: h5py.Dataset, most: int) -> int:
    """Check that an array is in the file and takes no more bytes than are accepted; return how many.

    Raises
    ------
    InputError
    """
    if array.is_virtual or array.external:
        raise InputError(f"{path}: {name} takes its values from other files; {INSIDE}")
    size = prod(array.shape or ()) * array.dtype.itemsize
    if size > most:
        raise InputError(
            f"{path}: {name} claims {array.shape} values, {size:,} bytes; more than {most:,} are refused"
        )
    if array.chunks and prod(array.chunks) * array.dtype.itemsize > max(CHUNK_BYTES, size):
        raise InputError(f"{path}: {name} has chunks of {array.chunks} values; write it in smaller ones")
    return size


def is_whole(array: h5py.Dataset) -> bool:
    """Return whether every value is in the file: what was never written takes no place there, and HDF5 makes it up."""
    if array.chunks is None:
        return array.id.get_storage_size() >= prod(array.shape) * array.dtype.itemsize
    chunks = prod(-(-length // step) for length, step in zip(array.shape, array.chunks, strict=True))
    return array.id.get_num_chunks() == chunks


def check_texts(path: str, name: str, array: h5py.Dataset) -> None:
    """Check that the texts of an array are of a bounded length in all: many of them may be one in the file.

    Raises
    ------
    InputError
    """
    import numpy as np

    count, place = prod(array.shape or ()), array.id.get_offset()
    if not count:
        return
    if place is None or place + count * REFERENCE > os.path.getsize(path):
        raise InputError(f"{path}: {name} does not hold its texts as this version writes them; make it again")
    with open(path, "rb") as file:
        file.seek(place)
        references = np.frombuffer(file.read(count * REFERENCE), np.uint8).reshape(count, REFERENCE)
    lengths = np.ascontiguousarray(references[:, :LENGTH]).view("<u4")
    if (size := int(lengths.sum(dtype=np.int64))) > TEXT_BYTES:
        raise InputError(
            f"{path}: {name} claims {size:,} bytes of text; more than {TEXT_BYTES:,} are refused"
        )


def check_table(path: str, most: int) -> None:
    """Check the arrays of a NetCDF file before they are read.

    Raises
    ------
    InputError
    """
    import h5py

    total = 0
    with h5py.File(path, "r") as file:
        for name, array in arrays(path, file):
            total += check(path, name, array, most)
            if array.dtype.kind == "O":
                check_texts(path, name, array)
    if total > most:
        raise InputError(f"{path}: its arrays claim {total:,} bytes; more than {most:,} are refused")
