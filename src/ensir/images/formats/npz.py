"""NumPy's `.npz`: a ZIP file of named arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import numpy as np

from ensir.images.formats import arrays

if TYPE_CHECKING:
    from ensir.images.codes import Header, Values

NAME = "NumPy (.npz)"
SUFFIXES = (".npz",)
SIGNATURE = rb"PK\x03\x04.{26}[^\0]{0,200}?\.npy"
READ = "the same; of several arrays, the one that `array` names"
REFUSES = "objects; several arrays without `array`"


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    with _opened(path, array) as (_, layout, _):
        return layout.header()


def values(path: str, array: str | None = None) -> Values:
    """See `Format`."""
    with _opened(path, array) as (file, layout, columns_first):
        count = int(np.prod(layout.shape))
        content = file.read(count * layout.dtype.itemsize)
        stored = np.frombuffer(content, layout.dtype, count)
        return layout.image(stored.reshape(layout.shape, order="F" if columns_first else "C"))


def lossy(path: str) -> bool:
    """See `Format`."""
    return False


@contextmanager
def _opened(path: str, array: str | None) -> Iterator[tuple[IO[bytes], arrays.Layout, bool]]:
    """Open an array at its values; yield its layout, and whether it is stored column by column."""
    with zipfile.ZipFile(path) as archive:
        held = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        with archive.open(held[arrays.chosen(path, list(held), array)]) as file:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, columns_first, dtype = read(file)
            yield file, arrays.layout(path, shape, dtype), columns_first
