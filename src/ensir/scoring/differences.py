"""How far each method of an experiment is from the average and from the best base model, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ensir.scoring.interval import Interval, intervals
from ensir.scoring.scores import Metric, Scores, baseline, competitors, metrics_of

NOT_ABOVE_AVERAGE, NOT_ABOVE_BEST = "†", "‡"


class Differences(NamedTuple):
    """The differences of one method on one test set, in one metric.

    Attributes
    ----------
    method, dataset, metric : str
    of : dict
        By the sign of what it is compared with, `NOT_ABOVE_AVERAGE` or `NOT_ABOVE_BEST`: the name of that, and the
        paired difference.
    """

    method: str
    dataset: str
    metric: str
    of: dict[str, tuple[str, Interval]]

    @property
    def signs(self) -> str:
        """The signs of what the method does not significantly differ from."""
        return "".join(sign for sign, (_, interval) in self.of.items() if interval.holds_zero)


def differences(
    name: str, experiment: dict[str, Any], scores: Scores, names: list[tuple[str, str]] | None = None
) -> Iterator[Differences]:
    """Yield the differences of every method, test set and metric.

    Parameters
    ----------
    name : str
    experiment : dict
        Its section.
    scores : Scores
    names : list of (group, name), optional
        Those that are compared; all base models and methods by default.
    """
    methods = [method for group, method in names or competitors(experiment) if group == "Methods"]
    average = baseline(experiment)
    for dataset in scores.tests(name, experiment):
        for metric, printed in metrics_of(experiment).items():
            best = best_base_model(name, experiment, scores, dataset, metric, printed)
            pairs = [
                (method, sign, other)
                for method in methods
                for sign, other in ((NOT_ABOVE_AVERAGE, average), (NOT_ABOVE_BEST, best))
                if other is not None and other != method
            ]
            there = scores.values.get((name, dataset, best, metric), {}).keys()
            images = sorted(there - scores.left_out(name, dataset, metric))
            gains = [scores.gain((name, dataset, method, metric), other) for method, _, other in pairs]
            computed = intervals(np.array([[gain.get(i, math.nan) for i in images] for gain in gains]))
            for method in methods:
                mine = {s: (o, i) for (m, s, o), i in zip(pairs, computed, strict=True) if m == method}
                yield Differences(method, dataset, metric, mine)


def best_base_model(
    name: str, experiment: dict[str, Any], scores: Scores, dataset: str, metric: str, printed: Metric
) -> str:
    """Return the base model with the best mean."""
    sign = 1 if printed.higher_is_better else -1
    return max(
        experiment["models"],
        key=lambda model: sign * scores.means.get((name, dataset, model, metric), -sign * math.inf),
    )
