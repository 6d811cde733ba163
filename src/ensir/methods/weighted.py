"""One weight per model for whole images: least squares of a single cell, a ≥ 0 and Σa = 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.cells import key
from ensir.cells.lut import ESTIMATED, CellWeights, LutMethod
from ensir.cells.statistics import Statistics, fold_errors, folds_of
from ensir.methods import Progress, Tabulated
from ensir.methods.least_squares import fill, global_weights, losses, weights_of_others

if TYPE_CHECKING:
    from jaxtyping import Float64

__all__ = ["Method", "Weighted", "estimate_weights", "fill", "held_out", "losses"]


class Weighted(Tabulated):
    """One weight per model for whole images: not negative, summing to one, with the least squared error."""

    timed: ClassVar[bool] = True
    judged: ClassVar[bool] = True

    kind: Literal["weighted"] = "weighted"

    bin_width: ClassVar[int] = key.LEVELS

    @property
    def traced(self) -> dict[str, Any]:
        """The settings, and that there is a single cell."""
        return {**super().traced, "bin_width": self.bin_width, "channels": "joint"}


Method = LutMethod


def estimate_weights(
    cells: Statistics, everything: Statistics, settings: dict[str, Any], device: str, progress: Progress
) -> CellWeights:
    """Solve for the weights of the one cell; see `ensir.methods.least_squares`."""
    weights = np.repeat(global_weights(everything)[None], len(cells), axis=0)
    progress(len(cells), len(cells))
    return CellWeights(weights, np.zeros(len(cells), np.int64), np.full(len(cells), ESTIMATED, np.uint8))


def held_out(
    everything: Statistics, settings: dict[str, Any], device: str
) -> tuple[list[dict[str, Any]], Float64[np.ndarray, "fold option"]]:
    """Return the settings, and the squared error of each fold with the weights of the others."""
    weights = weights_of_others(everything)[folds_of(everything)]
    return [settings], fold_errors(everything, weights)[:, None]
