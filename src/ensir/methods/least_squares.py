"""Least squares: in each cell the weights, a ≥ 0 and Σa = 1, with the least squared error on the reference.

As Σa = 1, the squared error of a cell is aᵀEa with E = Σ (x_m − y)(x_l − y), in integers. Each cell is solved by
itself: min aᵀEa + λ‖a − a_global‖².
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.arithmetic.functions import decibels
from ensir.cells import key
from ensir.cells.lut import ESTIMATED, CellWeights, LutMethod
from ensir.cells.statistics import Statistics, cells_of, error_matrix, folds_of
from ensir.methods import Binned, Progress, widths_tried
from ensir.scoring.selection import HeldOut

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Int, Real

STRENGTHS = (0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)  # λ, in squared levels of 0–255
PEAK = 255  # of what a PSNR is
ROUNDING = 1e-9  # squared levels per value: with less, an image is perfect
TIE = (
    1e-11  # λ is at least this fraction of the error, so that models that are equal in a cell follow a_global
)


class LeastSquares(Binned):
    """Least-squares weights per bin set: not negative, summing to one, drawn towards those of all pixels."""

    timed: ClassVar[bool] = True
    judged: ClassVar[bool] = True
    selects: ClassVar[bool] = True

    kind: Literal["least_squares"] = "least_squares"
    strength: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        title="number, at least 0, or auto",
        description="λ of λ‖a − a_global‖², in squared levels of 0–255; auto: the best of 0, 10², …, 10⁸ on images "
        "held out in turn",
    )


Method = LutMethod


def estimate_weights(
    cells: Statistics, everything: Statistics, settings: dict[str, Any], device: str, progress: Progress
) -> CellWeights:
    """Solve for the weights of every cell.

    Parameters
    ----------
    cells : Statistics
        Statistics of the cells to be solved, with their folds added up.
    everything : Statistics
        Statistics of all cells of the reference, which determine a_global.
    settings : dict
        `strength` of the configuration, a number: λ in squared levels of 0–255.
    device : str
        Not used: everything takes milliseconds.
    progress : callable
        Called with the number of finished cells, and of all.
    """
    prior = np.broadcast_to(global_weights(everything), cells.sum.shape)
    weights = solve(error_matrix(cells) / cells.unit**2, settings["strength"], prior)
    progress(len(cells), len(cells))
    return CellWeights(weights, np.zeros(len(cells), np.int64), np.full(len(cells), ESTIMATED, np.uint8))


def fill(everything: Statistics, settings: dict[str, Any]) -> tuple[str, Float[np.ndarray, " model"]]:
    """Return the rule and the weights for bin sets without reference pixels: a_global."""
    return "constant", global_weights(everything)


def held_out(
    everything: Statistics, settings: dict[str, Any], device: str
) -> tuple[list[dict[str, Any]], Float64[np.ndarray, "fold option"]]:
    """Return the settings that a strength of "auto" stands for, and the squared error of each held-out fold.

    Raises
    ------
    InputError
        There is only one fold.
    """
    strengths = strengths_of(settings)
    options = [{**settings, "strength": strength} for strength in strengths]
    return options, held_out_errors(everything, strengths)


def losses(
    errors: Float64[np.ndarray, "fold option"], counts: Int[np.ndarray, " fold"]
) -> Float64[np.ndarray, " option"]:
    """Return what is least for the best settings: the squared error per value."""
    return errors.sum(axis=0) / counts.sum()


def strengths_of(settings: dict[str, Any]) -> tuple[float, ...]:
    """Return the strengths that are tried."""
    return STRENGTHS if settings["strength"] == "auto" else (settings["strength"],)


def global_weights(everything: Statistics) -> Float[np.ndarray, " model"]:
    """Return a_global: the weights of all cells taken as one."""
    error = error_matrix(everything).sum(axis=0, keepdims=True) / everything.unit**2
    return solve(error, 0, np.full(error.shape[:2], 1 / error.shape[1]))[0]


def weights_of_others(everything: Statistics) -> Float64[np.ndarray, "fold model"]:
    """Return, for each fold, a_global of all others."""
    fold, models = folds_of(everything), len(everything.models)
    own = np.zeros((fold.max() + 1, models, models), np.int64)
    np.add.at(own, fold, error_matrix(everything))
    return solve((own.sum(axis=0) - own) / everything.unit**2, 0, np.full((len(own), models), 1 / models))


def held_out_errors(everything: Statistics, strengths: Sequence[float]) -> Float[np.ndarray, "fold strength"]:
    """Solve each cell of each fold from the other folds, by subtraction; return the squared errors of each fold.

    Raises
    ------
    InputError
        There is only one fold.
    """
    return LeaveOneOut(everything).errors(range(len(everything.models)), strengths)


class LeaveOneOut:
    """Cells whose folds are held out in turn, for all models or some of them.

    Nothing but the keys and E of all models is needed: a subset's key is the key without the others' bins, its E is a
    sub-matrix, and cells that become one add up.

    Parameters
    ----------
    cells : Statistics
        Statistics of the cells of the method, fold by fold.

    Raises
    ------
    InputError
        There is only one fold.
    """

    def __init__(self, cells: Statistics):
        self.fold, self.folds = folds_of(cells), len(np.unique(cells.fold))
        self.bin_width, self.unit, self.channel = cells.bin_width, cells.unit, cells.channel
        self.bins = key.bins_of(cells.key, cells.bin_width, len(cells.models))
        rows, columns = np.tril_indices(len(cells.models))
        self.error = np.ascontiguousarray(error_matrix(cells)[:, rows, columns])
        self.count = np.bincount(self.fold, cells.count)

    def errors(self, models: Sequence[int], strengths: Sequence[float]) -> Float[np.ndarray, "fold strength"]:
        """Return the squared errors of each fold, in squared levels of 0–255, with the weights of the others.

        Parameters
        ----------
        models : sequence of int
            Which models are combined, ascending.
        strengths : sequence of float
            λ, in squared levels.
        """
        from ensir.methods import _held_out  # Numba takes a moment to load

        cell = key.key_of(self.bins[:, list(models)], self.bin_width)
        cell = cell * (self.channel.max() + 1) + self.channel
        pairs = [row * (row + 1) // 2 + column for i, row in enumerate(models) for column in models[: i + 1]]
        falling = np.argsort(strengths)[::-1]
        errors = np.empty((self.folds, len(strengths)))
        errors[:, falling] = _held_out.held_out_errors(
            np.argsort(cell, kind="stable"),
            cell,
            self.fold,
            self.error,
            np.array(pairs),
            self.folds,
            self.unit**2,
            np.array(strengths, np.float64)[falling],
            TIE,
        )
        return errors


class Subsets:
    """Fits to subsets of the models, of which each image is held out in turn.

    What "auto" chooses is chosen for each subset anew, as in an experiment with these models alone.

    Parameters
    ----------
    everything : Statistics
        Statistics of the reference, fold by fold.
    settings : dict
        The section of the configuration, as plain data.

    Raises
    ------
    InputError
        The reference is a single image.
    """

    def __init__(self, everything: Statistics, settings: dict[str, Any]):
        self.strengths = strengths_of(settings)
        widths = widths_tried(settings["bin_width"], everything.bin_width)
        self.cells = [LeaveOneOut(cells_of(everything, {**settings, "bin_width": width})) for width in widths]

    def held_out(self, models: Sequence[int]) -> HeldOut:
        """Fit to the models with these numbers, ascending."""
        least = np.inf
        for cells in self.cells:
            errors = cells.errors(models, self.strengths)
            of_strengths = losses(errors, cells.count)
            best = int(of_strengths.argmin())
            if of_strengths[best] < least:
                least, chosen = of_strengths[best], (errors[:, best], cells, self.strengths[best])
        errors, cells, strength = chosen
        psnr = np.full(len(errors), np.inf)
        wrong = errors > ROUNDING * cells.count
        psnr[wrong] = decibels(PEAK**2 * cells.count[wrong] / errors[wrong])
        return HeldOut(psnr, cells.bin_width, strength)


def solve(
    error: Real[np.ndarray, "cell model model"], strength: float, prior: Float[np.ndarray, "cell model"]
) -> Float[np.ndarray, "cell model"]:
    """Minimise aᵀEa + λ‖a − prior‖² over a ≥ 0, Σa = 1, in every cell."""
    from ensir.arithmetic.systems import on_simplex  # Numba takes a moment to load

    models = error.shape[1]
    ridge = np.maximum(strength, TIE * (1 + np.trace(error, axis1=1, axis2=2)))
    return on_simplex(error + ridge[:, None, None] * np.eye(models), ridge[:, None] * prior)
