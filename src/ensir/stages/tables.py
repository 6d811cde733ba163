"""Tables: scores → the tables of a paper, each as CSV, Markdown and LaTeX.

For each experiment: `comparison` (methods and base models), `differences` (with intervals), `bin_width` and
`max_steps` (where methods differ in nothing else), `runtime` (where it was measured).
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from typing import Any

from ensir.report.sheets import Sheet, write
from ensir.report.tables import times
from ensir.scoring.differences import NOT_ABOVE_AVERAGE, NOT_ABOVE_BEST, differences
from ensir.scoring.interval import Interval
from ensir.scoring.scores import (
    TIME_METRICS,
    Cell,
    Metric,
    Scores,
    Table,
    baseline,
    competitors,
    direction,
    metrics_of,
    ranked,
    read,
)
from ensir.storage.atomic import written
from ensir.storage.layout import Place

SWEPT = {"bin_width": "bin width", "max_steps": "EM steps"}
TIMES = "Fit: seconds on the reference; Time: seconds per fused image."


def tables(place: Place, experiments: dict[str, Any], scores: str, summary: str) -> None:
    """Write the tables of all experiments.

    Parameters
    ----------
    place : Place
        The folder of the tables; each experiment has a folder in it.
    experiments : dict
        Sections of the configuration by name, as plain data.
    scores, summary : str
        The CSV files of all scores, and of their means.
    """
    everything = read(scores, summary)
    with written(place) as folder:
        for name, experiment in experiments.items():
            (folder / name).mkdir(parents=True)
            for sheet in sheets(name, experiment, everything):
                write(folder / name, sheet)


def sheets(name: str, experiment: dict[str, Any], scores: Scores) -> Iterator[Sheet]:
    """Yield the tables of one experiment: of scores only where there are any."""
    if scores.tests(name, experiment):
        yield comparison(name, experiment, scores)
        yield with_intervals(name, experiment, scores)
    for option in SWEPT:
        if families(experiment, option):
            yield sweep(name, experiment, scores, option)
    if times(name, experiment, scores, experiment["methods"]):
        yield runtime(name, experiment, scores)


# ── which methods are in which table ─────────────────────────────────────────────────────────────────────────


def families(experiment: dict[str, Any], option: str) -> dict[str, dict[Any, str]]:
    """Return methods that differ in one option only: the method of each value, by the name of the first method."""
    alike: dict[str, dict[Any, str]] = {}
    for method, settings in experiment["methods"].items():
        if option in settings:
            others = json.dumps({**settings, option: None}, sort_keys=True)
            alike.setdefault(others, {}).setdefault(settings[option], method)
    return {
        next(iter(family.values())): dict(
            sorted(family.items(), key=lambda item: (str(item[0]).isalpha(), item[0]))
        )
        for family in alike.values()
        if len(family) > 1
    }


def compared(experiment: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (group, name) of base models and methods, without the instances that `sweep` made."""
    kept: dict[str, dict[str, Any]] = {}
    for method, settings in experiment["methods"].items():
        swept = any(
            settings.get(option) in values and {**settings, option: earlier.get(option)} == earlier
            for option, values in experiment["sweep"].items()
            for earlier in kept.values()
        )
        if not swept:
            kept[method] = settings
    return [(group, name) for group, name in competitors(experiment) if group != "Methods" or name in kept]


# ── the tables ───────────────────────────────────────────────────────────────────────────────────────────────


def comparison(name: str, experiment: dict[str, Any], scores: Scores) -> Sheet:
    """Compare methods and base models: dataset × metric, marked where a method does not clearly differ."""
    names = compared(experiment)
    signs = {found[:3]: found.signs for found in differences(name, experiment, scores, names)}
    columns, groups, records = [], [], []
    for dataset in scores.tests(name, experiment):
        for metric, printed in metrics_of(experiment).items():
            values = [scores.means.get((name, dataset, method, metric), math.nan) for _, method in names]
            cells = ranked(values, printed)
            columns.append(
                [
                    cell._replace(text=cell.text + signs.get((method, dataset, metric), ""))
                    for cell, (_, method) in zip(cells, names, strict=True)
                ]
            )
            left_out = scores.left_out(name, dataset, metric)
            images = [scores.values.get((name, dataset, method, metric), {}).keys() for _, method in names]
            records += [
                (method, dataset, metric, value, len(there - left_out))
                for value, there, (_, method) in zip(values, images, names, strict=True)
            ]
        groups.append((dataset, [printed.label for printed in metrics_of(experiment).values()]))
    rows = [(group, method, [column[i] for column in columns]) for i, (group, method) in enumerate(names)]
    return Sheet(
        "comparison",
        f"{name}: means over the images of each test set; best bold, second underlined{direction(experiment)}. "
        f"Not significantly different from the average ({NOT_ABOVE_AVERAGE}) or from the best base model "
        f"({NOT_ABOVE_BEST}): the 95 % interval over images holds zero; it takes two images."
        f"{_left_out(name, experiment, scores)}",
        ("", "method"),
        Table(groups, rows),
        ["method", "dataset", "metric", "mean", "images"],
        records,
    )


def with_intervals(name: str, experiment: dict[str, Any], scores: Scores) -> Sheet:
    """Show how far each method is from the average and from the best base model, with intervals."""
    printed = metrics_of(experiment)
    signs = [*([NOT_ABOVE_AVERAGE] if baseline(experiment) else []), NOT_ABOVE_BEST]
    cells: dict[tuple[str, str], list[Cell]] = {}
    records = []
    for method, dataset, metric, baselines in differences(name, experiment, scores, compared(experiment)):
        for sign in signs:
            if sign not in baselines:  # the average itself
                cells.setdefault((dataset, method), []).append(Cell("–", math.nan))
                continue
            other, interval = baselines[sign]
            cells.setdefault((dataset, method), []).append(_interval_cell(interval, printed[metric]))
            significant = "" if math.isnan(interval.low) else "no" if interval.holds_zero else "yes"
            records.append((method, other, dataset, metric, *interval, significant))
    heads = {NOT_ABOVE_AVERAGE: f"− {baseline(experiment)}", NOT_ABOVE_BEST: "− best base model"}
    groups = [(metric.label, [heads[sign] for sign in signs]) for metric in printed.values()]
    order = [method for group, method in compared(experiment) if group == "Methods"]
    rows = [(d, m, cells[d, m]) for d in scores.tests(name, experiment) for m in order]
    return Sheet(
        "differences",
        f"{name}: mean difference over the images of each test set, with its paired 95 % interval"
        f"{direction(experiment)}. n.s.: not significant, the interval holds zero; –: there is none of one image."
        f"{_left_out(name, experiment, scores)}",
        ("test set", "method"),
        Table(groups, rows),
        ["method", "baseline", "dataset", "metric", "difference", "low", "high", "significant"],
        records,
    )


def _interval_cell(interval: Interval, printed: Metric) -> Cell:
    mean, low, high = map(printed.gain, interval)
    return Cell(f"{mean} [{low}, {high}]{' n.s.' if interval.holds_zero else ''}", interval.mean)


def sweep(name: str, experiment: dict[str, Any], scores: Scores, option: str) -> Sheet:
    """Compare methods that differ in one option: its value × dataset, with the times that were measured."""
    rows: list[tuple[str, str, list[Cell]]] = []
    records: list[tuple[Any, ...]] = []
    methods = [method for family in families(experiment, option).values() for method in family.values()]
    columns = [
        *times(name, experiment, scores, methods),
        *(
            (dataset, metric)
            for dataset in scores.tests(name, experiment)
            for metric in metrics_of(experiment)
        ),
    ]
    columns.sort(key=lambda column: [experiment["reference"], *experiment["tests"]].index(column[0]))
    for first, family in families(experiment, option).items():
        ranks = []
        for dataset, metric in columns:
            values = [scores.means.get((name, dataset, m, metric), math.nan) for m in family.values()]
            ranks.append(ranked(values, _printed(experiment, metric)))
            records += [
                (first, value, dataset, metric, mean) for value, mean in zip(family, values, strict=True)
            ]
        rows += [(first, str(value), [column[i] for column in ranks]) for i, value in enumerate(family)]
    return Sheet(
        option,
        f"{name}: {SWEPT[option]}; means over the images of each test set. {TIMES}"
        f"{_left_out(name, experiment, scores)}",
        ("method", SWEPT[option]),
        Table(_grouped(experiment, columns), rows),
        ["method", option, "dataset", "metric", "mean"],
        records,
    )


def runtime(name: str, experiment: dict[str, Any], scores: Scores) -> Sheet:
    """Compare the times that methods take."""
    names = [(group, method) for group, method in compared(experiment) if group == "Methods"]
    columns = times(name, experiment, scores, [method for _, method in names])
    ranks, records = [], []
    for dataset, metric in columns:
        values = [scores.means.get((name, dataset, method, metric), math.nan) for _, method in names]
        ranks.append(ranked(values, TIME_METRICS[metric]))
        records += [
            (method, dataset, metric, value) for (_, method), value in zip(names, values, strict=True)
        ]
    rows = [(group, method, [column[i] for column in ranks]) for i, (group, method) in enumerate(names)]
    return Sheet(
        "runtime",
        f"{name}: times. {TIMES}",
        ("", "method"),
        Table(_grouped(experiment, columns), rows),
        ["method", "dataset", "metric", "seconds"],
        records,
    )


def _left_out(name: str, experiment: dict[str, Any], scores: Scores) -> str:
    """Return the end of a caption: which means leave out images that are infinite."""
    return "".join(f" {note}." for note in scores.notes(name, metrics_of(experiment)))


def _printed(experiment: dict[str, Any], metric: str) -> Metric:
    return metrics_of(experiment).get(metric) or TIME_METRICS[metric]


def _grouped(experiment: dict[str, Any], columns: list[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Return the headings of (dataset, metric) columns."""
    return [
        (dataset, [_printed(experiment, metric).label for _, metric in group])
        for dataset, group in itertools.groupby(columns, key=lambda column: column[0])
    ]
