"""Fit: the reference with its predictions → what a method without a LUT keeps of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ensir import methods, provenance
from ensir.layout import Place
from ensir.methods import fits

Progress = Callable[[int, int], None]


def fit(
    place: Place,
    settings: dict[str, Any],
    reference: str,
    models: list[str],
    dataset_parts: list[str],
    prediction_parts: list[list[str]],
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
    dataset_parts : list of str
        Parts of the reference.
    prediction_parts : list of list of str
        For each of those, the parts of the models' predictions.
    progress : callable

    Returns
    -------
    float
        Seconds that it took, reading the reference included.
    """
    started = time.perf_counter()
    images, module = fits.Reference(dataset_parts, prediction_parts), methods.module(settings)
    arrays = module.fit(images, settings, progress)
    seconds = time.perf_counter() - started
    found = fits.Fit(
        models=tuple(models),
        bits=images.bits,
        arrays=arrays,
        reference_images=tuple(images.names),
        reference_digests=tuple(images.digests),
        attributes={
            "settings": settings,
            "reference": reference,
            "versions": provenance.versions("numpy", "scikit-learn"),
        },
    )
    fits.save(found, module.DIMENSIONS, place)
    return seconds
