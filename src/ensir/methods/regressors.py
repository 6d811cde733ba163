"""Regressors of scikit-learn: bagging, AdaBoost, random forest, gradient boosting, and that on histograms.

Each learns to map the predictions of one value to its target, on a sample of the reference, and comes down to
trees of thresholds. Those are stored as plain arrays and walked here: the results are scikit-learn's, faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
from jaxtyping import Float, Float32, Int, Shaped

from ensir import InputError
from ensir.methods import Progress, fits
from ensir.methods.fits import Reference

LEAF = -1
DIMENSIONS = {
    **dict.fromkeys(("feature", "value", "left", "right"), ("node",)),
    **dict.fromkeys(("root", "weight"), ("tree",)),
}


class Tree(NamedTuple):
    """A tree, its root first; children come after their parents.

    Attributes
    ----------
    feature : int array, (node,)
        Which prediction a node looks at; LEAF (-1) at leaves.
    value : float64 array, (node,)
        Up to which value of that prediction the left child is taken; at leaves, what the tree returns.
    left, right : int array, (node,)
        Children.
    """

    feature: Int[np.ndarray, " node"]
    value: Float[np.ndarray, " node"]
    left: Int[np.ndarray, " node"]
    right: Int[np.ndarray, " node"]


def fit(reference: Reference, settings: dict[str, Any], progress: Progress) -> dict[str, np.ndarray]:
    """Fit the regressor of a section of the configuration; returns its trees as arrays.

    Returns
    -------
    dict
        `feature`, `value`, `left`, `right` (node): all trees, one after the other, as in `Tree`.
        `root`, `weight` (tree): first node of each, and its weight.
    """
    x, y = sample(reference, settings["samples"], settings["seed"], progress)
    model = _new(settings).fit(x, y)
    trees, weight = _trees_of(model, settings["kind"])
    size = np.cumsum([0, *(len(tree.feature) for tree in trees)])
    inner = [tree.feature != LEAF for tree in trees]
    children = [
        [np.where(is_inner, side + first, LEAF) for side in (tree.left, tree.right)]
        for tree, is_inner, first in zip(trees, inner, size[:-1], strict=True)
    ]
    return {
        "feature": np.concatenate([tree.feature for tree in trees]).astype(np.int16),
        "value": np.concatenate([tree.value for tree in trees]),
        "left": np.concatenate([left for left, _ in children]).astype(np.int32),
        "right": np.concatenate([right for _, right in children]).astype(np.int32),
        "root": size[:-1].astype(np.int32),
        "weight": np.asarray(weight, np.float64),
    }


def sample(
    reference: Reference, samples: int, seed: int, progress: Progress
) -> tuple[Float32[np.ndarray, "value model"], Float[np.ndarray, " value"]]:
    """Draw values of the reference without replacement, each as likely as any other.

    The draw depends on the seed, and on the names and sizes of the images alone: neither on parts nor on chunks.

    Returns
    -------
    x : float32 array, (value, model)
        Predictions, in code values.
    y : float64 array, (value,)
        Targets.
    """
    sizes = [height * width * channels for height, width, channels in reference.shapes]
    total = sum(sizes)
    random = np.random.default_rng(seed)
    drawn = np.sort(random.choice(total, min(samples, total), replace=False, shuffle=False))
    bounds = np.searchsorted(drawn, np.cumsum([0, *sizes]))
    x, y = [], []
    for i, first in enumerate(np.cumsum([0, *sizes[:-1]])):
        here = drawn[bounds[i] : bounds[i + 1]] - first
        if len(here):
            x.append(reference.predictions(i).reshape(-1, sizes[i])[:, here].T)
            y.append(reference.target(i).ravel()[here])
        progress(i + 1, len(reference))
    return np.concatenate(x).astype(np.float32), np.concatenate(y).astype(np.float64)


def _new(settings: dict[str, Any]) -> Any:
    from sklearn import ensemble

    seed = settings["seed"]
    match settings["kind"]:
        case "bagging":
            return ensemble.BaggingRegressor(n_estimators=settings["trees"], random_state=seed)
        case "adaboost":
            return ensemble.AdaBoostRegressor(random_state=seed)
        case "rforest":
            return ensemble.RandomForestRegressor(n_estimators=settings["trees"], random_state=seed)
        case "gbdt":
            return ensemble.GradientBoostingRegressor(random_state=seed)
        case _:
            return ensemble.HistGradientBoostingRegressor(random_state=seed)


def _trees_of(model: Any, kind: str) -> tuple[list[Tree], Sequence[float]]:
    """Return the trees of a fitted regressor and their weights; what boosting starts from is a tree of one leaf."""
    match kind:
        case "adaboost":
            return _trees(model.estimators_), model.estimator_weights_[: len(model.estimators_)]
        case "gbdt":
            trees = [_constant(model.init_.constant_.item()), *_trees(model.estimators_[:, 0])]
            return trees, [1, *[model.learning_rate] * len(model.estimators_)]
        case "hgbt":
            # scikit-learn has no public way to the trees of this one, or to what they start from.
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
            trees = [_constant(model._baseline_prediction.item()), *trees]
            return trees, [1] * len(trees)
        case _:
            return _trees(model.estimators_), [1 / len(model.estimators_)] * len(model.estimators_)


def _constant(value: float) -> Tree:
    leaf = np.array([LEAF])
    return Tree(leaf, np.array([value]), leaf, leaf)


def _trees(estimators: Iterable[Any]) -> list[Tree]:
    trees = []
    for tree in (estimator.tree_ for estimator in estimators):
        leaf = tree.children_left == LEAF
        feature, value = (
            np.where(leaf, LEAF, tree.feature),
            np.where(leaf, tree.value[:, 0, 0], tree.threshold),
        )
        trees.append(Tree(feature, value, tree.children_left, tree.children_right))
    return trees


class Method:
    """A fitted regressor: the weighted sum of its trees, or their weighted median (AdaBoost)."""

    def __init__(self, settings: dict[str, Any], fitted: str | None):
        assert fitted is not None
        self.fit = fits.load(fitted)
        self.trees = check(self.fit, fitted)
        self.combine: Callable[..., None] = _median if settings["kind"] == "adaboost" else _sum

    def fuse(self, x: Shaped[np.ndarray, "model channel pixel"]) -> Float[np.ndarray, "channel pixel"]:
        """Return what the regressor maps each value's predictions to."""
        self.fit.check(x)
        values, index = distinct(x.reshape(len(x), -1))
        fused = np.empty(values.shape[1])
        self.combine(values, *self.trees, fused)
        return fused.astype(np.float32)[index].reshape(x.shape[1:])

    def weights(self, x: Shaped[np.ndarray, "model channel pixel"]) -> None:
        """Return None: trees do not weigh the models."""


def distinct(
    x: Shaped[np.ndarray, "model value"],
) -> tuple[Shaped[np.ndarray, "model distinct_value"], Int[np.ndarray, " value"] | slice]:
    """Return the predictions without repetition, sorted: neighbours walk alike, several times faster.

    Returns
    -------
    values : array, (model, distinct_value)
    index : int array, (value,)
        Which of them each value has. With more than 64 bits for a value's predictions, all stay as they are.
    """
    bits = x.dtype.itemsize * 8
    if len(x) * bits > 64:
        return np.ascontiguousarray(x), np.s_[:]
    shifts = np.arange(len(x), dtype=np.uint64)[:, None] * np.uint64(bits)
    words, index = np.unique(
        (x.astype(np.uint64) << shifts).sum(axis=0, dtype=np.uint64), return_inverse=True
    )
    return (words >> shifts).astype(x.dtype), index


def check(fit: fits.Fit, path: str) -> tuple[np.ndarray, ...]:
    """Return the arrays of a fit in the order of `DIMENSIONS`; walks along them stay inside and come to an end.

    Raises
    ------
    InputError
        They are not of that form.
    """
    arrays = fit.arrays
    if arrays.keys() != DIMENSIONS.keys():
        raise InputError(f"{path}: holds no trees; make it again")
    feature, left, right, root = (arrays[name] for name in ("feature", "left", "right", "root"))
    nodes, inner = np.arange(len(feature)), feature != LEAF
    sound = (
        all(len(arrays[name]) == len(nodes) for name, dims in DIMENSIONS.items() if dims == ("node",))
        and np.all((feature >= LEAF) & (feature < len(fit.models)))
        and all(np.all(((side > nodes) & (side < len(nodes)))[inner]) for side in (left, right))
        and np.all((root >= 0) & (root < len(nodes)))
        and len(root) == len(arrays["weight"]) > 0
    )
    if not sound:
        raise InputError(f"{path}: its trees are damaged; make it again")
    return tuple(arrays[name] for name in DIMENSIONS)


@numba.njit(nogil=True)
def _leaf(x, feature, value, left, right, node, i):
    """Walk down a tree from a node; returns what its leaf holds."""
    while feature[node] != LEAF:
        node = left[node] if x[feature[node], i] <= value[node] else right[node]
    return value[node]


@numba.njit(nogil=True, cache=True)
def _sum(x, feature, value, left, right, root, weight, fused):
    """Tree by tree, so that each stays in the cache; every value adds them up in the same order."""
    fused[:] = 0
    for t in range(len(root)):
        for i in range(len(fused)):
            fused[i] += weight[t] * _leaf(x, feature, value, left, right, root[t], i)


@numba.njit(nogil=True, cache=True)
def _median(x, feature, value, left, right, root, weight, fused):
    """The smallest tree value that, with all below it, has half of the weight."""
    for i in range(len(fused)):
        found, heavy = np.empty(len(root)), np.empty(len(root))
        for t in range(len(root)):
            leaf, place = _leaf(x, feature, value, left, right, root[t], i), t
            while place > 0 and found[place - 1] > leaf:
                found[place], heavy[place] = found[place - 1], heavy[place - 1]
                place -= 1
            found[place], heavy[place] = leaf, weight[t]
        below, t = heavy[0], 0
        half = heavy.sum() / 2
        while below < half:
            t += 1
            below += heavy[t]
        fused[i] = found[t]
