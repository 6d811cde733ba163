"""What a selection shows of itself: its subsets and its models as tables, and a picture of the subsets."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ensir.drawing import style
from ensir.figures import selection as figure
from ensir.report.selection import NOTES, models_table, subsets_table

if TYPE_CHECKING:
    from ensir.scoring.scores import Table
    from ensir.scoring.selection import Selection

MARKS = {"best": "<b>{}</b>", "second": "<u>{}</u>", "": "{}"}


def text(found: Selection) -> str:
    """Return both tables and what is to be known of them, as lines."""
    tables = [_lines("subset", subsets_table(found)), _lines("model", models_table(found))]
    return "\n".join(
        [f"<Selection by {_images(found)}>", *(line for table in tables for line in ["", *table])]
    )


def html(found: Selection) -> str:
    """Return both tables, and the picture."""
    tables = _rows("subset", subsets_table(found)) + _rows("model", models_table(found))
    picture = style.inline(figure.drawing(found), "selection")
    notes = "<br>".join(map(escape, NOTES))
    return (
        f"<div><p>Selection by {_images(found)}</p>{tables}{picture}"
        f"<p style='max-width: 60em'>{notes}</p></div>"
    )


def _images(found: Selection) -> str:
    return f"PSNR of {len({row.image for row in found.images})} reference images, each held out in turn"


def _headings(table: Table) -> list[str]:
    return [f"{group}, {label}" for group, labels in table.groups for label in labels]


def _lines(first: str, table: Table) -> list[str]:
    """Return a table as lines, its columns in line."""
    rows = [[first, *_headings(table)]]
    rows += [[name, *(cell.text for cell in cells)] for _, name, cells in table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    ]


def _rows(first: str, table: Table) -> str:
    """Return a table as HTML."""
    head = "".join(
        f"<th style='text-align:right; padding-left:1em'>{escape(text)}</th>" for text in _headings(table)
    )
    body = "".join(
        f"<tr><td style='text-align:left'>{escape(name)}</td>"
        + "".join(
            f"<td style='text-align:right; padding-left:1em'>{MARKS[cell.mark].format(escape(cell.text))}</td>"
            for cell in cells
        )
        + "</tr>"
        for _, name, cells in table.rows
    )
    return f"<table><thead><tr><th style='text-align:left'>{first}</th>{head}</tr></thead><tbody>{body}</tbody></table>"
