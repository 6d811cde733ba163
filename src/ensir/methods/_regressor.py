"""What the regressors of scikit-learn share.

Each learns to map the predictions of one value to its target, on a sample of the reference, and amounts to a number of
decision trees. These are stored as plain arrays and evaluated here: the results are scikit-learn's, only faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ensir.errors import InputError
from ensir.methods import CombiningMethod, Progress
from ensir.storage import fits
from ensir.storage.reference import Reference

if TYPE_CHECKING:
    from jaxtyping import Float, Float32, Int, Shaped

LEAF = -1
DIMENSIONS = {
    **dict.fromkeys(("feature", "value", "left", "right"), ("node",)),
    **dict.fromkeys(("root", "weight"), ("tree",)),
}


class Regressor(CombiningMethod):
    """Trees of scikit-learn, with its defaults, that map the predictions of a value to its target."""

    made: ClassVar[Literal["lut", "fit"] | None] = "fit"
    weighs: ClassVar[bool] = False
    pointwise: ClassVar[bool] = True

    samples: int = Field(
        50_000,
        ge=1,
        le=10**9,
        description="values of the reference to fit on, drawn at random; all, if there are fewer",
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of the draw and of the fit")


class Tree(NamedTuple):
    """A tree, its root first; children come after their parents.

    Attributes
    ----------
    feature : int array, (node,)
        Which prediction a node tests; LEAF (-1) at leaves.
    value : float64 array, (node,)
        Threshold up to which the left child is taken; at leaves, what the tree returns.
    left, right : int array, (node,)
        Children.
    """

    feature: Int[np.ndarray, " node"]
    value: Float[np.ndarray, " node"]
    left: Int[np.ndarray, " node"]
    right: Int[np.ndarray, " node"]


def arrays_of(trees: Sequence[Tree], weight: Sequence[float]) -> dict[str, np.ndarray]:
    """Return trees and their weights as arrays.

    Returns
    -------
    dict
        `feature`, `value`, `left`, `right` (node): all trees, one after the other, as in `Tree`.
        `root`, `weight` (tree): first node and weight of each tree.
    """
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

    The draw depends on nothing but the seed and the names and sizes of the images: neither on parts nor on chunks.

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


def averaged(
    model: Any, reference: Reference, settings: dict[str, Any], progress: Progress
) -> dict[str, np.ndarray]:
    """Fit an estimator of scikit-learn that averages its trees to a sample of the reference; see `arrays_of`."""
    x, y = sample(reference, settings["samples"], settings["seed"], progress)
    trees = trees_of(model.fit(x, y).estimators_)
    return arrays_of(trees, [1 / len(trees)] * len(trees))


def constant(value: float) -> Tree:
    """Return a tree of one leaf."""
    leaf = np.array([LEAF])
    return Tree(leaf, np.array([value]), leaf, leaf)


def trees_of(estimators: Iterable[Any]) -> list[Tree]:
    """Return the trees of scikit-learn's estimators."""
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
    """A fitted regressor: the weighted sum of its trees."""

    walk = "total"
    """The function of `_walking` that combines them."""

    def __init__(self, settings: dict[str, Any], fitted: str | None):
        assert fitted is not None
        self.fit = fits.load(fitted)
        self.trees = check(self.fit, fitted)

    def fuse(self, x: Shaped[np.ndarray, "model channel *pixels"]) -> Float[np.ndarray, " channel *pixels"]:
        """Return what the regressor maps each value's predictions to."""
        from ensir.methods import _walking

        self.fit.check(x)
        values, index = distinct(x.reshape(len(x), -1))
        fused = np.empty(values.shape[1])
        getattr(_walking, self.walk)(values, *self.trees, fused)
        return fused.astype(np.float32)[index].reshape(x.shape[1:])

    def weights(self, x: Shaped[np.ndarray, "model channel *pixels"]) -> None:
        """Return None: trees do not weigh the models."""


def distinct(
    x: Shaped[np.ndarray, "model value"],
) -> tuple[Shaped[np.ndarray, "model distinct_value"], Int[np.ndarray, " value"] | slice]:
    """Return the distinct predictions, sorted: neighbours take similar paths, which is several times faster.

    Returns
    -------
    values : array, (model, distinct_value)
    index : int array, (value,)
        Which of them each value has. Where a value's predictions have more than 64 bits, they are returned unchanged.
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
    """Return the arrays of a fit in the order of `DIMENSIONS`, once walks along them are known to stay inside and end.

    Raises
    ------
    InputError
        They are no such arrays.
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
