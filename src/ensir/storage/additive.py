"""Additive statistics on disk: a Zarr group of arrays of integers, with the texts of the images that they are of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ensir.storage import reading, writing
from ensir.storage.layout import Place


def save(
    place: Place,
    attributes: dict[str, Any],
    counted: dict[str, Any],
    arrays: Mapping[str, tuple[Sequence[str] | np.ndarray, tuple[str, ...]]],
    columns: dict[str, list[str]],
) -> None:
    """Write statistics.

    Parameters
    ----------
    place : Place
    attributes : dict
        What they are statistics of.
    counted : dict
        How they were counted: further attributes, such as the models.
    arrays : dict
        Each array with the names of its dimensions.
    columns : dict
        Per-image texts of the reference, such as its names and digests.
    """
    size = sum(np.asarray(array).nbytes for array, _ in arrays.values())
    with writing.new_group(place, {**attributes, "kind": "statistics", **counted}, size) as group:
        for name, (array, dims) in arrays.items():
            writing.write_array(group, name, array, dims)
        for name, texts in columns.items():
            writing.write_array(group, name, texts, ("image",))


def load(path: str, names: Iterable[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read statistics.

    Parameters
    ----------
    path : str
    names : iterable of str
        Names of the arrays.

    Returns
    -------
    arrays : dict
    attributes : dict
        The per-image texts among them.

    Raises
    ------
    InputError
        No statistics, damaged, or of another format version.
    """
    group = reading.open_group(path, "statistics")
    held = reading.read_arrays(group, path)
    arrays = {name: held.pop(name) for name in names}
    return arrays, {**group.attrs, **{name: texts.tolist() for name, texts in held.items()}}
