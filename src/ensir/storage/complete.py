"""Zarr stores in which a missing chunk, which Zarr would read as zeros, or a changed one is an error."""

from __future__ import annotations

import hashlib

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import ObjectStore, WrapperStore

from ensir.storage import foreign
from ensir.storage.digests import CHUNK, Chunks


class CompleteStore(WrapperStore[Store]):
    """Wraps a Zarr store whose arrays were all written whole.

    Parameters
    ----------
    store : Store
    chunks : Chunks or None
        What its chunks must be; None where that is not known.
    """

    def __init__(self, store: Store, chunks: Chunks | None = None):
        super().__init__(store)
        self.chunks = chunks

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a key.

        Raises
        ------
        FileNotFoundError
            A chunk is missing.
        ValueError
            It was written elsewhere, or at another time.
        """
        content = await super().get(key, prototype, byte_range)
        if CHUNK.search(key):
            if content is None:
                raise FileNotFoundError(f"{key} is missing")
            if self.chunks:
                assert byte_range is None, "chunks are read whole"
                self.chunks.check(key, content.as_numpy_array().data)
        return content


class CheckedStore(WrapperStore[ObjectStore]):
    """Wraps the objects of a shared store, which are read whole, and only if they have the known digests.

    Parameters
    ----------
    store : ObjectStore
    files : dict
        SHA-256 of each object, by key.
    """

    def __init__(self, store: ObjectStore, files: dict[str, str]):
        super().__init__(store)
        self.files = files

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a key.

        Raises
        ------
        ValueError
            It is missing, is not what its digest says, or is larger than any chunk of ours.
        """
        assert byte_range is None, "objects are read whole"
        try:
            content = await foreign.read_async(self._store.store, key)
        except FileNotFoundError as error:
            raise ValueError(f"{key} is missing") from error
        if hashlib.sha256(content).hexdigest() != self.files.get(key):
            raise ValueError(f"{key} is not what was published there (its digest differs)")
        if CHUNK.search(key):
            foreign.check_chunk(content, key)
        return prototype.buffer.from_bytes(content)
