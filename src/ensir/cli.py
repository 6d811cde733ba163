"""For people: `ensir verify`, `ensir table`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer

from ensir import InputError
from ensir.layout import Layout

app = typer.Typer(
    help="Tools beside the workflow. Run the workflow itself with `make run` or snakemake.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="a results folder, or a store, part or LUT in it")] = Path(
        "results"
    ),
) -> None:
    """Compare results with their digests, byte by byte, and name what is damaged.

    Example: ensir verify results/predictions/set5/IMDN.zarr
    """
    from ensir.store import verify as verified

    good = bad = 0
    for result, problems in verified(path, _layout_of(path)):
        good += not problems
        bad += bool(problems)
        for problem in problems:
            typer.echo(f"{result}: {problem}", err=True)
        if problems:
            typer.echo(f"  mend: rm -r {result}, then run the workflow again", err=True)
    typer.echo(f"{good + bad} results checked, {bad} damaged")
    if not good + bad:
        typer.echo(f"{path}: no digest speaks for anything here", err=True)
    raise typer.Exit(1 if bad or not good else 0)


def _layout_of(path: Path) -> Layout:
    """Find the results folder that a path belongs to: the nearest that has digests."""
    for folder in (path, *path.absolute().parents):
        if (folder / "digests").is_dir():
            return Layout(str(folder))
    raise InputError(f"{path}: belongs to no results folder (none above it has a folder `digests`)")


@app.command()
def table(
    summary: Annotated[Path, typer.Argument(help="summary.csv of a run")] = Path("results/summary.csv"),
) -> None:
    """Print the result table; best bold, second underlined.

    Example: ensir table results/summary.csv
    """
    from rich.console import Console
    from rich.table import Table

    with open(summary, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    console = Console()
    for experiment in dict.fromkeys(row["experiment"] for row in rows):
        mine = [row for row in rows if row["experiment"] == experiment]
        columns = list(dict.fromkeys((row["dataset"], row["metric"]) for row in mine))
        value = {(row["method"], row["dataset"], row["metric"]): float(row["mean"]) for row in mine}
        printed = Table("", *(f"{dataset} {metric.upper()}" for dataset, metric in columns), title=experiment)
        methods = list(dict.fromkeys(row["method"] for row in mine))
        best = {c: sorted({value[m, *c] for m in methods if (m, *c) in value}, reverse=True) for c in columns}
        for method in methods:
            printed.add_row(method, *(_cell(value.get((method, *c)), best[c], c[1]) for c in columns))
        console.print(printed)


def _cell(value: float | None, ranked: list[float], metric: str) -> str:
    if value is None:
        return ""
    text = f"{value:.3f}" if metric == "psnr" else f"{value:.4f}"
    if value == ranked[0]:
        return f"[bold]{text}[/bold]"
    return f"[underline]{text}[/underline]" if value in ranked[1:2] else text


def main() -> None:
    """Run the command line; bad input is one line and exit code 2."""
    try:
        app()
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
