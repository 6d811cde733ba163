"""One table of numbers, written as CSV, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ensir.scoring.rows import write_csv
from ensir.scoring.scores import Table

LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "−": "$-$",
        "–": "--",
        "∞": r"$\infty$",
        "†": r"$^\dagger$",
        "‡": r"$^\ddagger$",
    }
)


@dataclass(frozen=True)
class Sheet:
    """One table of a paper.

    Attributes
    ----------
    name : str
        Name of its files.
    caption : str
    headings : (str, str)
        Headings of the groups and of the names of rows; where the first is empty, groups are not printed.
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


def write(folder: Path, sheet: Sheet) -> None:
    """Write a table in every form, in a folder."""
    write_csv(folder / f"{sheet.name}.csv", sheet.columns, sheet.records)
    (folder / f"{sheet.name}.md").write_text(markdown(sheet), encoding="utf-8")
    (folder / f"{sheet.name}.tex").write_text(latex(sheet), encoding="utf-8")


def markdown(sheet: Sheet) -> str:
    """Return a table in Markdown, with its caption below."""
    heads = _labels(sheet, *sheet.headings)
    columns = [f"{group} {label}".strip() for group, labels in sheet.table.groups for label in labels]
    columns = [column.replace("|", r"\|") for column in columns]
    marks = {"best": "**{}**", "second": "<u>{}</u>", "": "{}"}
    lines = [[*heads, *columns], ["---"] * len(heads) + ["---:"] * len(columns)]
    for group, name, cells in sheet.table.rows:
        lines.append(_labels(sheet, group, name) + [marks[cell.mark].format(cell.text) for cell in cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{sheet.caption}\n"


def latex(sheet: Sheet) -> str:
    """Return a table in LaTeX; it needs the package booktabs."""
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


def _labels(sheet: Sheet, group: str, name: str) -> list[str]:
    return [group, name] if sheet.headings[0] else [name]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
