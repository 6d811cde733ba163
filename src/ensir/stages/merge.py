"""Merge: the weights of all shards → one LUT."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from ensir import registry
from ensir.cells import statistics, support
from ensir.cells.lut import LUT, CellWeights, assemble, save
from ensir.cells.statistics import Statistics
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
    gain: list[float] | None = groups[0].attrs["gain"]  # type: ignore[assignment]
    versions: dict[str, str] = groups[0].attrs["versions"]  # type: ignore[assignment]
    everything, attributes = statistics.load(statistics_path)
    everything = statistics.cells_of(everything, settled)
    cells = everything.without_folds()
    for name in ("key", "channel"):
        if not np.array_equal(np.concatenate([r[name] for r in read]), getattr(cells, name)):
            raise InputError(
                f"{', '.join(shards)}: are not the shards of {statistics_path}; run again with --forcerun estimate"
            )
    versions = versions | attributes["versions"]
    save(made(method, settings, settled, gain, everything, estimated, attributes, versions), place)


def made(
    method: str,
    settings: dict[str, Any],
    settled: dict[str, Any],
    gain: Iterable[float] | None,
    everything: Statistics,
    estimated: CellWeights,
    reference: dict[str, Any],
    versions: dict[str, str],
) -> LUT:
    """Return the LUT of estimated weights.

    Parameters
    ----------
    method : str
        Name of the method.
    settings, settled : dict
        Its section, as plain data, and the same with every "auto" replaced.
    gain : iterable of float or None
        Gain of each image (or fold) over the plain average in dB, by what is chosen on the others; None without choice.
    everything : Statistics
        Statistics of the cells of the method, fold by fold.
    estimated : CellWeights
        Weights of the same cells, with their folds added up.
    reference : dict
        `reference`, its name; `image`, `digest` and `prediction_digests` of its images; `model_digests`.
    versions : dict
        Of the packages that it was made with.
    """
    held_out = support.held_out(everything)
    if held_out and (warning := held_out.warning("the values of held-out reference images")):
        log.warning("%s: %s", method, warning)
    predictions = [text.split(" ") for text in reference.get("prediction_digests", [])]
    return assemble(
        everything.without_folds(),
        estimated,
        registry.module("methods", settled["kind"]).fill(everything, settled),
        reference_images=tuple(reference["image"]),
        reference_digests=tuple(reference["digest"]),
        prediction_digests=tuple(zip(*predictions, strict=True)),
        attributes={
            "method": method,
            "options": json.dumps(settings, sort_keys=True),
            "settled": json.dumps({k: v for k, v in settled.items() if v != settings[k]}, sort_keys=True),
            "reference": reference["reference"],
            "model_digests": reference["model_digests"],
            "versions": json.dumps(versions, sort_keys=True),
            **({"held_out": json.dumps(asdict(held_out))} if held_out else {}),
            **({} if gain is None else {"gain": json.dumps(list(gain))}),
        },
    )
