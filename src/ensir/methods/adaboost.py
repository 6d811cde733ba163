"""AdaBoost.R2: the weighted median of trees of depth 3."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ensir.methods import Progress
from ensir.methods._regressor import DIMENSIONS, Regressor, arrays_of, sample, trees_of
from ensir.methods._regressor import Method as Walker
from ensir.storage.reference import Reference

__all__ = ["DIMENSIONS", "Adaboost", "Method", "fit"]


class Adaboost(Regressor):
    """AdaBoost.R2 of 50 regression trees of depth 3."""

    kind: Literal["adaboost"] = "adaboost"


class Method(Walker):
    """A fitted regressor: the weighted median of its trees."""

    walk = "median"


def fit(reference: Reference, settings: dict[str, Any], progress: Progress) -> dict[str, np.ndarray]:
    """Fit the regressor to a sample of the reference; returns its trees as arrays, see `arrays_of`."""
    from sklearn.ensemble import AdaBoostRegressor

    x, y = sample(reference, settings["samples"], settings["seed"], progress)
    model = AdaBoostRegressor(random_state=settings["seed"]).fit(x, y)
    return arrays_of(trees_of(model.estimators_), model.estimator_weights_[: len(model.estimators_)])
