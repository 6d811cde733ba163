"""Score: fused images or predictions, and their targets → the metrics of every image."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir import registry
from ensir.errors import InputError
from ensir.images import similarity
from ensir.images.colours import luma
from ensir.images.depth import to_integers, unit, white
from ensir.metrics import NO_COLOURS
from ensir.scoring.rows import COLUMNS, write_csv
from ensir.storage import reading
from ensir.storage.atomic import written
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from jaxtyping import Shaped

    from ensir.storage.progress import Progress

    Image = Shaped[np.ndarray, "height width channel"] | reading.ImageOnDisk


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
    target, result = reading.Part(dataset_part), reading.Part(result_part)
    reading.aligned([target, result])
    rows: list[tuple[Any, ...]] = []
    for i, name in enumerate(target.names):
        values = compare(name, target.on_disk(i), result.on_disk(i), target.bits, settings)
        rows += [(experiment, dataset, method, name, metric, value) for metric, value in values.items()]
        progress(i + 1, len(target.names))
    rows.sort(key=lambda row: row[COLUMNS.index("image")])
    with written(place) as partial:
        write_csv(partial, COLUMNS, rows)


def compare(
    name: str,
    target: Image,
    result: Image,
    bits: int,
    settings: dict[str, Any],
) -> dict[str, float]:
    """Score one image.

    Parameters
    ----------
    name : str
        Name of the image, for error messages.
    target : integer array, (height, width, channel), or an image of a store
    result : integer or float array of the same shape, or an image of a store
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
    crop = settings["crop"]
    height, width = target.shape[:2]
    if min(height, width) <= 2 * crop:
        raise InputError(
            f"image {name!r}: is {width}×{height}, of which a crop of {crop} leaves nothing; lower `crop`"
        )
    inner: list[Any] = [
        Inner(target, crop, None),
        Inner(result, crop, target.dtype if settings["rounded"] else None),
    ]
    colour = target.shape[2] == 3
    as_luma = settings["space"] == "y" and colour

    @cache
    def levels() -> list[np.ndarray]:
        images = [image[:].astype(np.float64) / unit(bits) for image in inner]
        return [luma(image) for image in images] if as_luma else images

    values, running = dict.fromkeys(settings["metrics"], math.nan), {}
    for metric, section in settings["metrics"].items():
        kind = registry.module("metrics", section["kind"])
        declared = registry.section("metrics", section["kind"])
        smallest = declared.smallest
        if as_luma and declared.of_colours:
            raise InputError(f"metric {metric}: {NO_COLOURS}")
        if min(inner[0].shape[:2]) < smallest:
            raise InputError(
                f"image {name!r}: is {width}×{height}, and with a crop of {crop} too small for {metric}, which needs "
                f"{smallest}×{smallest} pixels; lower the crop, leave the image out, or score by other metrics"
            )
        if hasattr(kind, "running"):
            running[metric] = kind.running(white(bits))
            continue
        try:
            values[metric] = float(kind.measure(*levels(), section))
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"image {name!r}: metric {metric} failed ({type(error).__name__}: {error}); fix it, or leave it out"
            ) from error
    for luma_of in (False, True):
        group = [found for found in running.values() if (colour and (as_luma or found.of_luma)) == luma_of]
        if group:
            similarity.compare(group, inner[0], inner[1], white(bits), luma_of)
    return values | {metric: found.value() for metric, found in running.items()}


class Inner:
    """An image without its border, rounded on request, of which rows are read when they are asked for."""

    def __init__(self, image: Image, border: int, rounded: np.dtype | None):
        height, width, channels = image.shape
        self.shape = (height - 2 * border, width - 2 * border, channels)
        self.image, self.border, self.rounded = image, border, rounded

    def __getitem__(self, rows: slice) -> Shaped[np.ndarray, "row width channel"]:
        """Return some rows."""
        height, width, _ = self.shape
        start, stop, _ = rows.indices(height)
        values = self.image[start + self.border : stop + self.border][:, self.border : self.border + width]
        return to_integers(values, self.rounded, "result") if self.rounded else values
