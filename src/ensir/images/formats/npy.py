"""NumPy's `.npy`: one array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ensir.images.formats import arrays

if TYPE_CHECKING:
    from ensir.images.codes import Header, Values

NAME = "NumPy (.npy)"
SUFFIXES = (".npy",)
SIGNATURE = rb"\x93NUMPY"
READ = "booleans, integers and floats, (height, width), (height, width, channel) or channels first"
REFUSES = "objects"


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    return arrays.layout(path, mapped.shape, mapped.dtype).header()


def values(path: str, array: str | None = None) -> Values:
    """See `Format`."""
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    return arrays.layout(path, mapped.shape, mapped.dtype).image(mapped)


def lossy(path: str) -> bool:
    """See `Format`."""
    return False
