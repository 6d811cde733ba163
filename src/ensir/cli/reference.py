"""`ensir reference`: what a configuration may hold."""

from __future__ import annotations

from typing import Annotated

import typer

from ensir.errors import InputError


def reference(
    section: Annotated[
        str | None,
        typer.Argument(
            metavar="SECTION", help="a key of the configuration, such as methods; all, if none is given"
        ),
    ] = None,
) -> None:
    """Print what each key of a configuration may hold, for all installed kinds, including those of other packages.

    Example: ensir reference methods
    """
    from ensir.config.reference import TABLES, tables
    from ensir.section import unknown

    if section is not None and section not in TABLES:
        raise InputError(unknown(f"{section}: no such section", section, TABLES))
    typer.echo(tables(TABLES if section is None else [section]), nl=False)
