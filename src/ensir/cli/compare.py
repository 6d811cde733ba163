"""`ensir compare`: two runs side by side."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from ensir.errors import InputError
from ensir.storage.atomic import written
from ensir.storage.layout import Layout, Place

MOST = 40  # lines of a list

Before = Annotated[Path, typer.Argument(metavar="RESULTS_A", help="a results folder")]
After = Annotated[Path, typer.Argument(metavar="RESULTS_B", help="another one")]


Html = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="write a page, too: one file that asks nothing of the network"),
]


def compare(before: Before, after: After, html: Html = None) -> None:
    """Print what differs between two runs: how they were made, their results bit by bit, their scores.

    Examples: ensir compare runs/monday runs/today; ensir compare runs/monday runs/today --html changes.html
    """
    from ensir.report.compared import page
    from ensir.scoring import comparison, scores

    layouts = [Layout(str(folder)) for folder in (before, after)]
    one, other = (_record(layout) for layout in layouts)
    mine, theirs = (scores.read(layout.all_scores, layout.summary) for layout in layouts)
    found = comparison.compare((one, other), (mine, theirs))
    typer.echo(f"A: {before}\nB: {after}")
    _differences(found.made)
    _results(found.results)
    typer.echo(f"scores: {_rows(found.equal)} equal to the bit, {len(found.changes)} different")
    _changes(found.changes)
    if found.otherwise:
        typer.echo("not compared, as they measure something else in each run:")
        _listed([f"{why} ({_rows(number)})" for why, number in found.otherwise.items()])
    for run, rows in zip("AB", (found.only_before, found.only_after), strict=True):
        if rows:
            typer.echo(f"only in {run}: {_rows(sum(rows.values()))}")
            _listed([" ".join(part) + (f" ({_rows(n)})" if n > 1 else "") for part, n in rows.items()])
    if html:
        with written(Place.beside(html)) as partial:
            partial.write_text(
                page((str(before), str(after)), (one["run"], other["run"]), found), encoding="utf-8"
            )
        typer.echo(f"page: {html.absolute()}")


def _record(layout: Layout) -> dict[str, Any]:
    from ensir.storage.digests import check_before_reading

    path = Path(layout.provenance)
    if not path.is_file():
        raise InputError(f"{path}: no such file; name the results folder of a run that has ended")
    check_before_reading(str(path))
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        record["run"]["packages"], record["run"]["config"], record["results"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: is no record of a run ({error!r}); run again: `provenance.json` is made anew"
        ) from error
    return record


def _differences(found: list[Any]) -> None:
    typer.echo("made alike" if not found else "made differently:")
    _listed([f"{difference.key}: {difference.before} → {difference.after}" for difference in found])


def _results(counted: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("results", "only in A", "only in B", "different", "equal to the bit")
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, counts in counted.items():
        numbers = (counts.only_before, counts.only_after, counts.different, counts.equal)
        table.add_row(kind, *map(str, numbers))
    Console().print(table)


def _changes(changes: list[Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from ensir.scoring.comparison import signed

    if not changes:
        return
    table = Table("experiment", "test set", "method", "metric", "A", "B", "difference", "95 % interval", "n")
    for column in table.columns[4:]:
        column.justify = "right"
    for change in changes:
        low, high = change.difference[1:]
        interval = "–" if math.isnan(low) else f"[{signed(low)}, {signed(high)}]"
        values = (f"{change.before:.4f}", f"{change.after:.4f}", signed(change.difference.mean))
        table.add_row(*change.key, *values, interval, str(change.images))
    Console(width=max(Console().width, 110)).print(table)


def _listed(lines: list[str]) -> None:
    for line in lines[:MOST]:
        typer.echo(f"  {line}")
    if len(lines) > MOST:
        typer.echo(f"  and {len(lines) - MOST} more")


def _rows(number: int) -> str:
    return f"{number} row" + ("" if number == 1 else "s")
