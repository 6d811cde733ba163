"""Tables: scores as papers print them, and what EM did in each LUT."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.cells.lut import ESTIMATED, FAILED, FEW, LUT
from ensir.cells.support import Support, held_out_of
from ensir.images.depth import unit
from ensir.scoring.differences import NOT_ABOVE_AVERAGE, differences
from ensir.scoring.interval import Interval
from ensir.scoring.scores import (
    TIME_METRICS,
    Cell,
    Metric,
    Scores,
    Table,
    baseline,
    competitors,
    first_metric,
    metrics_of,
    ranked,
)
from ensir.storage import origin
from ensir.storage.layout import Layout

if TYPE_CHECKING:
    from jaxtyping import Int

LUT_COLUMNS = [
    ("Bins", ["width", "groups"]),
    ("Cells", ["all", "occupied", "estimated", "few", "failed"]),
    ("Reference values", ["all", "estimated"]),
    ("EM steps", ["median", "most"]),
    ("RMSE", ["expected"]),
    ("Held-out values", list(Support().shares)),
]


WITH_MODELS = "with models (s)"
Runs = dict[str, dict[str, dict[str, float]]]


def runs(samples: Iterable[dict[str, Any]]) -> Runs:
    """Return, by test set and base model, the seconds per image of what has to run, by name; NaN where not known."""
    return {
        sample["dataset"]: origin.runs(
            Layout(sample["results"]),
            {
                model: [f"{store}/{part}" for part in sample["parts"]]
                for model, store in sample["predictions"].items()
            },
            sample["given"],
            sum(map(len, sample["parts"].values())),
        )
        for sample in samples
    }


def results(name: str, experiment: dict[str, Any], scores: Scores, runs: Runs) -> Table:
    """Return the table of means: of each test set its metrics, the gain over the average in the first, and the time.

    The time of a base model is that of all that has to run for it; that of a method, to fuse, and with all base models.
    """
    average, (first, _) = baseline(experiment), first_metric(experiment)
    names = competitors(experiment)
    found = {one[:3]: one for one in differences(name, experiment, scores)}
    columns: list[list[Cell]] = []
    groups = []
    for dataset in scores.tests(name, experiment):
        labels = []
        for metric, printed in metrics_of(experiment).items():
            means = {
                method: scores.means.get((name, dataset, method, metric), math.nan) for _, method in names
            }
            compared = [found.get((method, dataset, metric)) for method in means]
            cells = ranked(list(means.values()), printed)
            columns.append(
                [
                    cell._replace(signs=one.signs if one else "")
                    for cell, one in zip(cells, compared, strict=True)
                ]
            )
            labels.append(printed.heading)
            if average and metric == first:
                gains = [mean - means[average] for mean in means.values()]
                intervals = [one.of.get(NOT_ABOVE_AVERAGE) if one else None for one in compared]
                columns.append(
                    [
                        Cell(
                            printed.gain(gain),
                            gain,
                            interval=bounds(interval[1], printed) if interval else "",
                        )
                        for gain, interval in zip(gains, intervals, strict=True)
                    ]
                )
                labels.append("gain")
        groups.append((dataset, labels))
    for dataset, metric in times(name, experiment, scores, experiment["methods"]):
        printed = TIME_METRICS[metric]
        seconds = [scores.means.get((name, dataset, method, metric), math.nan) for _, method in names]
        labels, found_times = [printed.heading], [seconds]
        if metric == "seconds":
            found_times = _with_models(names, seconds, runs[dataset])
            labels.append(WITH_MODELS)
        columns += [[Cell(printed.text(value), value) for value in column] for column in found_times]
        groups.append((dataset, labels))
    rows = [(group, method, [column[i] for column in columns]) for i, (group, method) in enumerate(names)]
    return Table(groups, rows)


def _with_models(
    names: list[tuple[str, str]], seconds: list[float], needed: dict[str, dict[str, float]]
) -> list[list[float]]:
    """Return the seconds of each row, base models' too, and those of methods with all base models."""
    models = {model: sum(found.values()) for model, found in needed.items()}
    everything = sum({name: value for found in needed.values() for name, value in found.items()}.values())
    own = [models.get(name, value) for (_, name), value in zip(names, seconds, strict=True)]
    return [
        own,
        [value + (0 if name in models else everything) for (_, name), value in zip(names, own, strict=True)],
    ]


def conventions(experiment: dict[str, Any]) -> str:
    """Say how images are compared with their targets, as short as a heading: ``Y, crop 2``."""
    score = experiment["score"]
    parts = ["Y" if score["space"] == "y" else "RGB", f"crop {score['crop']}" if score["crop"] else ""]
    return ", ".join(filter(None, [*parts, "rounded" if score["rounded"] else ""]))


def times(
    name: str, experiment: dict[str, Any], scores: Scores, methods: Collection[str]
) -> list[tuple[str, str]]:
    """Return the measured times: (dataset, metric) of fits on the reference and of fusing the test sets."""
    wanted = [
        (experiment["reference"], "fit_seconds"),
        *((dataset, "seconds") for dataset in experiment["tests"]),
    ]
    return [
        column for column in wanted if any((name, column[0], m, column[1]) in scores.means for m in methods)
    ]


def bounds(interval: Interval, printed: Metric) -> str:
    """Print the bounds of a difference: ``[+0.292, +0.513]``; nothing where there are none."""
    if not math.isfinite(interval.low):
        return ""
    return f"[{printed.gain(interval.low)}, {printed.gain(interval.high)}]"


def difference(interval: Interval, printed: Metric, sign: int = 1) -> Cell:
    """Print a difference with its interval; of an improvement where lower is better, with the other sign."""
    mean, *ends = (sign * value for value in interval)
    turned = Interval(mean, min(ends), max(ends))
    return Cell(printed.gain(mean), mean, interval=bounds(turned, printed))


def per_image(name: str, experiment: dict[str, Any], dataset: str, scores: Scores) -> dict[str, Table]:
    """Return each metric of every image, by its heading: image × base models and methods."""
    names = competitors(experiment)
    groups = [
        (group, [method for other, method in names if other == group]) for group in ("Base models", "Methods")
    ]
    found = {
        printed: [scores.values.get((name, dataset, method, metric), {}) for _, method in names]
        for metric, printed in metrics_of(experiment).items()
    }
    images = sorted({image for columns in found.values() for column in columns for image in column})
    return {
        printed.heading: Table(
            groups,
            [
                ("", image, ranked([column.get(image, math.nan) for column in columns], printed))
                for image in images
            ],
        )
        for printed, columns in found.items()
    }


def lut_row(lut: LUT) -> list[Cell]:
    """Return what EM did in the cells of a LUT, under `LUT_COLUMNS`."""
    estimated = lut.status == ESTIMATED
    occupied, values = len(lut.status), int(lut.count.sum())
    steps = lut.iterations[estimated]
    squared_error = float(lut.count @ lut.expected_squared_error) / max(values, 1)
    shares = [float((lut.status == status).sum()) / max(occupied, 1) for status in (ESTIMATED, FEW, FAILED)]
    share_of_values = float(lut.count[estimated].sum()) / max(values, 1)
    return [
        *(Cell(f"{number:,}", number) for number in (lut.bin_width, lut.channels, lut.cells, occupied)),
        *(Cell(f"{share:.1%}", share) for share in shares),
        Cell(f"{values:,}", values),
        Cell(f"{share_of_values:.1%}", share_of_values),
        *(Cell(f"{number:,.0f}", number) for number in (_median(steps), float(steps.max(initial=0)))),
        Cell(f"{math.sqrt(squared_error) / unit(lut.bits):.2f}", squared_error),
        *support_cells(held_out_of(lut)),
    ]


def support_cells(support: Support | None) -> list[Cell]:
    """Return the shares of a support; dashes where it is unknown."""
    if support is None:
        return [Cell("–", math.nan)] * len(Support().shares)
    return [Cell(f"{share:.1%}", share) for share in support.shares.values()]


def _median(steps: Int[np.ndarray, " cell"]) -> float:
    return float(np.median(steps)) if len(steps) else 0.0


def notes(samples: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return notes on test sets, by experiment: which files are left out, and grey images among colour ones."""
    found: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        tested, there = sample["files"]
        if tested < there:
            found[sample["experiment"]].append(
                f"{sample['dataset']}: {tested} of {there} files: the others are excluded, or do not match the pattern."
            )
        if "grey" in sample:
            found[sample["experiment"]].append(
                f"{sample['dataset']}: holds grey images among colour ones, such as {sample['grey']}; they are scored "
                "with three equal channels, as published code does."
            )
    return found
