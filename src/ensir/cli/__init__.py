"""The command `ensir`: run the workflow; fit, fuse and score folders; restore an image; share and inspect results."""

from __future__ import annotations

from typing import Any, NoReturn

from ensir.errors import InputError
from ensir.execution import stopping
from ensir.execution.stopping import Terminated, silent, stoppable
from ensir.storage import failures

with silent():  # for a second or two
    import typer
    from typer.core import TyperGroup

    from ensir.cli import check, denoisers, folders, init, luts, reference, refiners, restore, results, run


class Group(TyperGroup):
    """Commands that fail in one line: with exit code 2 on bad input, 1 on what fails later, 130 or 143 when stopped."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            with stoppable():
                return super().invoke(ctx)
        except InputError as error:
            _exit(f"error: {error}", 2)
        except (KeyboardInterrupt, Terminated) as stop:
            _exit(stopping.message(stop), stopping.exit_code(stop))
        except BrokenPipeError:  # `ensir table | head`: Typer ends quietly
            raise
        except Exception as error:
            message = failures.described(error) or (str(error) if isinstance(error, OSError) else None)
            if message is None:
                raise
            _exit(f"error: {message}", 1)


def _exit(line: str, code: int) -> NoReturn:
    typer.echo(line, err=True)
    raise typer.Exit(code)


app = typer.Typer(
    cls=Group,
    help="Combine the predictions of image-restoration models: run the workflow, or use its tools on plain folders.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for launched in (run.run, run.plan, run.resume):
    app.command(cls=run.SnakemakeCommand)(launched)
for command in (
    init.init,
    check.check,
    folders.fit,
    folders.fuse,
    folders.score,
    restore.restore,
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
