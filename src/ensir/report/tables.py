"""Tables: scores as papers print them, and what EM did in each LUT."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.cells.lut import ESTIMATED, FAILED, FEW, LUT
from ensir.cells.support import Support, held_out_of
from ensir.images.depth import unit
from ensir.scoring.scores import Cell, Scores, Table, baseline, competitors, first_metric, metrics_of, ranked

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


def results(name: str, experiment: dict[str, Any], scores: Scores) -> Table:
    """Return the table of means: dataset × metric, with the gain over the average in the first metric."""
    average, (first, _) = baseline(experiment), first_metric(experiment)
    names = competitors(experiment)
    columns: list[list[Cell]] = []
    groups = []
    for dataset in experiment["tests"]:
        labels = []
        for metric, printed in metrics_of(experiment).items():
            means = {
                method: scores.means.get((name, dataset, method, metric), math.nan) for _, method in names
            }
            columns.append(ranked(list(means.values()), printed))
            labels.append(printed.label)
            if average and metric == first:
                gains = [mean - means[average] for mean in means.values()]
                columns.append([Cell(printed.gain(gain), gain) for gain in gains])
                labels.append("gain")
        groups.append((dataset, labels))
    rows = [(group, method, [column[i] for column in columns]) for i, (group, method) in enumerate(names)]
    return Table(groups, rows)


def per_image(name: str, experiment: dict[str, Any], dataset: str, scores: Scores) -> Table:
    """Return the first metric of every image: image × base models and methods."""
    metric, printed = first_metric(experiment)
    names = competitors(experiment)
    columns = [scores.values.get((name, dataset, method, metric), {}) for _, method in names]
    images = sorted({image for column in columns for image in column})
    rows = [
        ("", image, ranked([column.get(image, math.nan) for column in columns], printed)) for image in images
    ]
    groups = [
        (group, [method for other, method in names if other == group]) for group in ("Base models", "Methods")
    ]
    return Table(groups, rows)


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


def left_out(samples: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return notes on test sets that leave out images which lie beside theirs, by experiment."""
    notes: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        tested, there = sample["files"]
        if tested < there:
            notes[sample["experiment"]].append(
                f"{sample['dataset']}: {tested} of {there} files: the others are excluded, or do not match the pattern."
            )
    return notes
