"""Random forest: trees on resampled values, averaged."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from ensir.methods import Progress
from ensir.methods._regressor import DIMENSIONS, Method, Regressor, averaged
from ensir.storage.reference import Reference

__all__ = ["DIMENSIONS", "Method", "Rforest", "fit"]


class Rforest(Regressor):
    """A random forest: trees on resampled values, averaged."""

    kind: Literal["rforest"] = "rforest"
    trees: int = Field(100, ge=1, le=100_000, description="number of trees")


def fit(reference: Reference, settings: dict[str, Any], progress: Progress) -> dict[str, np.ndarray]:
    """Fit the regressor to a sample of the reference; returns its trees as arrays, see `arrays_of`."""
    from sklearn.ensemble import RandomForestRegressor

    model = RandomForestRegressor(n_estimators=settings["trees"], random_state=settings["seed"])
    return averaged(model, reference, settings, progress)
