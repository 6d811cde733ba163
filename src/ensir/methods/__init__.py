"""Methods: ways to combine the predictions of several models into one picture.

A method is a module of this folder with a class `Method`. Where it has to be made from the reference first,
the module also has

- if it needs a LUT: `estimate_weights(cells, everything, settings, device, progress)`, the weights of cells;
  `fill(everything, settings)`, those of empty cells; `settle(everything, settings, device)`, what "auto" chooses;
- `fit(reference, settings, progress)`, if it needs a fit: the arrays that `Method` works with.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Shaped

from ensir import InputError

if TYPE_CHECKING:
    from ensir.statistics import Statistics
    from ensir.store import Part

Progress = Callable[[int, int], None]
FEW, ESTIMATED, FAILED = 1, 2, 3  # status of a cell, as in `CellWeights`
REGRESSORS = ("bagging", "adaboost", "rforest", "gbdt", "hgbt")


class Method(Protocol):
    """A way to combine predictions, ready to run.

    Predictions x are whole images, (model, channel, pixel), in code values: 0–255 or 0–65535.
    """

    def fuse(self, x: Shaped[np.ndarray, "model channel pixel"]) -> Float[np.ndarray, "channel pixel"]:
        """Return the fused image: float32, code values, neither rounded nor clipped."""
        ...

    def weights(
        self, x: Shaped[np.ndarray, "model channel pixel"]
    ) -> Float[np.ndarray, "model channel pixel"] | None:
        """Return the weight of every predicted value; axes of length one stand for all.

        None where the fused image is no weighted sum.
        """
        ...


@runtime_checkable
class LooksAtInput(Protocol):
    """A method that needs the degraded input of an image, too."""

    def given(
        self,
        degraded: Shaped[np.ndarray, "low_height low_width channel"] | None,
        shape: tuple[int, int, int],
    ) -> Method:
        """Return the method for the image of this input and this (height, width, channel)."""
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


def module_name(kind: str) -> str:
    """Return the name of the module that holds a kind of method."""
    return f"ensir.methods.{'regressors' if kind in REGRESSORS else kind}"


def module(settings: dict[str, Any]) -> ModuleType:
    """Return the module of a method's section of the configuration."""
    return importlib.import_module(module_name(settings["kind"]))


def load(settings: dict[str, Any], fitted: str | None) -> Method | LooksAtInput:
    """Make the method of a section of the configuration, with its LUT or its fit where it needs one."""
    return module(settings).Method(settings, fitted)


def for_image(method: Method | LooksAtInput, part: Part, index: int) -> Method:
    """Return a method ready for one image of a dataset part."""
    if isinstance(method, LooksAtInput):
        return method.given(part.input(index), part.shapes[index])
    return method


def weighted_sum(
    weights: Float[np.ndarray, " model"], x: Shaped[np.ndarray, "model channel pixel"]
) -> Float[np.ndarray, "channel pixel"]:
    """Return Σ w_m x_m as float32, summed in float64 in the order of the models."""
    total = np.zeros(x.shape[1:])
    for weight, prediction in zip(weights, x, strict=True):
        total += weight * prediction
    return total.astype(np.float32)


def cells_of(everything: Statistics, settings: dict[str, Any]) -> Statistics:
    """Add up the bins and the channels that a method does not tell apart."""
    pooled = everything.joint() if settings["channels"] == "joint" else everything
    return pooled.coarsened(settings["bin_width"])


def folds_of(everything: Statistics) -> Int[np.ndarray, " cell"]:
    """Number the folds from 0 on.

    Raises
    ------
    InputError
        There is one only, and none can be held out.
    """
    fold = np.unique(everything.fold, return_inverse=True)[1]
    if not fold.any():
        raise InputError(
            "nothing can be chosen by leave-one-image-out: the reference is a single image; "
            'give a number instead of "auto", or add images to the reference'
        )
    return fold
