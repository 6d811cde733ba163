"""Rows of scores and seconds, as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ensir.storage.atomic import written
from ensir.storage.layout import Place

COLUMNS = ("experiment", "dataset", "method", "image", "metric", "value")


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
    with written(place) as partial:
        write_csv(partial, COLUMNS, rows)
