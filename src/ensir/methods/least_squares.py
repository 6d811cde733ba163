"""Least squares: in each cell the weights, a ≥ 0 and Σa = 1, with the least squared error on the reference.

As Σa = 1, the squared error of a cell is aᵀEa with E = Σ (x_m − y)(x_l − y), in integers. Each cell is solved by
itself: min aᵀEa + λ‖a − a_global‖².
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.arithmetic.functions import quadratic_form
from ensir.cells.lut import ESTIMATED, CellWeights, LutMethod
from ensir.cells.statistics import Statistics, folds_of
from ensir.methods import Binned, Progress

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Real

STRENGTHS = (0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)  # λ, in squared levels of 0–255
TIE = (
    1e-11  # λ is at least this fraction of the error, so that models that are equal in a cell follow a_global
)


class LeastSquares(Binned):
    """Least-squares weights per bin set: not negative, summing to one, drawn towards those of all pixels."""

    timed: ClassVar[bool] = True

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


def settle(everything: Statistics, settings: dict[str, Any], device: str) -> tuple[dict[str, Any], float]:
    """Replace a strength of "auto" with the best on held-out folds; also return its squared error per value.

    Raises
    ------
    InputError
        There is only one fold.
    """
    strengths = STRENGTHS if settings["strength"] == "auto" else (settings["strength"],)
    errors = held_out_errors(everything, strengths)
    best = min(range(len(errors)), key=errors.__getitem__)
    return {**settings, "strength": strengths[best]}, errors[best]


def error_matrix(statistics: Statistics) -> Int[np.ndarray, "cell model model"]:
    """Return E = Σ (x_m − y)(x_l − y) of each cell, in squared code values."""
    cross = statistics.cross
    return statistics.gram - cross[:, :, None] - cross[:, None, :] + statistics.target_square[:, None, None]


def global_weights(everything: Statistics) -> Float[np.ndarray, " model"]:
    """Return a_global: the weights of all cells taken as one."""
    error = error_matrix(everything).sum(axis=0, keepdims=True) / everything.unit**2
    return solve(error, 0, np.full(error.shape[:2], 1 / error.shape[1]))[0]


def held_out_errors(everything: Statistics, strengths: Sequence[float]) -> list[float]:
    """Solve each cell of each fold from the other folds, by subtraction; return each strength's error per value."""
    fold = folds_of(everything)
    number = everything.key * (everything.channel.max() + 1) + everything.channel
    cell = np.unique(number, return_inverse=True)[1]
    own = error_matrix(everything)
    others, folds = _sums(own, cell)[cell] - own, _sums(own, fold)
    prior = solve(folds.sum(axis=0) - folds, 0, np.full(folds.shape[:2], 1 / own.shape[1]))[fold]
    errors = []
    for strength in strengths:
        weights = solve(others / everything.unit**2, strength, prior)
        error = quadratic_form(own / everything.unit**2, weights).sum()
        errors.append(float(error / everything.count.sum()))
    return errors


def _sums(
    values: Int[np.ndarray, "cell model model"], group: Int[np.ndarray, " cell"]
) -> Int[np.ndarray, "group model model"]:
    """Add up the values of each group; groups are numbered without gaps."""
    order = np.argsort(group, kind="stable")
    return np.add.reduceat(values[order], np.flatnonzero(np.diff(group[order], prepend=-1)))


def solve(
    error: Real[np.ndarray, "cell model model"], strength: float, prior: Float[np.ndarray, "cell model"]
) -> Float[np.ndarray, "cell model"]:
    """Minimise aᵀEa + λ‖a − prior‖² over a ≥ 0, Σa = 1, in every cell."""
    from ensir.arithmetic.systems import on_simplex  # Numba takes a moment to load

    models = error.shape[1]
    ridge = np.maximum(strength, TIE * (1 + np.trace(error, axis1=1, axis2=2)))
    return on_simplex(error + ridge[:, None, None] * np.eye(models), ridge[:, None] * prior)
