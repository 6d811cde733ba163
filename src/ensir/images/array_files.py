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

if TYPE_CHECKING:
    from jaxtyping import Shaped

MOST_ARRAYS, DEEPEST = 1000, 16  # in an HDF5 file
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
    names = list(itertools.islice(_arrays(file), MOST_ARRAYS))
    if array is None and len(names) != 1:
        raise InputError(f"{path}: holds {len(names)} arrays ({', '.join(names[:5])}); name one with `array`")
    if array is not None and array.strip("/") not in names:
        raise InputError(f"{path}: has no array {array!r}; it holds {', '.join(names[:5]) or 'none'}")
    return file[array or names[0]]


def _arrays(group: Any, depth: int = 0) -> Iterator[str]:
    """Yield the paths of the arrays of an HDF5 group; h5py's own walk may not end in a damaged file."""
    import h5py

    for name in group:
        value = group[name]
        if isinstance(value, h5py.Dataset):
            yield name
        elif depth < DEEPEST:
            yield from (f"{name}/{inner}" for inner in _arrays(value, depth + 1))


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
    if value.shape[0] * value.shape[1] > codes.LARGEST:
        raise InputError(
            f"{path}: claims {value.shape[0]}×{value.shape[1]} pixels; more than {codes.LARGEST} are refused"
        )
    return value
