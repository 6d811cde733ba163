"""Score: fused images or predictions beside their targets → the metrics of every image."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from ensir import InputError, functions, images, store
from ensir.layout import Place
from ensir.metrics import luma
from ensir.publish import publish

Progress = Callable[[int, int], None]
COLUMNS = ("experiment", "dataset", "method", "image", "metric", "value")


def score(
    place: Place,
    experiment: str,
    dataset: str,
    method: str,
    settings: dict[str, Any],
    dataset_parts: list[str],
    result_parts: list[str],
    progress: Progress,
) -> None:
    """Score every image of a test set and write the values as CSV.

    Parameters
    ----------
    place : Place
        Where the CSV goes.
    experiment, dataset, method : str
        Names for the first columns; a base model counts as a method.
    settings : dict
        The experiment's `score` section, as plain data.
    dataset_parts, result_parts : list of str
        Parts with the targets, and the parts with the fused images or predictions.
    progress : callable
    """
    rows = []
    for done, (target_path, result_path) in enumerate(zip(dataset_parts, result_parts, strict=True)):
        target, result = store.Part(target_path), store.Part(result_path)
        store.aligned([target, result])
        for name in target.names:
            values = compare(target.image(name), result.image(name), target.bits, settings)
            rows += [(experiment, dataset, method, name, metric, value) for metric, value in values.items()]
        progress(done + 1, len(dataset_parts))
    with publish(place) as partial:
        write_csv(partial, COLUMNS, sorted(rows))


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table with a header, values to six decimals."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([f"{cell:.6f}" if isinstance(cell, float) else cell for cell in row] for row in rows)


def write_seconds(
    place: Place, experiment: str, dataset: str, method: str, metric: str, seconds: dict[str, float]
) -> None:
    """Write how long something took, by image, as a table like that of `score`.

    Parameters
    ----------
    place : Place
        Where the CSV goes.
    experiment, dataset, method : str
        Names for the first columns.
    metric : str
        "seconds" for fusing; "fit_seconds" for a fit, of the reference dataset and no image.
    seconds : dict
        By image name.
    """
    rows = [(experiment, dataset, method, name, metric, value) for name, value in seconds.items()]
    with publish(place) as partial:
        write_csv(partial, COLUMNS, rows)


def summarize(all_scores: Place, summary: Place, scores: list[str]) -> None:
    """Collect the scores and seconds of all methods into one table, and their means over images into another.

    Parameters
    ----------
    all_scores, summary : Place
        Where the two tables go.
    scores : list of str
        Tables of single methods, in the order in which they shall stand.
    """
    import pandas as pd

    names = dict.fromkeys(COLUMNS[:-1], str)
    tables = [pd.read_csv(path, dtype=names, keep_default_na=False) for path in scores]
    rows = pd.concat(tables).groupby(list(COLUMNS[:-1]), sort=False, as_index=False)
    table = rows.sum(min_count=1)  # the seconds of shards add up
    means = table.groupby(["experiment", "dataset", "method", "metric"], sort=False)["value"]
    summarized = means.agg(mean="mean", n="count").reset_index()
    for place, columns in ((all_scores, table), (summary, summarized)):
        with publish(place) as partial:
            columns.to_csv(partial, index=False, float_format="%.6f")


def compare(
    target: Shaped[np.ndarray, "height width channel"],
    result: Shaped[np.ndarray, "height width channel"],
    bits: int,
    settings: dict[str, Any],
) -> dict[str, float]:
    """Score one image.

    Parameters
    ----------
    target : integer array, (height, width, channel)
    result : integer or float array of the same shape
        In the code values of the target.
    bits : int
        8 or 16: depth of the target.
    settings : dict
        `space`, `crop`, `metrics` and `rounded` of the configuration.

    Returns
    -------
    dict
        Value of each metric, by name.

    Raises
    ------
    InputError
        A metric cannot be imported, or fails.
    """
    if settings["rounded"]:
        result = images.to_integers(result, target.dtype, "result")
    unit = 1 if bits == 8 else 257
    crop = settings["crop"]
    inner = np.s_[crop : target.shape[0] - crop, crop : target.shape[1] - crop]
    y, x = target[inner].astype(np.float64) / unit, result[inner].astype(np.float64) / unit
    if settings["space"] == "y" and y.shape[2] == 3:
        y, x = luma(y), luma(x)
    return {name: _number(metric["function"], y, x) for name, metric in settings["metrics"].items()}


def _number(function: str, target: np.ndarray, result: np.ndarray) -> float:
    try:
        return float(functions.load(function)(target, result))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"metric {function}: failed ({type(error).__name__}: {error})") from error
