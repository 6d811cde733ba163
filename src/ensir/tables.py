"""Tables: scores → the tables of a paper, each as CSV, Markdown and LaTeX.

Of each experiment: `comparison` (methods beside base models), `differences` (with intervals), `bin_width` and
`max_steps` (where methods differ in nothing else), `runtime` (where it was measured).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ensir import store
from ensir.bootstrap import Interval, intervals
from ensir.layout import Place
from ensir.score import write_csv
from ensir.scores import METRICS, Cell, Metric, Scores, Table, baseline, competitors, metrics_of, ranked, read

SECONDS = "seconds"
SWEPT = {"bin_width": "bin width", "max_steps": "EM steps"}
NOT_ABOVE_AVERAGE, NOT_ABOVE_BEST = "†", "‡"
Row = tuple[str, str, str, float]  # name, dataset, metric, value


@dataclass(frozen=True)
class Sheet:
    """One table to be published.

    Attributes
    ----------
    name : str
        Of its files.
    caption : str
    headings : (str, str)
        Above the group and the name of the rows; without a heading, groups are not printed.
    table : Table
    columns : list of str
        Header of the CSV.
    records : list of tuple
        Its rows, one per number, unrounded.
    """

    name: str
    caption: str
    headings: tuple[str, str]
    table: Table
    columns: list[str]
    records: list[tuple[Any, ...]]


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
    found = read(scores, summary)
    with store.publish(place) as folder:
        for name, experiment in experiments.items():
            (folder / name).mkdir(parents=True)
            for sheet in sheets(name, experiment, found):
                _write(folder / name, sheet)


def sheets(name: str, experiment: dict[str, Any], scores: Scores) -> Iterator[Sheet]:
    """Yield the tables of one experiment."""
    yield comparison(name, experiment, scores)
    yield differences(name, experiment, scores)
    for option in SWEPT:
        if families(experiment, option):
            yield sweep(name, experiment, scores, option)
    if any(metric == SECONDS and key == name for key, _, _, metric in scores.means):
        yield runtime(name, experiment, scores)


# ── which methods stand in which table ───────────────────────────────────────────────────────────────────────


def families(experiment: dict[str, Any], option: str) -> dict[str, dict[Any, str]]:
    """Return methods that differ in one option only: by the first one's name, the method of each value."""
    found: dict[str, dict[Any, str]] = {}
    for method, settings in experiment["methods"].items():
        if option in settings:
            others = json.dumps({**settings, option: None}, sort_keys=True)
            found.setdefault(others, {}).setdefault(settings[option], method)
    return {
        next(iter(family.values())): dict(
            sorted(family.items(), key=lambda item: (str(item[0]).isalpha(), item[0]))
        )
        for family in found.values()
        if len(family) > 1
    }


def compared(experiment: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (group, name) of base models and methods, without the instances that `sweep` made."""
    swept = {
        method
        for option, values in experiment.get("sweep", {}).items()
        for first, family in families(experiment, option).items()
        for value, method in family.items()
        if value in values and method != first
    }
    return [(group, name) for group, name in competitors(experiment) if name not in swept]


def best_base_model(
    name: str, experiment: dict[str, Any], scores: Scores, dataset: str, metric: str, printed: Metric
) -> str:
    """Return the base model with the best mean."""
    sign = 1 if printed.higher_is_better else -1
    return max(
        experiment["models"],
        key=lambda model: sign * scores.means.get((name, dataset, model, metric), -math.inf),
    )


# ── the tables ───────────────────────────────────────────────────────────────────────────────────────────────


def comparison(name: str, experiment: dict[str, Any], scores: Scores) -> Sheet:
    """Compare methods and base models: dataset × metric, marked where a method is not clearly apart."""
    names = compared(experiment)
    marks: dict[tuple[str, str, str], str] = {}
    for method, dataset, metric, baselines in _differences(name, experiment, scores):
        for sign, (_, interval) in baselines.items():
            if not interval.significant:
                marks[method, dataset, metric] = marks.get((method, dataset, metric), "") + sign
    columns, groups, records = [], [], []
    for dataset in experiment["tests"]:
        for metric, printed in metrics_of(experiment).items():
            values = [scores.means.get((name, dataset, method, metric), math.nan) for _, method in names]
            cells = ranked(values, printed)
            columns.append(
                [
                    cell._replace(text=cell.text + marks.get((method, dataset, metric), ""))
                    for cell, (_, method) in zip(cells, names, strict=True)
                ]
            )
            records += [
                (method, dataset, metric, value, len(scores.values.get((name, dataset, method, metric), {})))
                for value, (_, method) in zip(values, names, strict=True)
            ]
        groups.append((dataset, [printed.label for printed in metrics_of(experiment).values()]))
    rows = [(group, method, [column[i] for column in columns]) for i, (group, method) in enumerate(names)]
    return Sheet(
        "comparison",
        f"{name}: means over the images of each test set; best bold, second underlined{_direction(experiment)}. "
        f"Not significantly different from the average ({NOT_ABOVE_AVERAGE}) or from the best base model "
        f"({NOT_ABOVE_BEST}): the 95 % bootstrap interval over images holds zero.",
        ("", "method"),
        Table(groups, rows),
        ["method", "dataset", "metric", "mean", "images"],
        records,
    )


def differences(name: str, experiment: dict[str, Any], scores: Scores) -> Sheet:
    """Tell how far each method is from the average and from the best base model, with intervals."""
    printed = metrics_of(experiment)
    signs = [*([NOT_ABOVE_AVERAGE] if baseline(experiment) else []), NOT_ABOVE_BEST]
    cells: dict[tuple[str, str], list[Cell]] = {}
    records = []
    for method, dataset, metric, baselines in _differences(name, experiment, scores):
        for sign in signs:
            if sign not in baselines:  # the average itself
                cells.setdefault((dataset, method), []).append(Cell("–", math.nan))
                continue
            other, interval = baselines[sign]
            cells.setdefault((dataset, method), []).append(_interval_cell(interval, printed[metric]))
            significant = "yes" if interval.significant else "no"
            records.append((method, other, dataset, metric, *interval, significant))
    heads = {NOT_ABOVE_AVERAGE: f"− {baseline(experiment)}", NOT_ABOVE_BEST: "− best base model"}
    groups = [(metric.label, [heads[sign] for sign in signs]) for metric in printed.values()]
    order = [method for group, method in compared(experiment) if group == "Methods"]
    rows = [(d, m, cells[d, m]) for d in experiment["tests"] for m in order]
    return Sheet(
        "differences",
        f"{name}: mean difference over the images of each test set, with its paired bootstrap 95 % interval"
        f"{_direction(experiment)}. n.s.: not significant, the interval holds zero.",
        ("test set", "method"),
        Table(groups, rows),
        ["method", "baseline", "dataset", "metric", "difference", "low", "high", "significant"],
        records,
    )


def _differences(
    name: str, experiment: dict[str, Any], scores: Scores
) -> Iterator[tuple[str, str, str, dict[str, tuple[str, Interval]]]]:
    """Yield (method, dataset, metric, {mark: (baseline, interval)}) for every method."""
    methods = [method for group, method in compared(experiment) if group == "Methods"]
    average = baseline(experiment)
    for dataset in experiment["tests"]:
        for metric, printed in metrics_of(experiment).items():
            best = best_base_model(name, experiment, scores, dataset, metric, printed)
            pairs = [
                (method, sign, other)
                for method in methods
                for sign, other in ((NOT_ABOVE_AVERAGE, average), (NOT_ABOVE_BEST, best))
                if other is not None and other != method
            ]
            images = sorted(scores.values.get((name, dataset, best, metric), {}))
            gains = [scores.gain((name, dataset, method, metric), other) for method, _, other in pairs]
            found = intervals(np.array([[gain.get(i, math.nan) for i in images] for gain in gains]))
            for method in methods:
                mine = {s: (o, f) for (m, s, o), f in zip(pairs, found, strict=True) if m == method}
                yield method, dataset, metric, mine


def _interval_cell(interval: Interval, printed: Metric) -> Cell:
    mean, low, high = map(printed.gain, interval)
    return Cell(f"{mean} [{low}, {high}]{'' if interval.significant else ' n.s.'}", interval.mean)


def sweep(name: str, experiment: dict[str, Any], scores: Scores, option: str) -> Sheet:
    """Compare methods that differ in one option: its value × dataset, with the time where it was measured."""
    printed = {SECONDS: METRICS[SECONDS], **metrics_of(experiment)}
    if not any(key == name and metric == SECONDS for key, _, _, metric in scores.means):
        del printed[SECONDS]
    rows, records = [], []
    for first, family in families(experiment, option).items():
        columns = []
        for dataset in experiment["tests"]:
            for metric, how in printed.items():
                values = [scores.means.get((name, dataset, m, metric), math.nan) for m in family.values()]
                columns.append(ranked(values, how))
                records += [
                    (first, value, dataset, metric, mean) for value, mean in zip(family, values, strict=True)
                ]
        rows += [(first, str(value), [column[i] for column in columns]) for i, value in enumerate(family)]
    groups = [(dataset, [how.label for how in printed.values()]) for dataset in experiment["tests"]]
    return Sheet(
        option,
        f"{name}: {SWEPT[option]}; means over the images of each test set"
        f"{', time in seconds per image' if SECONDS in printed else ''}.",
        ("method", SWEPT[option]),
        Table(groups, rows),
        ["method", option, "dataset", "metric", "mean"],
        records,
    )


def runtime(name: str, experiment: dict[str, Any], scores: Scores) -> Sheet:
    """Compare the time that methods take to fuse an image."""
    names = [(group, method) for group, method in compared(experiment) if group == "Methods"]
    columns, records = [], []
    for dataset in experiment["tests"]:
        values = [scores.means.get((name, dataset, method, SECONDS), math.nan) for _, method in names]
        columns.append(ranked(values, METRICS[SECONDS]))
        records += [(method, dataset, value) for (_, method), value in zip(names, values, strict=True)]
    rows = [(group, method, [column[i] for column in columns]) for i, (group, method) in enumerate(names)]
    return Sheet(
        "runtime",
        f"{name}: seconds to fuse an image, mean over the images of each test set.",
        ("", "method"),
        Table([("seconds per image", experiment["tests"])], rows),
        ["method", "dataset", "seconds"],
        records,
    )


def _direction(experiment: dict[str, Any]) -> str:
    lower = [metric.label for metric in metrics_of(experiment).values() if not metric.higher_is_better]
    return f"; lower is better in {', '.join(lower)}" if lower else ""


# ── on disk ──────────────────────────────────────────────────────────────────────────────────────────────────


def _write(folder: Path, sheet: Sheet) -> None:
    write_csv(folder / f"{sheet.name}.csv", sheet.columns, sheet.records)
    (folder / f"{sheet.name}.md").write_text(markdown(sheet), encoding="utf-8")
    (folder / f"{sheet.name}.tex").write_text(latex(sheet), encoding="utf-8")


def _labels(sheet: Sheet, group: str, name: str) -> list[str]:
    return [group, name] if sheet.headings[0] else [name]


def markdown(sheet: Sheet) -> str:
    """Write a table in Markdown, with its caption below."""
    heads = _labels(sheet, *sheet.headings)
    columns = [f"{group} {label}".strip() for group, labels in sheet.table.groups for label in labels]
    marks = {"best": "**{}**", "second": "<u>{}</u>", "": "{}"}
    lines = [[*heads, *columns], ["---"] * len(heads) + ["---:"] * len(columns)]
    for group, name, cells in sheet.table.rows:
        lines.append(_labels(sheet, group, name) + [marks[cell.mark].format(cell.text) for cell in cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{sheet.caption}\n"


LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "−": "$-$",
        "–": "--",
        "∞": r"$\infty$",
        NOT_ABOVE_AVERAGE: r"$^\dagger$",
        NOT_ABOVE_BEST: r"$^\ddagger$",
    }
)


def latex(sheet: Sheet) -> str:
    """Write a table in LaTeX; it needs the package booktabs."""
    labels = len(_labels(sheet, *sheet.headings))
    spans, rules, column = [], [], labels + 1
    for group, heads in sheet.table.groups:
        spans.append(rf"\multicolumn{{{len(heads)}}}{{c}}{{{group.translate(LATEX)}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{column + len(heads) - 1}}}")
        column += len(heads)
    heads = _labels(sheet, *sheet.headings) + [label for _, group in sheet.table.groups for label in group]
    marks = {"best": r"\textbf{%s}", "second": r"\underline{%s}", "": "%s"}
    body: list[str] = []
    above = None
    for group, name, cells in sheet.table.rows:
        if above not in (None, group):
            body.append(r"\midrule")
        texts = _labels(sheet, group if group != above else "", name)
        line = [text.translate(LATEX) for text in texts]
        body.append(_line(line + [marks[cell.mark] % cell.text.translate(LATEX) for cell in cells]))
        above = group
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{sheet.caption.translate(LATEX)}}}",
            rf"\begin{{tabular}}{{{'l' * labels}{'r' * (column - labels - 1)}}}",
            r"\toprule",
            _line([""] * labels + spans),
            " ".join(rules),
            _line([head.translate(LATEX) for head in heads]),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
