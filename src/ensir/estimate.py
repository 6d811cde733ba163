"""Estimate: statistics → the weights of one shard of cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from ensir import InputError, methods, provenance, statistics, store
from ensir.layout import Place
from ensir.statistics import Statistics

Progress = Callable[[int, int], None]


def estimate(
    place: Place,
    statistics_path: str,
    settings: dict[str, Any],
    shard: int,
    shards: int,
    device: str,
    progress: Progress,
) -> None:
    """Fit the weights of a shard of cells and write them.

    Parameters
    ----------
    place : Place
        Where the weights go.
    statistics_path : str
        Statistics of the reference.
    settings : dict
        The method's section of the configuration, as plain data.
    shard, shards : int
        Which run of cells, of how many.
    device : str
        "auto", "cpu" or "cuda".
    progress : callable
    """
    everything, _ = statistics.load(statistics_path)
    cells = cells_of(everything, settings).shard(shard, shards)
    found = methods.module(settings).estimate_weights(cells, settings, choose_device(device), progress)
    columns = {
        "key": cells.key,
        "channel": cells.channel,
        "count": cells.count,
        "iterations": found.iterations,
        "status": found.status,
        "expected_squared_error": expected_squared_error(cells, found.weights),
    }
    attributes = {
        "kind": "weights",
        "models": list(cells.models),
        "settings": settings,
        "shard": shard,
        "shards": shards,
        "versions": provenance.versions("torch", "numpy"),
    }
    with store.new_group(place, attributes, found.weights.nbytes * 4) as group:
        store.write_array(group, "weights", found.weights, ("cell", "model"))
        for name, value in columns.items():
            store.write_array(group, name, value, ("cell",))


def cells_of(everything: Statistics, settings: dict[str, Any]) -> Statistics:
    """Add up the folds, and the bins and channels that a method does not tell apart."""
    pooled = everything.joint() if settings["channels"] == "joint" else everything
    return pooled.without_folds().coarsened(settings["bin_width"])


def expected_squared_error(
    cells: Statistics, weights: Float[np.ndarray, "cell model"]
) -> Float[np.ndarray, " cell"]:
    """Return the mean of (y − Σ w_m x_m)² over the values of each cell, for any weights, in squared code values."""
    square = np.einsum("cm,cml,cl->c", weights, cells.gram.astype(np.float64), weights)
    cross = np.einsum("cm,cm->c", weights, cells.cross.astype(np.float64))
    return np.maximum(square - 2 * cross + cells.target_square, 0) / cells.count


def choose_device(device: str) -> str:
    """Resolve "auto"; "cuda" without a GPU is an error."""
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("compute.device: 'cuda', but PyTorch finds no GPU here; use 'auto' or 'cpu'")
    return ("cuda" if available else "cpu") if device == "auto" else device
