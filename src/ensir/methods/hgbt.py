"""Gradient boosting of regression trees on histograms."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ensir.methods import Progress
from ensir.methods._regressor import DIMENSIONS, LEAF, Method, Regressor, Tree, arrays_of, constant, sample
from ensir.storage.reference import Reference

__all__ = ["DIMENSIONS", "Hgbt", "Method", "fit"]


class Hgbt(Regressor):
    """Gradient boosting of 100 regression trees on histograms."""

    kind: Literal["hgbt"] = "hgbt"


def fit(reference: Reference, settings: dict[str, Any], progress: Progress) -> dict[str, np.ndarray]:
    """Fit the regressor to a sample of the reference; returns its trees as arrays, see `arrays_of`."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    x, y = sample(reference, settings["samples"], settings["seed"], progress)
    model = HistGradientBoostingRegressor(random_state=settings["seed"]).fit(x, y)
    # scikit-learn gives no public access to the trees of this regressor.
    nodes = [predictor.nodes for (predictor,) in model._predictors]
    trees = [
        Tree(
            np.where(node["is_leaf"], LEAF, node["feature_idx"]),
            np.where(node["is_leaf"], node["value"], node["num_threshold"]),
            node["left"].astype(np.int64),
            node["right"].astype(np.int64),
        )
        for node in nodes
    ]
    start = constant(model._baseline_prediction.item())  # the constant that boosting starts from
    return arrays_of([start, *trees], [1] * (1 + len(trees)))
