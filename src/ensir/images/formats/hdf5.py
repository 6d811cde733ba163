"""HDF5, MATLAB 7.3 files included: arrays that the file itself holds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.errors import InputError
from ensir.images.formats import arrays
from ensir.storage import hdf5

if TYPE_CHECKING:
    from ensir.images.codes import Header, Values

NAME = "HDF5 or MATLAB 7.3"
SUFFIXES = (".h5", ".hdf5")
SIGNATURE = rb"\x89HDF|MATLAB 7\.3"
READ = "the same; of several arrays, the one that `array` names by its path"
REFUSES = "arrays in other files, values that were never written or are to be scaled; several arrays without `array`"

IN_USE = re.compile("unable to lock file|already open for write|consistency flags")  # as HDF5 says it
BESIDES = ("#refs#/", "#subsystem#/")  # where MATLAB keeps what cells and objects hold


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    with _opened(path, array) as (_, layout):
        return layout.header()


def values(path: str, array: str | None = None) -> Values:
    """See `Format`."""
    with _opened(path, array) as (value, layout):
        return layout.image(np.asarray(value).T if _by_matlab(value) else np.asarray(value))


def lossy(path: str) -> bool:
    """See `Format`."""
    return False


@contextmanager
def _opened(path: str, array: str | None) -> Iterator[tuple[Any, arrays.Layout]]:
    """Open an array without reading its values; MATLAB stores its axes in reverse order."""
    with _file(path) as file:
        found = dict(itertools.islice(hdf5.arrays(path, file), arrays.MOST_ARRAYS))
        numbers = {name: one for name, one in found.items() if not name.startswith(BESIDES)}
        name = arrays.chosen(path, list(numbers), array)
        value = numbers[name]
        hdf5.check(path, name, value, arrays.LARGEST)
        if not hdf5.is_whole(value):
            raise InputError(
                f"{path}: {name} lacks some of its values, which HDF5 would make up; write all of them"
            )
        kind = _by_matlab(value)
        if kind in ("cell", "char", "struct") or "MATLAB_empty" in value.attrs:
            raise InputError(
                f"{path}: {name} is a {kind} of MATLAB and no array of numbers; name one with `array`"
            )
        dtype = np.dtype(bool) if kind == "logical" else value.dtype
        yield value, arrays.layout(path, value.shape[::-1] if kind else value.shape, dtype, value.attrs)


def _by_matlab(value: Any) -> str:
    """Return the class that MATLAB gave an array; empty for others."""
    kind = value.attrs.get("MATLAB_class", b"")
    return kind.decode() if isinstance(kind, bytes) else str(kind)


def _file(path: str) -> Any:
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
