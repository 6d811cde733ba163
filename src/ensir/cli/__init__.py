"""The command `ensir`: run the workflow; fit, fuse and score folders; restore an image; share and inspect results."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

from ensir import __version__
from ensir.errors import InputError
from ensir.execution import stopping
from ensir.execution.stopping import Terminated, silent, stoppable
from ensir.storage import failures

# OpenBLAS starts a thread for each core when it is loaded, which no command needs, and ends a process that may not.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

with silent():  # for a second or two
    import typer
    from typer.core import TyperGroup

    from ensir.cli import (
        bundles,
        check,
        compare,
        denoisers,
        export,
        folders,
        init,
        luts,
        publishing,
        reference,
        refiners,
        restore,
        results,
        run,
        select,
    )

# What is logged while a command runs reads as what a run shows.
if logging.lastResort:
    logging.lastResort.setFormatter(logging.Formatter("warning: %(message)s"))

# What a value of an option is, as people read it; of an on/off option there is nothing to say.
TYPES = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH", bool: ""}


class Group(TyperGroup):
    """Commands that fail in one line: with exit code 2 on bad input, 1 on what fails later, 130 or 143 when stopped."""

    def get_params(self, ctx: Any) -> Any:
        """Return the options of all commands, whose help names types for people."""
        options = super().get_params(ctx)
        _name_types(options)
        return options

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, whose help names types for people."""
        command = super().get_command(ctx, cmd_name)
        if command:
            for each in (command, *getattr(command, "commands", {}).values()):
                _name_types(each.get_params(ctx))
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            with stoppable():
                return super().invoke(ctx)
        except InputError as error:
            _exit(f"error: {error}", 2)
        except (KeyboardInterrupt, Terminated) as stop:
            over = "\r" if sys.stderr.isatty() else ""  # over the ^C that a terminal writes
            _exit(over + stopping.message(stop), stopping.exit_code(stop))
        except BrokenPipeError:  # `ensir table | head`: Typer ends quietly
            raise
        except BaseException as error:
            if not failures.is_failure(error):
                raise
            message = failures.described(error) or (str(error) if isinstance(error, OSError) else None)
            if message is None:
                raise
            _exit(f"error: {message}", 1)


def _name_types(parameters: list[Any]) -> None:
    for parameter in parameters:
        if parameter.param_type_name == "argument":  # its name says what it is
            parameter.display_type_rich = lambda ctx: None
        elif parameter.metavar is None:
            kind = parameter.type_descriptor
            parameter.metavar = "|".join(map(str, kind.choices or [])) or TYPES.get(kind.annotation)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ensir {__version__}")
        raise typer.Exit


def _exit(line: str, code: int) -> NoReturn:
    typer.echo(line, err=True)
    raise typer.Exit(code)


app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def main(
    shown: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="print the version and exit"),
    ] = False,
) -> None:
    """Combine the predictions of image-restoration models: run the workflow, or use its tools on plain folders."""


for launched in (run.run, run.plan, run.resume):
    app.command(cls=run.SnakemakeCommand)(launched)
for command in (
    init.init,
    check.check,
    folders.fit,
    folders.fuse,
    folders.score,
    restore.restore,
    export.export,
    publishing.publish,
    results.verify,
    results.gc,
    results.table,
    select.select,
    compare.compare,
    bundles.bundle,
    reference.reference,
):
    app.command()(command)
app.add_typer(luts.app, name="lut")
app.add_typer(denoisers.app, name="dae")
app.add_typer(refiners.app, name="ptgrm")
