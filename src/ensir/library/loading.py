"""One array of any library as one of NumPy, with its axes in our order."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np

from ensir.errors import InputError
from ensir.storage.failures import reason

AXES = {  # what arrays of xarray may call them, in any case
    "model": ("model", "models"),
    "channel": ("channel", "channels", "c", "band", "bands"),
    "height": ("height", "h", "y", "row", "rows", "lat", "latitude"),
    "width": ("width", "w", "x", "col", "cols", "column", "columns", "lon", "longitude"),
    "pixel": ("pixel", "pixels"),
}
# Axes that hold one image after another.
SEVERAL = ("batch", "image", "images", "n", "sample", "samples", "time")
UNNAMED = re.compile(r"dim_\d+")  # as xarray calls axes without names
CONVERTED = "convert it to an array of NumPy"


def is_array(value: Any) -> bool:
    """Return whether a value is one array, of whatever library."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def is_labelled(value: Any) -> bool:
    """Return whether a value is an array of xarray."""
    return is_array(value) and hasattr(value, "dims") and hasattr(value, "isel")


def model_axis(value: Any) -> Hashable | None:
    """Return what an array of xarray calls the axis of its models; None where it has none, or is no such array."""
    dims = value.dims if is_labelled(value) else ()
    return next((name for name in dims if _axis(name) == "model"), None)


def _axis(name: Hashable) -> str:
    """Return which of `AXES` goes by a name; another name as it is."""
    return next((axis for axis, names in AXES.items() if str(name).lower() in names), str(name))


def loaded(value: Any, what: str) -> np.ndarray:
    """Return an array of NumPy, PyTorch, Dask, Zarr or xarray as one of NumPy.

    Raises
    ------
    InputError
        It is no array of numbers, some of its values are masked, or its axes have other names than `AXES`.
    """
    if not is_array(value):
        raise InputError(
            f"{what}: is {type(value).__name__}, not an array; {CONVERTED} (np.asarray, np.stack)"
        )
    if is_labelled(value):
        value = in_order(value, what).data
    if hasattr(value, "compute"):  # Dask
        value = value.compute()
    if hasattr(value, "detach"):  # PyTorch
        value = _of_torch(value, what)
    if masked := np.ma.count_masked(value) if np.ma.isMaskedArray(value) else 0:
        raise InputError(
            f"{what}: {masked} of {value.size} values are masked; fill them (`filled`), or leave these pixels out"
        )
    array = np.asarray(value)
    if array.dtype.kind not in "uif":
        raise InputError(f"{what}: is an array of {array.dtype}, not of numbers")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _of_torch(value: Any, what: str) -> np.ndarray:
    """Return a tensor of PyTorch as an array; that of a masked one has a mask, too."""
    try:
        value = value.detach().cpu()
        if hasattr(value, "get_mask"):
            return np.ma.masked_array(_of_torch(value.get_data(), what), ~value.get_mask().numpy())
        found = (value.float() if value.is_floating_point() and value.itemsize < 4 else value).numpy()
    except (RuntimeError, TypeError) as error:  # sparse, nested, quantized or without data
        raise InputError(
            f"{what}: this tensor holds no plain array ({reason(error)}); {CONVERTED}"
        ) from error
    return np.asarray(found)


def in_order(value: Any, what: str) -> Any:
    """Return an array of xarray with its axes in the order of `AXES`; axes without names stay as they are.

    Raises
    ------
    InputError
        An axis has another name, or two are the same one.
    """
    named: dict[str, Hashable] = {_axis(name): name for name in value.dims}
    others = [name for name in named if name not in AXES]
    if len(named) < value.ndim or (others and not _are_unnamed(named)):
        held = ", ".join(map(repr, map(str, value.dims)))
        if several := [name for name in others if name.lower() in SEVERAL]:
            raise InputError(
                f"{what}: has the axes {held}; several images are a list of arrays, each without {several[0]!r}: "
                f"[value.isel({several[0]}=i) for i in range({value.sizes[named[several[0]]]})]"
            )
        raise InputError(
            f"{what}: has the axes {held}; rename them to 'model', 'channel', 'height' and 'width', or 'pixel'"
        )
    return value.transpose(*(named[axis] for axis in AXES if axis in named), ...)


def check_labels(values: Iterable[Any], what: str) -> None:
    """Check that the labels along each axis of some arrays of xarray are the same; the models have their own order.

    Raises
    ------
    InputError
        They differ, as of channels in another order, or of rows from the other end.
    """
    found: dict[str, list[np.ndarray]] = {}
    for value in filter(is_labelled, values):
        for name, index in getattr(value, "indexes", {}).items():
            axis, labels = _axis(name), np.asarray(index)
            others = found.setdefault(axis, [])
            if axis != "model" and not all(_agree(labels, other) for other in others):
                raise InputError(
                    f"{what}: its arrays have different labels along {str(name)!r}; align them (xarray.align), or drop "
                    "the labels (drop_vars)"
                )
            others.append(labels)


def _agree(labels: np.ndarray, others: np.ndarray) -> bool:
    """Return whether labels are the same, up to rounding.

    Those that count, from 0 or 1, say nothing beside names, or beside each other.
    """
    numbers = [one for one in (labels, others) if one.dtype.kind in "iuf"]
    if labels.shape == others.shape and numbers and all(map(_only_count, numbers)):
        return True
    if labels.shape == others.shape and labels.size and len(numbers) == 2:
        return np.allclose(labels, others, rtol=0, atol=1e-9 * float(np.ptp(others)), equal_nan=True)
    return np.array_equal(labels, others)


def _only_count(labels: np.ndarray) -> bool:
    """Return whether labels are 0, 1, … or 1, 2, …"""
    return any(np.array_equal(labels, np.arange(first, first + len(labels))) for first in (0, 1))


def _are_unnamed(axes: Any) -> bool:
    """Return whether no axis has a name, but perhaps that of the models."""
    return all(axis == "model" or UNNAMED.fullmatch(axis) for axis in axes)
