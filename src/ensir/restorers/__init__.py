"""Base models: whatever turns the degraded inputs of a dataset into predictions.

Every kind of model is a module of this folder with a class `Restorer`, made once per job from the model's
section of the configuration and then fed with the images of one part. It takes an iterator and gives one, so
that a network is loaded once, can batch, and can read the next image while this one is restored.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Shaped


@dataclass(frozen=True)
class Degraded:
    """One image to be restored.

    Attributes
    ----------
    name : str
        The image's name.
    image : uint8 or uint16 array, (height, width, channel), or None
        The degraded input in code values (0–255 or 0–65535, RGB); None where the dataset has none.
    shape : (height, width, channel)
        Shape of the target, which the prediction must have, too.
    bits : int
        8 or 16: depth of the target.
    scale : int
        Size of the target over the size of the input.
    degradation : dict or None
        How the input was made, where that is known (`degradation` of the configuration).
    base : array of the target's shape, or None
        What another model, which this one refines, has made of the input; in code values.
    extent : callable or None
        Returns the darkest and the brightest level (0–255) of the target, for the check of a prediction's range; reads
        the target.
    """

    name: str
    image: Shaped[np.ndarray, "height width channel"] | None
    shape: tuple[int, int, int]
    bits: int
    scale: int
    degradation: dict[str, Any] | None
    base: Shaped[np.ndarray, "height width channel"] | None = None
    extent: Callable[[], tuple[float, float]] | None = None


class Restorer(Protocol):
    """A base model, ready to run.

    Parameters
    ----------
    settings : dict
        The model's section of the configuration, as plain data; for networks with the ``path`` of their file and those
        ``beside`` it, the ``device`` and ``batch`` with which they run, and ``unfinished``, a folder for work in
        progress.
    files : list of str
        Files of the predictions, for models that read them.
    """

    parameters: dict[str, Any]
    """What identifies the model beyond its settings: versions, its architecture; stored with the predictions."""

    def __init__(self, settings: dict[str, Any], files: list[str]): ...

    def restore(self, images: Iterable[Degraded]) -> Iterator[Shaped[np.ndarray, "height width channel"]]:
        """Yield a prediction per image, in code values: integers of the target's depth, or floats to be rounded."""
        ...


def load(settings: dict[str, Any], files: list[str]) -> Restorer:
    """Make the restorer of a model's section of the configuration."""
    return importlib.import_module(f"ensir.restorers.{settings['kind']}").Restorer(settings, files)
