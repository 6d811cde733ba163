"""How much the base models disagree on an image: told by the scores alone, without reading a pixel."""

from __future__ import annotations

from typing import Any

from ensir.scoring.scores import Scores, baseline


def of_images(name: str, experiment: dict[str, Any], dataset: str, scores: Scores) -> dict[str, float]:
    """Return by image the root mean square of the base models' deviations from their mean, in levels of 0–255.

    It is over the values that are scored: the mean squared error of the models, on average, minus that of their mean,
    is the mean square of their deviations from it (Krogh and Vedelsby 1995, "Neural Network Ensembles, Cross
    Validation, and Active Learning"). Empty where no method averages, PSNR is not measured, or results are rounded.
    """
    average, metrics = baseline(experiment), experiment["score"]["metrics"]
    metric = next((metric for metric, section in metrics.items() if section["kind"] == "psnr"), None)
    if average is None or metric is None or experiment["score"]["rounded"]:
        return {}
    rows = [scores.values.get((name, dataset, row, metric), {}) for row in (*experiment["models"], average)]
    found = {}
    for image in set.intersection(*map(set, rows)):
        *models, mean = (255**2 / 10 ** (row[image] / 10) for row in rows)
        found[image] = max(sum(models) / len(models) - mean, 0.0) ** 0.5
    return found
