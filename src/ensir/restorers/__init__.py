"""Restorers: the base models, which turn the degraded inputs of a dataset into predictions.

Every module of this folder is a kind of model: its section, and a class (or function) `Restorer`, called once per job
with the section and then given the images of one part. It takes an iterator and returns one, so that a network is
loaded once, can work in batches, and can read the next image while one is being restored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from pydantic import Field

from ensir.images.codes import Header
from ensir.section import Context, Problem, Section, check_inputs, check_value_range, shown

if TYPE_CHECKING:
    from jaxtyping import Shaped

    from ensir.planning.networks import Networks


class RestorerModel(Section):
    """What all models have."""

    seconds: float | None = Field(
        None,
        ge=0,
        description="how long it takes for one image of the reference, where it runs; without, what its jobs here took",
    )

    restores_inputs: ClassVar[bool] = True
    """Whether it restores the inputs of a dataset, which must then have some."""

    one_by_one: ClassVar[bool] = False
    """Whether it restores one image after the other, unless it is told to take a `batch`."""

    adopted: ClassVar[bool] = False
    """Whether its predictions are stored elsewhere, and parts refer to them."""

    gives_features: ClassVar[bool] = False
    """Whether it is a network whose features can guide a refiner."""

    @property
    def traced(self) -> dict[str, Any]:
        """What predictions depend on; not how long they take."""
        return {key: value for key, value in super().traced.items() if key != "seconds"}

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that there are inputs to restore, and the value range, where there is one."""
        yield from super().check(context)
        if cls.restores_inputs:
            yield from check_inputs(context.datasets, f"model {context.name!r} restores inputs")
        yield from check_value_range(context)

    def predictions(self, key: str, dataset: str) -> dict[str, str]:
        """Return the file of each prediction for a dataset, by image name; empty where the model runs here."""
        return {}

    def shape(self, file: str) -> tuple[int, int, int]:
        """Return (height, width, channel) of the prediction in a file."""
        raise NotImplementedError

    def header(self, file: str) -> Header:
        """Return the shape, and the depth of integers, of the prediction in a file."""
        return Header(*self.shape(file), None)

    def check_brightness(self, files: Sequence[str]) -> None:
        """Refuse files that are together so dark that they are probably in another range; others, to the first one.

        Raises
        ------
        InputError
        """

    def network(self, key: str, networks: Networks) -> list[str]:
        """Return the file of its network, then the files that belong to it; empty where it has none.

        Raises
        ------
        InputError
            One of them is missing.
        """
        return []

    def check_network(self, files: Sequence[str], device: str = "auto") -> None:
        """Look at the heads of the files of its network, where these are no results of the run.

        Raises
        ------
        InputError
            One of them is not what it should be.
        """

    def shared(self, key: str, dataset: str) -> dict[str, str | None] | None:
        """Return the `location` and the `digest` of the store that its predictions are adopted from."""
        return None


def check_placeholder(context: Context) -> Iterator[Problem]:
    """Check that a path used for several datasets contains a placeholder for their names."""
    path = context.section.get("path")
    if isinstance(path, str) and "{dataset}" not in path and len(context.datasets) > 1:
        yield Problem(
            f"{context.key}.path",
            f"{shown(path)} must contain {{dataset}}: {', '.join(context.datasets)} use it",
        )


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
        The prediction of the model that this one refines, in code values.
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
        The model's section of the configuration, as plain data; for networks also the ``path`` of their file and of
        those ``beside`` it, the ``device`` and ``batch`` to run with, and ``unfinished``, a folder for work in
        progress.
    files : list of str
        Files of the predictions, for models that read them.
    """

    parameters: dict[str, Any]
    """What identifies the model beyond its settings, such as versions or its architecture; stored with predictions."""

    def __init__(self, settings: dict[str, Any], files: list[str]): ...

    def restore(self, images: Iterable[Degraded]) -> Iterator[Shaped[np.ndarray, "height width channel"]]:
        """Yield a prediction per image, in code values: integers of the target's depth, or floats to be rounded."""
        ...
