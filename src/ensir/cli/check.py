"""`ensir check`: what is wrong with a configuration, before anything runs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
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

    mistakes, found = [], []
    for path in configs:
        with _warnings() as warnings:
            try:
                checked = check.check(path, results)
            except InputError as error:
                mistakes.append(str(error))
                lines = f"\n{error}".split(f"\n{path}: ")[1:]
                found.append({"configuration": path, "mistakes": lines, "warnings": warnings})
                continue
            finally:
                if not (quiet or as_json):
                    _tell(warnings)
        if as_json:
            data = summary.as_data(checked)
            found.append(
                {"configuration": path, "mistakes": [], **data, "warnings": [*warnings, *data["warnings"]]}
            )
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
    """Check a configuration before a run of it; print its warnings, or all mistakes, and exit."""
    from ensir.planning import check
    from ensir.planning.estimate import estimate

    with _warnings() as warnings:
        try:
            found = check.check(config, results)
        except InputError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from error
    cost = estimate(found.headers)
    _tell([*warnings, cost.warning] if cost.warning else warnings)
    return replace(found, warnings=warnings)


class _Collector(logging.Handler):
    """Keeps the messages of warnings, each once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        if (message := record.getMessage()) not in self.messages:
            self.messages.append(message)


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect the warnings about a configuration and its files, rather than let logging print them."""
    log, collector = logging.getLogger("ensir"), _Collector()
    log.addHandler(collector)
    try:
        yield collector.messages
    finally:
        log.removeHandler(collector)


def _tell(warnings: list[str]) -> None:
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
