"""What was found: for each test set, in sentences made of the scores, how good the best is, and how sure that is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ensir.scoring.bootstrap import Interval, intervals
from ensir.scoring.scores import Metric, Scores, baseline, first_metric

PAPER = "ensir"  # the kind of the method that gets a sentence of its own


def of_experiment(name: str, experiment: dict[str, Any], scores: Scores) -> dict[str, str]:
    """Return what was found on each test set, in the first metric.

    The best base model or method is named, with its distance from the average and from the best of the other group, and
    the 95 % bootstrap intervals of both over the images; then EnsIR, where it is not the best.
    """
    return {dataset: _on_test_set(name, experiment, dataset, scores) for dataset in experiment["tests"]}


def _on_test_set(name: str, experiment: dict[str, Any], dataset: str, scores: Scores) -> str:
    metric, printed = first_metric(experiment)
    left_out = scores.left_out(name, dataset, metric)
    everything = {
        row: {image: value for image, value in found.items() if image not in left_out}
        for row in (*experiment["models"], *experiment["methods"])
        if (found := scores.values.get((name, dataset, row, metric)))
    }
    sign = 1 if printed.higher_is_better else -1
    means = {row: sign * scores.means[name, dataset, row, metric] for row in everything}
    if perfect := [row for row, mean in means.items() if mean == np.inf]:
        return f"{', '.join(perfect)}: no difference from the targets in any image. Are they the predictions?"
    means = {row: mean for row, mean in means.items() if np.isfinite(mean)}
    if not means:
        return "No finite scores."
    best = max(means, key=lambda row: means[row])
    models, methods = ([row for row in experiment[group] if row in means] for group in ("models", "methods"))
    average = next((row for row in methods if row == baseline(experiment)), None)

    def distance(row: str, other: str, called: str) -> str:
        images = everything[row].keys() & everything[other].keys()
        pairs = [sign * (everything[row][image] - everything[other][image]) for image in sorted(images)]
        return _distance(intervals(np.array([pairs]))[0], called, printed)

    compared = [distance(best, average, "the average")] if average and best != average else []
    if others := [row for row in (models if best in methods else methods) if row != average]:
        rival = max(others, key=lambda row: means[row])
        group = "base model" if best in methods else "method"
        compared.append(distance(best, rival, f"the best {group}, {rival}"))
    value = f"{printed.label} {printed.text(sign * means[best])}{_unit(printed)}"
    ranking = f"{best} is the best of {_count(models, 'base model')} and {_count(methods, 'method')}: {value}"
    sentences = [", ".join([ranking, *filter(None, [" and ".join(compared)])])]
    sentences += [
        f"{row} is {distance(row, average, 'the average')}"
        for row in methods
        if average and row not in (best, average) and experiment["methods"][row]["kind"] == PAPER
    ]
    images = len(everything[best])
    sentences.append(f"{images} images" if images > 1 else "One image: no intervals")
    return ". ".join(sentences) + "."


def _count(rows: list[str], word: str) -> str:
    return f"{len(rows)} {word}" + ("" if len(rows) == 1 else "s")


def _unit(printed: Metric) -> str:
    return f" {printed.unit}" if printed.unit else ""


def _distance(interval: Interval, other: str, printed: Metric) -> str:
    """Say how far one row is from another: ``0.404 dB above the average [+0.292, +0.513]``."""
    if not np.isfinite(interval.mean):
        return f"not comparable with {other}"
    size = printed.gain(interval.mean).lstrip("+−")
    words = ("above", "below") if printed.higher_is_better else ("better than", "worse than")
    text = f"{size}{_unit(printed)} {words[interval.mean < 0]} {other}"
    if np.isfinite(interval.low):
        chance = ", may be chance" if interval.holds_zero else ""
        text += f" [{printed.gain(interval.low)}, {printed.gain(interval.high)}{chance}]"
    return text
