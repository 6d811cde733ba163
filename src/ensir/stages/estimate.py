"""Estimate: statistics → the weights of one shard of cells."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir import registry
from ensir.cells import statistics
from ensir.cells.statistics import Statistics
from ensir.methods import settled
from ensir.storage import provenance, writing
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from ensir.storage.progress import Progress


def estimate(
    place: Place,
    statistics_path: str,
    settings: dict[str, Any],
    shard: int,
    shards: int,
    device: str,
    progress: Progress,
) -> float:
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
        Number of this run of cells, and how many there are.
    device : str
        "auto", "cpu" or "cuda".
    progress : callable

    Returns
    -------
    float
        Seconds that the fit took, without reading and writing; no result contains them.
    """
    everything, _ = statistics.load(statistics_path)
    module = registry.module("methods", settings["kind"])
    _warm_up(module, everything, settings, device)
    started = time.perf_counter()
    settings, gain = settled(module, everything, settings, device)
    everything = statistics.cells_of(everything, settings)
    cells = everything.without_folds().shard(shard, shards)
    estimated = module.estimate_weights(cells, everything, settings, device, progress)
    seconds = time.perf_counter() - started
    attributes = {
        "kind": "weights",
        "models": list(cells.models),
        "settings": settings,
        "gain": None if gain is None else gain.tolist(),
        "shard": shard,
        "shards": shards,
        "versions": provenance.versions("torch", "numpy"),
    }
    columns = {
        "key": cells.key,
        "channel": cells.channel,
        "iterations": estimated.iterations,
        "status": estimated.status,
    }
    with writing.new_group(place, attributes, estimated.weights.nbytes * 4) as group:
        writing.write_array(group, "weights", estimated.weights, ("cell", "model"))
        for name, value in columns.items():
            writing.write_array(group, name, value, ("cell",))
    return seconds


def _warm_up(module: Any, everything: Statistics, settings: dict[str, Any], device: str) -> None:
    """Fit two cells, as if of two images: what is imported, compiled or started once is no part of the time."""
    two = everything.taken(slice(2))
    if len(two) == 2:
        two = replace(two, fold=np.arange(2, dtype=two.fold.dtype))
        settings, _ = settled(module, two, settings, device)
        cells = statistics.cells_of(two, settings)
        module.estimate_weights(cells.without_folds(), cells, settings, device, lambda done, total: None)
