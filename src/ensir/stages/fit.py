"""Fit: the reference with its predictions, or its statistics → what a method without a LUT keeps of them."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ensir import registry
from ensir.methods import Candidate
from ensir.storage import fits, provenance
from ensir.storage.layout import Place
from ensir.storage.reference import Reference

if TYPE_CHECKING:
    from ensir.storage.progress import Progress


def fit(
    place: Place,
    settings: dict[str, Any],
    reference: str,
    models: list[str],
    source: list[tuple[str, list[str]]] | tuple[str, str] | dict[str, tuple[dict[str, Any], str, str]],
    progress: Progress,
) -> float:
    """Fit a method to the reference and write the fit.

    Parameters
    ----------
    place : Place
        Where the fit goes.
    settings : dict
        The method's section of the configuration, as plain data.
    reference : str
        Name of the reference dataset.
    models : list of str
        Names of the models.
    source : list of (str, list of str), (str, str), or dict
        Each part of the reference, and the parts of the models' predictions; for methods that are fitted to
        statistics, their module and their store; for those that choose among others, by the names of these, their
        settings, and module and store of their statistics.
    progress : callable

    Returns
    -------
    float
        Seconds that it took, reading the reference included.
    """
    predictions: list[list[str]] = []
    started, module = time.perf_counter(), registry.module("methods", settings["kind"])
    if isinstance(source, list):
        images = Reference(source)
        arrays = module.fit(images, settings, progress)
        names, digests, bits = images.names, images.digests, images.bits
    elif isinstance(source, dict):
        loaded = {store: importlib.import_module(name).load(store) for _, name, store in source.values()}
        candidates = [
            Candidate(name, options, registry.module("methods", options["kind"]), loaded[store][0])
            for name, (options, _, store) in source.items()
        ]
        arrays = module.fit(candidates, settings, progress)
        names, digests, bits, predictions = _reference(next(iter(loaded.values()))[1])
    else:
        statistics, attributes = importlib.import_module(source[0]).load(source[1])
        arrays = module.fit(statistics, settings, progress)
        names, digests, bits, predictions = _reference(attributes)
    seconds = time.perf_counter() - started
    fits.save(
        made(settings, reference, models, bits, arrays, names, digests, predictions), module.DIMENSIONS, place
    )
    return seconds


def made(
    settings: dict[str, Any],
    reference: str,
    models: Sequence[str],
    bits: int,
    arrays: dict[str, Any],
    names: Sequence[str],
    digests: Sequence[str],
    predictions: Sequence[Sequence[str]],
) -> fits.Fit:
    """Return a fit: the arrays, and what they are of.

    Parameters
    ----------
    settings, reference, models
        As for `fit`.
    bits : int
    arrays : dict
    names, digests : sequence of str
        Names of the reference images, and the digests of their targets.
    predictions : sequence of sequence of str, (image, model)
        Digests of the predictions; empty where they are not known.
    """
    return fits.Fit(
        models=tuple(models),
        bits=bits,
        arrays=arrays,
        reference_images=tuple(names),
        reference_digests=tuple(digests),
        prediction_digests=tuple(zip(*predictions, strict=True)),
        attributes={
            "settings": settings,
            "reference": reference,
            "versions": provenance.versions("numpy", "scikit-learn"),
        },
    )


def _reference(attributes: dict[str, Any]) -> tuple[list[str], list[str], int, list[list[str]]]:
    """Return names, digests, depth and prediction digests of the images that statistics are of."""
    predictions = [text.split(" ") for text in attributes["prediction_digests"]]
    return attributes["image"], attributes["digest"], attributes["bits"], predictions
