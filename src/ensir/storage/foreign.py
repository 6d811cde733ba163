"""What is accepted from others' stores: how much, and which arrays; nothing is asked for or unpacked beyond that.

A publisher's digests prove that nothing has changed on the way. They do not prove that the publisher means well.
"""

from __future__ import annotations

import os
from math import prod
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from obstore.store import ObjectStore

ROOT_BYTES = 2**28  # the root of a million files has 130 MB
OBJECT_BYTES = 2**26  # our chunks hold 2²² values; they have 32 MB where nothing can be compressed
PLAIN = {
    "node_type": "array",
    "zarr_format": 3,
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
}
KEYS = {
    *PLAIN,
    "shape",
    "data_type",
    "chunk_grid",
    "fill_value",
    "codecs",
    "attributes",
    "dimension_names",
    "storage_transformers",
}
ITEM_BYTES = {"uint8": 1, "uint16": 2, "int16": 2, "int64": 8, "float32": 4, "float64": 8, "string": 16}
BLOSC_HEADER = 16


class NotAccepted(ValueError):
    """This version does not write such a store."""


class TooLarge(NotAccepted):
    """An object is larger than any that this version writes."""


def bounded(size: int, most: int, key: str) -> None:
    """Raise an error where an object is, or is said to be, too large."""
    if size > most:
        raise TooLarge(f"{key} has {size:,} bytes or more, and at most {most:,} are read")


def _check_place(objects: ObjectStore, key: str) -> None:
    """Check that an object in a folder is a file in that folder: no link out of it, and no pipe or device.

    Raises
    ------
    NotAccepted
    """
    from obstore.store import LocalStore

    if not isinstance(objects, LocalStore):
        return
    folder = os.path.realpath(objects.prefix or os.sep)
    place = os.path.realpath(os.path.join(folder, key))
    if os.path.commonpath([folder, place]) != folder:
        raise NotAccepted(f"{key} is a link to what is not in the store")
    if os.path.exists(place) and not os.path.isfile(place):
        raise NotAccepted(f"{key} is no file")


def read(objects: ObjectStore, key: str, most: int = OBJECT_BYTES) -> bytes:
    """Read a whole object, but no more bytes than are accepted, whatever its server says.

    Raises
    ------
    FileNotFoundError
        There is none.
    NotAccepted
        It is too large, or elsewhere.
    """
    import obstore

    _check_place(objects, key)
    result = obstore.get(objects, key)
    bounded(result.meta["size"], most, key)
    content = bytearray()
    for piece in result.stream():
        content += memoryview(piece)
        bounded(len(content), most, key)
    return bytes(content)


async def read_async(objects: ObjectStore, key: str, most: int = OBJECT_BYTES) -> bytes:
    """Read a whole object; see `read`."""
    import obstore

    _check_place(objects, key)
    result = await obstore.get_async(objects, key)
    bounded(result.meta["size"], most, key)
    content = bytearray()
    async for piece in result.stream():
        content += memoryview(piece)
        bounded(len(content), most, key)
    return bytes(content)


def check_array(metadata: Any, key: str, chunks: int) -> None:
    """Check that the metadata of an array are such as this version writes.

    Parameters
    ----------
    metadata : object
        What its `zarr.json` holds.
    key : str
    chunks : int
        How many chunks of it are listed: every chunk is there, whatever it holds.

    Raises
    ------
    NotAccepted
        Says what is not accepted.
    """
    held: dict[str, Any] = metadata if isinstance(metadata, dict) else {}
    if any(held.get(name) != value for name, value in PLAIN.items()):
        raise NotAccepted(f"{key} is no array of Zarr v3 with chunks at {key}/c/…")
    if more := [*(set(held) - KEYS), *held.get("storage_transformers", ())]:
        raise NotAccepted(f"{key} has {more[0]!r}, which is not accepted from others")
    shape, dtype = held.get("shape"), held.get("data_type")
    grid: Any = held.get("chunk_grid")
    sizes = grid["configuration"].get("chunk_shape") if _is_regular(grid) else None
    if not (
        _are_sizes(shape, 0) and _are_sizes(sizes, 1) and len(shape) == len(sizes) and dtype in ITEM_BYTES
    ):
        raise NotAccepted(
            f"{key} has no shape, type and regular chunks of the kinds that this version writes"
        )
    if prod(sizes) * ITEM_BYTES[dtype] > OBJECT_BYTES:
        raise NotAccepted(f"{key} has chunks of {prod(sizes):,} values, more than this version writes")
    claimed = prod(-(-length // size) for length, size in zip(shape, sizes, strict=True))
    if claimed != chunks:
        raise NotAccepted(f"{key} claims {claimed:,} chunks, of which {chunks:,} are listed")
    codecs = [codec.get("name") if isinstance(codec, dict) else codec for codec in held.get("codecs") or ()]
    wanted = ["vlen-utf8" if dtype == "string" else "bytes", "blosc", "crc32c"]
    if codecs != wanted:
        raise NotAccepted(f"{key} has the codecs {codecs}, and only {wanted} are accepted from others")


def _is_regular(grid: Any) -> bool:
    return (
        isinstance(grid, dict)
        and grid.get("name") == "regular"
        and isinstance(grid.get("configuration"), dict)
    )


def _are_sizes(value: Any, least: int) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(size) is int and least <= size < 2**48 for size in value)


def check_chunk(content: bytes, key: str) -> None:
    """Check that a chunk does not become larger than any of this version when Blosc unpacks it.

    Raises
    ------
    NotAccepted
    """
    if len(content) < BLOSC_HEADER:
        raise NotAccepted(f"{key} is no chunk of this version")
    bounded(int.from_bytes(content[4:8], "little"), OBJECT_BYTES, f"{key}, unpacked,")


def check_texts(content: bytes, key: str, most: int) -> None:
    """Check that a chunk of texts claims no more of them than the chunk has place for.

    Raises
    ------
    NotAccepted
    """
    import imagecodecs

    check_chunk(content, key)
    if (
        int.from_bytes(imagecodecs.blosc_decode(content[:-4])[:4], "little") > most
    ):  # the last four bytes are the CRC-32C
        raise NotAccepted(f"{key} claims more texts than its chunk has place for")
