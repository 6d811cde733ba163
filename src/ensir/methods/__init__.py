"""Methods: ways to combine the predictions of several models into one picture.

A method is a module of this folder with a class `Method`. A method that needs a LUT also has
`estimate_weights(statistics, settings, device, progress)`, which fits the weights of cells, and `fill(...)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, Int, Shaped

Progress = Callable[[int, int], None]


class Method(Protocol):
    """A way to combine predictions, ready to run.

    Predictions x are whole images, (model, channel, pixel), in code values: 0–255 or 0–65535.
    """

    def fuse(self, x: Shaped[np.ndarray, "model channel pixel"]) -> Float[np.ndarray, "channel pixel"]:
        """Return the fused image: float32, code values, neither rounded nor clipped."""
        ...

    def weights(
        self, x: Shaped[np.ndarray, "model channel pixel"]
    ) -> Float[np.ndarray, "model channel pixel"]:
        """Return the weight of every predicted value; axes of length one stand for all."""
        ...


@dataclass(frozen=True)
class CellWeights:
    """What an estimator finds for each cell.

    Attributes
    ----------
    weights : float64 array, (cell, model)
    iterations : int64 array, (cell,)
        Steps of EM; 0 where none ran.
    status : uint8 array, (cell,)
        1: fewer than 100 values, initial weights. 2: estimated. 3: failed, initial weights.
    """

    weights: Float[np.ndarray, "cell model"]
    iterations: Int[np.ndarray, " cell"]
    status: Int[np.ndarray, " cell"]


def module(settings: dict[str, Any]) -> ModuleType:
    """Return the module of a method's section of the configuration."""
    return importlib.import_module(f"ensir.methods.{settings['kind']}")


def load(settings: dict[str, Any], lut: str | None) -> Method:
    """Make the method of a section of the configuration, with its LUT where it has one."""
    return module(settings).Method(settings, lut)
