"""Merge: the weights of all shards → one LUT."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ensir import methods, statistics
from ensir.layout import Place
from ensir.lut import LUT, save


def merge(
    place: Place, method: str, settings: dict[str, Any], statistics_path: str, shards: list[str]
) -> None:
    """Join shards into a LUT; the number of shards leaves no trace in it.

    Parameters
    ----------
    place : Place
        Where the LUT goes.
    method : str
        Name of the method.
    settings : dict
        The method's section of the configuration, as plain data.
    statistics_path : str
        The statistics that the shards were estimated from.
    shards : list of str
        The shards' weights, in order.
    """
    import zarr

    groups = [zarr.open_group(path, mode="r") for path in shards]
    columns = {
        name: np.concatenate([np.asarray(group[name][...]) for group in groups])
        for name in ("key", "channel", "weights", "count", "iterations", "status", "expected_squared_error")
    }
    everything, attributes = statistics.load(statistics_path)
    channels = 1 if settings["channels"] == "joint" else int(everything.channel.max(initial=0)) + 1
    fill, fill_weights = methods.module(settings).fill(everything, settings)
    lut = LUT(
        models=everything.models,
        bin_width=settings["bin_width"],
        bits=everything.bits,
        channels=channels,
        fill=fill,
        fill_weights=fill_weights,
        reference_images=tuple(attributes["image"]),
        reference_digests=tuple(attributes["digest"]),
        attributes={
            "method": method,
            "options": json.dumps(settings, sort_keys=True),
            "reference": attributes["reference"],
            "model_digests": attributes["model_digests"],
            "versions": json.dumps(groups[0].attrs["versions"] | attributes["versions"], sort_keys=True),
        },
        **columns,
    )
    save(lut, place)
