"""Fit: the reference with its predictions, or its statistics → what a method without a LUT keeps of them."""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any

from ensir import registry
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
    source: list[tuple[str, list[str]]] | tuple[str, str],
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
    source : list of (str, list of str), or (str, str)
        Each part of the reference, and the parts of the models' predictions; or, for methods that are fitted to
        statistics, their module and their store.
    progress : callable

    Returns
    -------
    float
        Seconds that it took, reading the reference included.
    """
    started, module = time.perf_counter(), registry.module("methods", settings["kind"])
    if isinstance(source, list):
        images = Reference(source)
        arrays = module.fit(images, settings, progress)
        names, digests, bits, predictions = images.names, images.digests, images.bits, []
    else:
        statistics, attributes = importlib.import_module(source[0]).load(source[1])
        arrays = module.fit(statistics, settings, progress)
        names, digests, bits = attributes["image"], attributes["digest"], attributes["bits"]
        predictions = [text.split(" ") for text in attributes["prediction_digests"]]
    seconds = time.perf_counter() - started
    made = fits.Fit(
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
    fits.save(made, module.DIMENSIONS, place)
    return seconds
