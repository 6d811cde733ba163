"""Score tables in a terminal: means, their units, how images were compared, and over how many of them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ensir.errors import InputError
from ensir.metrics import PRINTED
from ensir.scoring.scores import TIME_METRICS, Cell, Metric, Scores, metric, ranked, read_values
from ensir.storage.digests import check_before_reading

if TYPE_CHECKING:
    from rich.table import Table as RichTable

MARKS = {"best": "[bold]{}[/bold]", "second": "[underline]{}[/underline]", "": "{}"}


@dataclass(frozen=True)
class Means:
    """What a table shows.

    Attributes
    ----------
    experiment : str
        Its name, or empty.
    compared : str
        How images were compared with their targets, or empty where that is unknown.
    values : dict
        Mean by (method, dataset, metric).
    images : dict
        Over how many images, by (dataset, metric).
    """

    experiment: str
    compared: str
    values: dict[tuple[str, str, str], float] = field(default_factory=dict)
    images: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, method: str, dataset: str, metric: str, mean: float, images: int) -> None:
        """Add a number of the table."""
        self.values[method, dataset, metric] = mean
        self.images[dataset, metric] = images


def compared(space: str, crop: int) -> str:
    """Say how images were compared with their targets."""
    channels = "luma (BT.601)" if space == "y" else "RGB"
    return f"{channels}, {f'without a border of {crop} pixels' if crop else 'whole images'}"


def show_run(summary: Path) -> None:
    """Print the table of each experiment of a run, from its summary and the files beside it."""
    if not summary.is_file():
        raise InputError(f"{summary}: no such file")
    beside = summary.with_name("scores.csv")
    scores = Scores({}, read_values([str(beside)] if beside.is_file() else []))
    for means in _read(summary):
        show(means, scores)


def _read(summary: Path) -> Iterator[Means]:
    check_before_reading(summary)
    with open(summary, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    conventions = _conventions(summary.with_name("provenance.json"))
    for experiment in dict.fromkeys(row["experiment"] for row in rows):
        means = Means(experiment, conventions.get(experiment, ""))
        for row in rows:
            if row["experiment"] == experiment:
                means.add(row["method"], row["dataset"], row["metric"], float(row["mean"]), int(row["n"]))
        yield means


def _conventions(provenance: Path) -> dict[str, str]:
    """Return how the images of each experiment were compared; empty where the run has left no record of it."""
    if not provenance.is_file():
        return {}
    check_before_reading(provenance)
    experiments = json.loads(provenance.read_text(encoding="utf-8"))["run"]["config"]["experiments"]
    sections = {name: experiment.get("score") or {} for name, experiment in experiments.items()}
    return {
        name: compared(score.get("space", "rgb"), score.get("crop", 0)) for name, score in sections.items()
    }


def show(means: Means, scores: Scores) -> None:
    """Print means, and which images they leave out; best bold, second underlined.

    The user's own metrics, whose direction is not known here, have no ranks.
    """
    from rich.markup import escape
    from rich.table import Table

    printed = _printed()
    methods = list(dict.fromkeys(method for method, _, _ in means.values))
    columns = list(dict.fromkeys((dataset, metric) for _, dataset, metric in means.values))
    cells = []
    for column in columns:
        values = [means.values.get((method, *column), math.nan) for method in methods]
        known = printed.get(column[1])
        cells.append(ranked(values, known) if known else [Cell(Metric("", "", 4).text(v), v) for v in values])
    title = ": ".join(filter(None, [means.experiment, means.compared]))
    table = Table("")
    for dataset, name in columns:
        table.add_column(escape(_head(dataset, name, means.images[dataset, name], printed)), justify="right")
    for i, method in enumerate(methods):
        table.add_row(escape(method), *(MARKS[column[i].mark].format(column[i].text) for column in cells))
    typer.echo(title)
    print_table(table)
    for note in scores.notes(means.experiment, {m: printed.get(m, Metric(m, "", 4)) for _, m in columns}):
        typer.echo(note)


def print_table(table: RichTable) -> None:
    """Print a table, as wide as it is: where the terminal is narrower, it wraps the lines."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console()
    whole = Measurement.get(console, console.options.update(max_width=10_000), table).maximum
    Console(width=max(console.width, whole)).print(table)  # one that was cut would have no numbers


def _head(dataset: str, name: str, images: int, printed: dict[str, Metric]) -> str:
    """Return what stands above a column: the data set, the metric with its unit, the number of images."""
    known = printed.get(name)
    label = known.heading if known else name
    return "\n".join(filter(None, [dataset, label, "" if name == "fit_seconds" else f"n = {images}"]))


def _printed() -> dict[str, Metric]:
    """Return how times and the metrics that ship with the package are printed."""
    from ensir.config.schema import METRICS

    return TIME_METRICS | {
        name: metric(name, section.model_construct(kind=name).printed)
        for name, section in METRICS.items()
        if not any(field.is_required() for key, field in section.model_fields.items() if key in PRINTED)
    }
