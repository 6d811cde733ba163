"""`ensir check`: what is wrong with a configuration, before anything runs."""

from __future__ import annotations

import json
import logging
from typing import Annotated

import typer

from ensir.errors import InputError
from ensir.storage.layout import Layout


def check(
    configs: Annotated[list[str], typer.Argument(metavar="CONFIG...", help="configuration files")],
    results: Annotated[str, typer.Option(help="the results folder")] = "results",
    quiet: Annotated[bool, typer.Option("--quiet", help="print mistakes only")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="print a list with all that was found, mistakes among it")
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
            checked = check.check(path, Layout(results))
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
