"""`ensir check`: what is wrong with a configuration, before anything runs."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Annotated

import typer

from ensir.errors import InputError

if TYPE_CHECKING:
    from ensir.planning.check import Checked

Results = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="the results folder; by default what the configuration says"),
]


def check(
    configs: Annotated[list[str], typer.Argument(metavar="CONFIG...", help="configuration files")],
    results: Results = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="print mistakes only")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="print a list with all that was found, including its mistakes")
    ] = False,
) -> None:
    """Check configurations and the files that they name; print a summary, or all mistakes and how to fix them.

    Example: ensir check config/config.yaml
    """
    from ensir.planning import check, summary

    if quiet or as_json:
        logging.getLogger("ensir").setLevel(logging.ERROR)
    mistakes, found = [], []
    for path in configs:
        try:
            checked = check.check(path, results)
        except InputError as error:
            mistakes.append(str(error))
            lines = f"\n{error}".split(f"\n{path}: ")[1:]
            found.append({"configuration": path, "mistakes": lines})
            continue
        if as_json:
            found.append({"configuration": path, "mistakes": [], **summary.as_data(checked)})
        elif not quiet:
            table = summary.table(checked)
            typer.echo(table if len(configs) == 1 else f"{path}\n{table}")
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        for mistake in mistakes:
            typer.echo(mistake, err=True)
    if mistakes:
        raise typer.Exit(2)


def checked(config: str, results: str | None) -> Checked:
    """Check a configuration before a run of it; print all mistakes, and exit, if there are any."""
    from ensir.planning import check

    logging.getLogger("ensir").setLevel(logging.ERROR)  # Snakemake will show the warnings
    try:
        return check.check(config, results)
    except InputError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
