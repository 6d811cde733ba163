"""Which images of a test set are pictured: the one that the figures show, and those of different gain."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ensir.scoring.scores import Scores, baseline, first_metric

FIRST = (
    (0.0, "worst"),
    (1.0, "best"),
    (0.5, "median"),
)  # quantiles of the gain, in the order in which they are taken


class Chosen(NamedTuple):
    """An image that is pictured, its part, and why: such as ``median gain: +0.413 dB``."""

    image: str
    part: str
    why: str


def chosen(sample: dict[str, Any], experiment: dict[str, Any], scores: Scores, count: int) -> list[Chosen]:
    """Choose the images of a test set that are pictured.

    That of the figures comes first. Of the others, those of the worst, best and median gain, then those that are spread
    evenly between: of the best method over the average, or over the best base model where no method averages. Where
    there are no targets, they are spread evenly over the names.

    Parameters
    ----------
    sample : dict
        The test set; see `ensir.stages.report`.
    experiment : dict
        Its section.
    scores : Scores
    count : int
        How many.
    """
    parts = {image: part for part, images in sample["parts"].items() for image in images}
    name, dataset, first = sample["experiment"], sample["dataset"], sample["image"]
    printed = first_metric(experiment)[1]
    gains, _, _ = gained(name, experiment, dataset, scores)
    order = sorted((gain, image) for image, gain in gains.items() if image in parts and math.isfinite(gain))
    reasons: dict[str, list[str]] = {first: []}
    further = [(float(q), "") for q in np.linspace(0, 1, max(count, 2))[1:-1]]
    for quantile, word in (*FIRST, *further) if order else ():
        image = order[round(quantile * (len(order) - 1))][1]
        if image not in reasons and len(reasons) == count:
            break
        words = reasons.setdefault(image, [])
        if word and len(order) > 1:
            words.append(word)
    if dataset not in scores.tests(name, experiment):
        names = sorted(parts)
        spread = (names[round(q * (len(names) - 1))] for q in np.linspace(0, 1, count))
        reasons |= {image: [] for image in list(dict.fromkeys([first, *spread]))[:count]}

    def why(image: str) -> str:
        if image not in gains or not math.isfinite(gains[image]):
            return ""
        words = " and ".join(reasons[image])
        gain = printed.with_unit(printed.gain(gains[image]))
        return f"{words} gain, {gain}".strip() if words else f"gain {gain}"

    return [Chosen(image, parts[image], why(image)) for image in reasons]


def gained(
    name: str, experiment: dict[str, Any], dataset: str, scores: Scores
) -> tuple[dict[str, float], str, str]:
    """Return the gain of every image, larger is better, of which method, over what; empty where there is none."""
    metric, printed = first_metric(experiment)
    sign = 1 if printed.higher_is_better else -1

    def best(rows: list[str]) -> str:
        means = {row: sign * scores.means.get((name, dataset, row, metric), math.nan) for row in rows}
        known = {row: mean for row, mean in means.items() if math.isfinite(mean)}
        return max(known, key=known.__getitem__, default="")

    average = baseline(experiment)
    method = best([row for row in experiment["methods"] if row != average])
    below = average or best(experiment["models"])
    if not method or not below:
        return {}, "", ""
    gains = scores.gain((name, dataset, method, metric), below)
    return {image: sign * gain for image, gain in gains.items()}, method, below
