"""A Zarr store in which every chunk must be there: Zarr reads a missing one as zeros."""

from __future__ import annotations

import re

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

CHUNK = re.compile(r"(^|/)c(/\d+)*$")  # the key of a chunk, in Zarr's version 3


class CompleteStore(WrapperStore[Store]):
    """Any store of Zarr's; all its arrays were written whole."""

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a key.

        Raises
        ------
        FileNotFoundError
            A chunk is missing.
        """
        found = await super().get(key, prototype, byte_range)
        if found is None and CHUNK.search(key):
            raise FileNotFoundError(f"{key} is missing")
        return found
