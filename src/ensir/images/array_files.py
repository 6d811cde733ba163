"""Predictions as arrays: `.npy` and HDF5 files, one per image."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.errors import InputError
from ensir.images import codes, image_files
from ensir.storage import hdf5

if TYPE_CHECKING:
    from jaxtyping import Shaped

MOST_ARRAYS = 1000  # in an HDF5 file
LARGEST = 4 * 8 * codes.LARGEST  # bytes
IN_USE = re.compile("unable to lock file|already open for write|consistency flags")  # as HDF5 says it
SUFFIXES = (".npy", ".h5", ".hdf5")


def is_array(path: str) -> bool:
    """Return whether a file is an array file, by its extension."""
    return Path(path).suffix.lower() in SUFFIXES


def shape(path: str, array: str | None) -> tuple[int, int, int]:
    """Return (height, width, channel) of an array, from its header alone."""
    with _opened(path, array) as value:
        height, width, *channels = value.shape
        return height, width, channels[0] if channels else 1


def header(path: str, array: str | None) -> codes.Header:
    """Read size, channels and, of unsigned integers, the depth of an array from its header alone."""
    with _opened(path, array) as value:
        bits = 8 * value.dtype.itemsize if value.dtype.kind == "u" else None
    return codes.Header(*shape(path, array), bits)


def read(path: str, array: str | None) -> Shaped[np.ndarray, "height width channel"]:
    """Read an array as stored.

    Parameters
    ----------
    path : str
        A `.npy` or HDF5 file.
    array : str or None
        Path of the array in an HDF5 file; None for the only one.

    Returns
    -------
    (height, width, channel) array of floats or integers.

    Raises
    ------
    InputError
        Damaged, of Python objects, with no or several arrays, or an array of another shape.
    """
    with _opened(path, array) as value:
        image = np.asarray(value, value.dtype.newbyteorder("="))
    return image[:, :, None] if image.ndim == 2 else image


@contextmanager
def _opened(path: str, array: str | None) -> Iterator[Any]:
    """Open an array without reading its values."""
    with image_files.clear_errors(path, "an array"):
        if Path(path).suffix.lower() == ".npy":
            yield _checked(path, np.load(path, mmap_mode="r", allow_pickle=False))
        else:
            with _hdf5(path) as file:
                yield _checked(path, _find(path, file, array))


def _hdf5(path: str) -> Any:
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as error:
        if IN_USE.search(str(error)):
            raise InputError(
                f"{path}: seems to be still open for writing ({error}); wait until its program has ended; "
                "if that has crashed, write the file again"
            ) from error
        raise


def _find(path: str, file: Any, array: str | None) -> Any:
    found = dict(itertools.islice(hdf5.arrays(path, file), MOST_ARRAYS))
    names = list(found)
    if array is None and len(names) != 1:
        raise InputError(f"{path}: holds {len(names)} arrays ({', '.join(names[:5])}); name one with `array`")
    name = names[0] if array is None else array.strip("/")
    if name not in found:
        raise InputError(f"{path}: has no array {array!r}; it holds {', '.join(names[:5]) or 'none'}")
    hdf5.check(path, name, found[name], LARGEST)
    if not hdf5.is_whole(found[name]):
        raise InputError(
            f"{path}: {name} lacks some of its values, which HDF5 would make up; write all of them"
        )
    return found[name]


def _checked(path: str, value: Any) -> Any:
    if value.ndim not in (2, 3) or value.dtype.kind not in "uif":
        raise InputError(
            f"{path}: is an array of {value.dtype} with shape {value.shape}; store numbers as (height, width, channel)"
        )
    if packed := {"scale_factor", "add_offset"} & set(getattr(value, "attrs", ())):
        raise InputError(
            f"{path}: its values must be scaled ({', '.join(sorted(packed))}), which is not supported; store the "
            "scaled values"
        )
    codes.check_size(path, *value.shape[:2])
    if value.nbytes > LARGEST:
        raise InputError(f"{path}: claims {value.nbytes:,} bytes; more than {LARGEST:,} are refused")
    return value
