"""Gradient boosting of regression trees."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ensir.methods import Progress
from ensir.methods._regressor import DIMENSIONS, Method, Regressor, arrays_of, constant, sample, trees_of
from ensir.storage.reference import Reference

__all__ = ["DIMENSIONS", "Gbdt", "Method", "fit"]


class Gbdt(Regressor):
    """Gradient boosting of 100 regression trees of depth 3."""

    kind: Literal["gbdt"] = "gbdt"


def fit(reference: Reference, settings: dict[str, Any], progress: Progress) -> dict[str, np.ndarray]:
    """Fit the regressor to a sample of the reference; returns its trees as arrays, see `arrays_of`."""
    from sklearn.ensemble import GradientBoostingRegressor

    x, y = sample(reference, settings["samples"], settings["seed"], progress)
    model = GradientBoostingRegressor(random_state=settings["seed"]).fit(x, y)
    start = constant(model.init_.constant_.item())  # the constant that boosting starts from
    trees = trees_of(model.estimators_[:, 0])
    return arrays_of([start, *trees], [1, *[model.learning_rate] * len(trees)])
