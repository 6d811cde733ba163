"""Merge: the weights of all shards → one LUT."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import Any

import numpy as np

from ensir import registry
from ensir.cells import statistics, support
from ensir.cells.lut import CellWeights, assemble, save
from ensir.errors import InputError
from ensir.storage import reading
from ensir.storage.layout import Place

log = logging.getLogger(__name__)


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

    Raises
    ------
    InputError
        The shards do not make up all cells of the statistics.
    """
    groups = [reading.open_group(path, "weights") for path in shards]
    read = [reading.read_arrays(group, path) for group, path in zip(groups, shards, strict=True)]
    estimated = CellWeights(
        *(np.concatenate([r[name] for r in read]) for name in ("weights", "iterations", "status"))
    )
    settled: dict[str, Any] = groups[0].attrs["settings"]  # type: ignore[assignment]
    versions: dict[str, str] = groups[0].attrs["versions"]  # type: ignore[assignment]
    everything, attributes = statistics.load(statistics_path)
    everything = statistics.cells_of(everything, settled)
    cells = everything.without_folds()
    for name in ("key", "channel"):
        if not np.array_equal(np.concatenate([r[name] for r in read]), getattr(cells, name)):
            raise InputError(
                f"{', '.join(shards)}: are not the shards of {statistics_path}; run again with --forcerun estimate"
            )
    held_out = support.held_out(everything)
    if held_out and (warning := held_out.warning("the values of held-out reference images")):
        log.warning("%s: %s", method, warning)
    predictions = [text.split(" ") for text in attributes.get("prediction_digests", [])]
    lut = assemble(
        cells,
        estimated,
        registry.module("methods", settled["kind"]).fill(everything, settled),
        reference_images=tuple(attributes["image"]),
        reference_digests=tuple(attributes["digest"]),
        prediction_digests=tuple(zip(*predictions, strict=True)),
        attributes={
            "method": method,
            "options": json.dumps(settings, sort_keys=True),
            "settled": json.dumps({k: v for k, v in settled.items() if v != settings[k]}, sort_keys=True),
            "reference": attributes["reference"],
            "model_digests": attributes["model_digests"],
            "versions": json.dumps(versions | attributes["versions"], sort_keys=True),
            **({"held_out": json.dumps(asdict(held_out))} if held_out else {}),
        },
    )
    save(lut, place)
