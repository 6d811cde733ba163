"""For people: fit, fuse and score folders of images; restore one; share and look at results."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from ensir.cli import check, denoisers, folders, luts, reference, refiners, restore, results
from ensir.errors import InputError


class Group(TyperGroup):
    """Commands whose bad input is one line and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=Group,
    help="Tools beside the workflow. Run the workflow itself with `make run` or snakemake.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    folders.fit,
    folders.fuse,
    folders.score,
    restore.restore,
    check.check,
    results.publish,
    results.verify,
    results.gc,
    results.table,
    reference.reference,
):
    app.command()(command)
app.add_typer(luts.app, name="lut")
app.add_typer(denoisers.app, name="dae")
app.add_typer(refiners.app, name="ptgrm")
