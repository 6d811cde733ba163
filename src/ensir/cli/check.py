"""`ensir check`: what is wrong with a configuration, before anything runs."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from ensir.errors import InputError
from ensir.storage.layout import Layout


def check(
    configs: Annotated[list[str], typer.Argument(metavar="CONFIG...", help="configuration files")],
    results: Annotated[str, typer.Option(help="the results folder")] = "results",
    quiet: Annotated[bool, typer.Option("--quiet", help="print mistakes only")] = False,
) -> None:
    """Check configurations and the files that they name; print a summary, or all mistakes and how to fix them.

    Example: ensir check config/config.yaml
    """
    from ensir.planning import check

    if quiet:
        logging.getLogger("ensir").setLevel(logging.ERROR)
    mistakes = []
    for path in configs:
        try:
            checked = check.check(path, Layout(results))
        except InputError as error:
            mistakes.append(str(error))
            continue
        if not quiet:
            typer.echo(check.table(checked) if len(configs) == 1 else f"{path}\n{check.table(checked)}")
    for mistake in mistakes:
        typer.echo(mistake, err=True)
    if mistakes:
        raise typer.Exit(2)
