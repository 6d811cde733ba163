"""Small tables in one file that xarray opens: NetCDF-4, with checksums.

xarray is not used: its import of pandas and Dask takes longer than everything else that a small job does.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ensir.errors import InputError
from ensir.storage import digests, hdf5
from ensir.storage.atomic import replaced, written
from ensir.storage.failures import fix
from ensir.storage.layout import Place

LARGEST = 2**31  # bytes of all arrays; a LUT of 16 million cells and five models has 1.4 GB
CHECKSUMMED = {"compression": "gzip", "compression_opts": 4, "fletcher32": True}


def save(
    place: Place | Path,
    dimensions: Mapping[str, int],
    arrays: Mapping[str, tuple[tuple[str, ...], Sequence[Any] | np.ndarray]],
    attributes: Mapping[str, Any],
    described: Mapping[str, str] | None = None,
) -> None:
    """Write a file, atomically.

    Parameters
    ----------
    place : Place or Path
        A path is that of a file outside a results folder.
    dimensions : dict
        Their sizes.
    arrays : dict
        Names of the dimensions and values of each array; what is no NumPy array holds texts.
    attributes : dict
        Texts and numbers.
    described : dict, optional
        What arrays hold, where their names do not say it.
    """
    import h5netcdf
    import h5py

    size = sum(values.nbytes for _, values in arrays.values() if isinstance(values, np.ndarray))
    content = io.BytesIO()  # HDF5 ends the process where a disk is full
    with h5netcdf.File(content, "w") as file:
        file.dimensions = dict(dimensions)
        for name, (dims, values) in arrays.items():
            if isinstance(values, np.ndarray) and values.dtype.kind not in "UOT":
                stored = CHECKSUMMED if values.ndim and values.size else {}
                file.create_variable(name, dims, data=values, **stored)
            else:
                file.create_variable(name, dims, h5py.string_dtype(), data=np.asarray(values, object))
        for name, text in (described or {}).items():
            file[name].attrs["long_name"] = text
        file.attrs.update(attributes)
    with replaced(place) if isinstance(place, Path) else written(place, size) as partial:
        partial.write_bytes(content.getbuffer())


def load(path: str, what: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the arrays and the attributes of a file.

    Parameters
    ----------
    path : str
    what : str
        What it should be, for messages: "a LUT".

    Raises
    ------
    InputError
        It is missing, damaged, no such file, or claims more than is read.
    """
    import h5netcdf
    import h5py

    digests.check_before_reading(path)
    if Path(path).is_file() and os.access(path, os.R_OK) and not h5py.is_hdf5(path):
        raise InputError(
            f"{path}: is not {what}, but a file of another kind; name the right one, or make it again"
        )
    try:
        hdf5.check_table(path, LARGEST)
        with h5netcdf.File(path, "r", decode_vlen_strings=True) as file:
            attributes: dict[str, Any] = dict(file.attrs)
            arrays = {name: variable[...] for name, variable in file.variables.items()}
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{path}: cannot be read as {what} ({error}); {fix(error, 'make it again')}"
        ) from error
    return arrays, {k: v.item() if isinstance(v, np.generic) else v for k, v in attributes.items()}


def kind(path: str) -> str:
    """Return what the attribute `kind` of a file says; empty where it cannot be read, or has none."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs.get("kind", ""))
    except Exception:  # whoever reads the file tells what is wrong with it
        return ""
