"""MATLAB's `.mat` of versions 5 to 7.2; those of version 7.3 are HDF5."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ensir.errors import InputError
from ensir.images.formats import arrays

if TYPE_CHECKING:
    from ensir.images.codes import Header, Values

NAME = "MATLAB 5"
SUFFIXES = (".mat",)
SIGNATURE = rb"MATLAB 5\.0"
READ = "the same; of several variables, the one that `array` names"
REFUSES = "cells, structures, texts, sparse matrices; several variables without `array`; version 4"

TYPES = {"double": "f8", "single": "f4", "logical": "?"} | {
    f"{sign}int{bits}": f"{sign or 'i'}{bits // 8}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    return _found(path, array)[1].header()


def values(path: str, array: str | None = None) -> Values:
    """See `Format`; integers that MATLAB stored in few bytes come back as what they are declared to be."""
    from scipy.io import loadmat

    name, layout = _found(path, array)
    value = loadmat(path, variable_names=[name])[name]
    if not isinstance(value, np.ndarray) or value.shape != layout.shape:  # sparse
        raise InputError(f"{path}: {name} is no plain array of numbers; save it with `full`")
    return layout.image(value)


def lossy(path: str) -> bool:
    """See `Format`."""
    return False


def _found(path: str, array: str | None) -> tuple[str, arrays.Layout]:
    """Return name and layout of a variable, of which nothing else is read."""
    from scipy.io import whosmat

    held = {name: (shape, kind) for name, shape, kind in whosmat(path)}
    numbers = [name for name, (_, kind) in held.items() if kind in TYPES]
    name = arrays.chosen(path, numbers or list(held), array)
    shape, kind = held[name]
    if kind not in TYPES:
        raise InputError(f"{path}: {name} is a {kind} of MATLAB and no array of numbers; save one")
    return name, arrays.layout(path, shape, np.dtype(TYPES[kind]))
