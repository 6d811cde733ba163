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
    dataset_part: str,
    result_part: str,
    progress: Progress,
) -> None:
    """Score every image of one part of a test set and write the values as CSV.

    Parameters
    ----------
    place : Place
        Where the CSV goes.
    experiment, dataset, method : str
        Names for the first columns; a base model counts as a method.
    settings : dict
        The experiment's `score` section, as plain data.
    dataset_part, result_part : str
        The part with the targets, and the part with the fused images or predictions.
    progress : callable
    """
    target, result = store.Part(dataset_part), store.Part(result_part)
    store.aligned([target, result])
    rows = []
    for done, name in enumerate(target.names, 1):
        values = compare(name, target.image(name), result.image(name), target.bits, settings)
        rows += [(experiment, dataset, method, name, metric, value) for metric, value in values.items()]
        progress(done, len(target.names))
    with publish(place) as partial:
        write_csv(partial, COLUMNS, sorted(rows))


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table with a header, values to nine digits."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([f"{cell:.9g}" if isinstance(cell, float) else cell for cell in row] for row in rows)


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
        Tables of single parts and methods. Experiments, datasets, methods and metrics stand in the order in which they
        come first, images by name: how a test set is divided into parts shows in no bit.
    """
    import pandas as pd

    names = dict.fromkeys(COLUMNS[:-1], str)
    tables = [
        pd.read_csv(path, dtype=names, keep_default_na=False, na_values={"value": ["nan"]}) for path in scores
    ]
    rows = pd.concat(tables, ignore_index=True)
    rows["place"] = rows.groupby(["experiment", "dataset", "method"], sort=False).ngroup()
    rows["number"] = pd.factorize(rows["metric"])[0]
    rows = rows.sort_values(["place", "image", "number"], kind="stable")
    keys = rows.groupby(list(COLUMNS[:-1]), sort=False, as_index=False)
    table = keys["value"].sum(min_count=1)  # the seconds of shards add up
    means = table.groupby(["experiment", "dataset", "method", "metric"], sort=False)["value"]
    summarized = means.agg(mean=lambda values: values.mean(skipna=False), n="size").reset_index()
    for place, columns in ((all_scores, table), (summary, summarized)):
        with publish(place) as partial:
            columns.to_csv(partial, index=False, float_format="%.9g", na_rep="nan")


def compare(
    name: str,
    target: Shaped[np.ndarray, "height width channel"],
    result: Shaped[np.ndarray, "height width channel"],
    bits: int,
    settings: dict[str, Any],
) -> dict[str, float]:
    """Score one image.

    Parameters
    ----------
    name : str
        Of the image, for error messages.
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
        `crop` leaves nothing of the image, or a metric cannot be imported, or fails.
    """
    if settings["rounded"]:
        result = images.to_integers(result, target.dtype, "result")
    unit = 1 if bits == 8 else 257
    crop = settings["crop"]
    height, width = target.shape[:2]
    if min(height, width) <= 2 * crop:
        raise InputError(
            f"image {name!r}: is {width}×{height}, of which a crop of {crop} leaves nothing; lower `crop`"
        )
    inner = np.s_[crop : height - crop, crop : width - crop]
    y, x = target[inner].astype(np.float64) / unit, result[inner].astype(np.float64) / unit
    if settings["space"] == "y" and y.shape[2] == 3:
        y, x = luma(y), luma(x)
    return {
        metric: _number(name, section["function"], y, x) for metric, section in settings["metrics"].items()
    }


def _number(name: str, function: str, target: np.ndarray, result: np.ndarray) -> float:
    metric = functions.load(function)
    try:
        return float(metric(target, result))
    except Exception as error:
        raise InputError(
            f"image {name!r}: metric {function} failed ({type(error).__name__}: {error}); mend it, or leave it out"
        ) from error
