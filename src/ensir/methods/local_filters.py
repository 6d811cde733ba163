"""Local filters: one small linear filter over all models and a value's neighbours, for each cell of context.

A fused value is m + Wᵀf: the mean of the models and a filter of the features of its surroundings. There is a filter
for every cell of context; see `ensir.cells.context`. They are found by least squares, drawn towards the filters of
coarser cells; how far, and through which of them, is chosen by the images that are left out in turn, and also whether
errors of the models that depend on how bright they are, as near black and white, are corrected. The plain average is
one of the candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.cells import context
from ensir.cells.filter_statistics import FilterStatistics
from ensir.cells.filters import FilterMethod
from ensir.execution.machine_code import Kernel
from ensir.methods import CombiningMethod, Progress, Statistics
from ensir.scoring import leaving_out
from ensir.storage import fits

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Int

    from ensir.images.codes import Header
    from ensir.storage.fits import Fit

STRENGTHS = (1e1, 1e2, 1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e8)  # λ, in values
RIDGE = 1e-6  # of the mean feature
FEWEST_VALUES = 10.0  # by which the error of a cell is drawn towards that of all
LEAST_ERROR = 1e-3  # of the mean over all folds or cells
SQUARED_ERRORS = Kernel(
    "ensir.arithmetic.pulled_kernel",
    "squared_errors",
    f"void(int64, int64, {', '.join(['CPointer(float64)'] * 5)})",
)
FIT = Kernel(
    "ensir.arithmetic.pulled_kernel",
    "fit",
    f"void(int64, int64, {', '.join(['CPointer(float64)'] * 6)}, float64, float64, float64, float64, "
    "CPointer(float64), CPointer(float64))",
)
DIMENSIONS = {
    "filter": ("cell", "feature"),
    "count": ("cell",),
    "expected_squared_error": ("cell",),
    "held_out": ("fold", "tree", "strength"),
    "strength": ("strength",),
}


class LocalFilters(CombiningMethod):
    """A small filter over all models and a value's neighbours, for each kind of surroundings."""

    kind: Literal["local_filters"] = "local_filters"

    made: ClassVar[Literal["lut", "fit"] | None] = "fit"
    statistics: ClassVar[Statistics | None] = Statistics("filters", "ensir.cells.filter_statistics")
    expects_errors: ClassVar[bool] = True
    judged: ClassVar[bool] = True

    @property
    def holds_out(self) -> bool:
        """See `CombiningMethod`: it chooses its table."""
        return True

    def check_images(self, fitted: Header, given: Header) -> None:
        """See `CombiningMethod`."""
        super().check_images(fitted, given)
        fits.check_colours(fitted.channels, given.channels)


Method = FilterMethod


@dataclass(frozen=True)
class Sums:
    """Weighted sums of cells, however coarse.

    Attributes
    ----------
    count : float64 array, (cell,)
    gram : float64 array, (cell, feature, feature)
    cross : float64 array, (cell, feature)
    square : float64 array, (cell,)
    """

    count: Float64[np.ndarray, " cell"]
    gram: Float64[np.ndarray, "cell feature feature"]
    cross: Float64[np.ndarray, "cell feature"]
    square: Float64[np.ndarray, " cell"]

    def over(self, group: Int[np.ndarray, " cell"], groups: int) -> Sums:
        """Add up the cells of each group, in their order."""
        return Sums(*(_added(values, group, groups) for values in self.arrays()))

    def of(self, features: int) -> Sums:
        """Return the sums of the first features."""
        return Sums(self.count, self.gram[:, :features, :features], self.cross[:, :features], self.square)

    def arrays(self) -> list[np.ndarray]:
        """Return all sums, in order."""
        return [getattr(self, field.name) for field in fields(self)]


def fit(statistics: FilterStatistics, settings: dict[str, Any], progress: Progress) -> dict[str, np.ndarray]:
    """Return the filters of all cells, and the held-out gains by which they were chosen.

    Returns
    -------
    dict
        `filter`: float64 array, (cell, feature). `count`: int64 array, (cell,), values of the reference.
        `expected_squared_error`: float64 array, (cell,), in squared code values. `held_out`: float64 array, (fold,
        tree, strength), in dB above the plain average. `strength`: float64 array, (strength,).

    Raises
    ------
    InputError
        The reference is a single image, so that none can be left out.
    """
    folds = _by_fold(statistics)
    leaving_out.check_folds(statistics.fold)
    gains = np.zeros((len(folds), len(TREES), len(STRENGTHS)))
    for left_out, own in enumerate(folds):
        kept = [fold for number, fold in enumerate(folds) if number != left_out]
        average = own.square.sum()
        if not average or not _something_to_learn(kept):
            continue  # what the average restores perfectly decides nothing
        others = _solvers(_weighted(kept))
        for number, strength in enumerate(STRENGTHS):
            for tree, table in enumerate(_tables(others, strength)):
                gains[left_out, tree, number] = leaving_out.gain(average, _squared_error(own, table).sum())
        progress(left_out + 1, len(folds))
    mean = gains.mean(axis=0)
    tree, number = np.unravel_index(mean.argmax(), mean.shape)
    if mean[tree, number] <= 0 or not _something_to_learn(folds):
        table = np.zeros((context.KEYS, statistics.cross.shape[1]))
    else:
        table = list(_tables(_solvers(_weighted(folds)), STRENGTHS[number]))[tree]
    whole, unit = _total(folds), context.scale(len(statistics.models), statistics.channels)
    return {
        "filter": table,
        "count": whole.count.astype(np.int64),
        "expected_squared_error": _squared_error(whole, table) / np.maximum(whole.count, 1) / unit**2,
        "held_out": gains,
        "strength": np.array(STRENGTHS),
    }


def summary(fit: Fit) -> dict[str, str]:
    """Return what was chosen, and by how much it was above the average."""
    gains = fit.arrays["held_out"]
    mean = gains.mean(axis=0)
    tree, number = np.unravel_index(mean.argmax(), mean.shape)
    if not fit.arrays["filter"].any():
        return {"chosen": "the plain average"}
    return {
        "chosen": f"{TREES[tree]}, λ = {fit.arrays['strength'][number]:g}",
        "gain over the average": leaving_out.said(held_out_gains(fit.arrays)),
    }


def held_out_gains(arrays: dict[str, np.ndarray]) -> Float64[np.ndarray, " fold"]:
    """Return the gain of each fold in dB, with what was chosen by the others."""
    gains = arrays["held_out"]
    return leaving_out.chosen_on_others(gains.reshape(len(gains), -1))


class Solver:
    """Filters of cells, coarse and fine, from the sums of all cells.

    Parameters
    ----------
    cells : Sums
        Of all cells of context.
    """

    def __init__(self, cells: Sums):
        disagreement, change, mean = context.parts_of(np.arange(context.KEYS))
        levels = context.LEVELS
        self.groups = {
            "a": disagreement,
            "g": change,
            "m": mean,
            "am": disagreement * levels + mean,
            "ag": disagreement * levels + change,
            "amg": np.arange(context.KEYS),
        }
        self.sums = {name: cells.over(group, int(group.max()) + 1) for name, group in self.groups.items()}
        whole = cells.over(np.zeros(context.KEYS, np.int64), 1)
        count, features = whole.count[0], whole.cross.shape[1]
        self.gram = whole.gram[0] / count
        self.gram += RIDGE * np.trace(self.gram) / features * np.eye(features)
        one = Sums(np.ones(1), self.gram[None], whole.cross / count, np.zeros(1))
        self.all = drawn(one, np.zeros((1, features)), self.gram, 1.0, 0.0)
        self.error = float(_squared_error(whole, self.all)[0] / count)

    def tables(self, strength: float) -> Iterator[Float64[np.ndarray, "key feature"]]:
        """Yield the filters of all cells of context, by each of `TREES_OF_CELLS`."""
        drawn = {name: self.drawn(name, strength, self.all)[self.groups[name]] for name in ("a", "g", "m")}
        a, g, m = drawn["a"], drawn["g"], drawn["m"]
        yield np.broadcast_to(self.all, a.shape)
        yield self.expanded("am", strength, a)
        yield self.expanded("ag", strength, a)
        am, ag = (
            self.expanded("am", strength, a + m - self.all),
            self.expanded("ag", strength, a + g - self.all),
        )
        yield am
        yield self.expanded("amg", strength, am + ag - a)

    def expanded(
        self, name: str, strength: float, prior: Float64[np.ndarray, "key feature"]
    ) -> Float64[np.ndarray, "key feature"]:
        """Return the filters of a group's cells for all cells of context, given a prior of each."""
        group = self.groups[name]
        first = np.unique(group, return_index=True)[1]
        return self.drawn(name, strength, prior[first])[group]

    def drawn(
        self, name: str, strength: float, prior: Float64[np.ndarray, "cell feature"]
    ) -> Float64[np.ndarray, "cell feature"]:
        """Return the filters of a group's cells, drawn towards a prior, the more the larger its errors are there."""
        sums = self.sums[name]
        return drawn(sums, np.broadcast_to(prior, sums.cross.shape), self.gram, self.error, strength)


def drawn(
    sums: Sums,
    prior: Float64[np.ndarray, "cell feature"],
    mean: Float64[np.ndarray, "feature feature"],
    error: float,
    strength: float,
) -> Float64[np.ndarray, "cell feature"]:
    """Return the least squares filters of cells, drawn towards a prior; see `pulled_kernel.fit`."""
    filters = np.empty(sums.cross.shape)
    given = [
        np.ascontiguousarray(array) for array in (sums.gram, sums.cross, sums.square, sums.count, prior, mean)
    ]
    FIT(*filters.shape, *given, error, FEWEST_VALUES, LEAST_ERROR, strength, np.empty_like(mean), filters)
    return filters


TREES_OF_CELLS = ("global", "am from a", "ag from a", "am", "amg")
TREES = (*TREES_OF_CELLS, *(f"{name} with brightness" for name in TREES_OF_CELLS))


def _solvers(cells: Sums) -> list[Solver]:
    """Return what solves for filters that only compare, and for those that know how bright a value is, too."""
    features = cells.cross.shape[1]
    return [Solver(cells.of(features - 2)), Solver(cells)]


def _tables(solvers: list[Solver], strength: float) -> Iterator[Float64[np.ndarray, "key feature"]]:
    """Yield the filters of all cells of context, by each of `TREES`."""
    features = solvers[-1].all.shape[1]
    for solver in solvers:
        for table in solver.tables(strength):
            yield np.pad(table, ((0, 0), (0, features - table.shape[1])))


def _something_to_learn(folds: list[Sums]) -> bool:
    """Return whether the average is ever wrong, and the models ever differ."""
    return any(fold.square.any() for fold in folds) and any(fold.gram.any() for fold in folds)


def _by_fold(statistics: FilterStatistics) -> list[Sums]:
    """Return the sums of all cells of context, of each fold."""
    folds = []
    for fold in np.unique(statistics.fold):
        own = statistics.fold == fold
        key = statistics.key[own]
        held = (statistics.count, statistics.gram, statistics.cross, statistics.square)
        folds.append(Sums(*(_added(values[own].astype(np.float64), key, context.KEYS) for values in held)))
    return folds


def _weighted(folds: list[Sums]) -> Sums:
    """Add up folds so that those with small errors of the plain average count as much as the others."""
    counts = np.array([fold.count.sum() for fold in folds])
    errors = np.array([fold.square.sum() for fold in folds]) / counts
    weights = 1 / (counts * np.maximum(errors, LEAST_ERROR * errors.mean()))
    weights *= counts.sum() / (weights * counts).sum()
    return _total([Sums(*(w * v for v in fold.arrays())) for w, fold in zip(weights, folds, strict=True)])


def _total(folds: list[Sums]) -> Sums:
    """Add up folds, one after the other."""
    by_name = zip(*(fold.arrays() for fold in folds), strict=True)
    return Sums(*(_sum_of(list(values)) for values in by_name))


def _sum_of(values: list[np.ndarray]) -> np.ndarray:
    total = np.zeros_like(values[0])
    for value in values:
        total += value
    return total


def _added(
    values: Float[np.ndarray, "cell ..."], group: Int[np.ndarray, " cell"], groups: int
) -> Float[np.ndarray, "group ..."]:
    """Add up the values of each group, one after the other."""
    result = np.zeros((groups, *values.shape[1:]))
    np.add.at(result, group, values)
    return result


def _squared_error(sums: Sums, filters: Float64[np.ndarray, "cell feature"]) -> Float64[np.ndarray, " cell"]:
    """Return Σ (r − Wᵀf)² of each cell."""
    errors = np.empty(len(sums.count))
    given = [np.ascontiguousarray(array) for array in (sums.gram, sums.cross, sums.square, filters)]
    SQUARED_ERRORS(*filters.shape, *given, errors)
    return errors
