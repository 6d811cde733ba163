"""`ensir run`, `plan` and `resume`: the workflow, from the check of its configuration to the table of its results."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ensir.cli.check import Results, checked
from ensir.cli.results import table
from ensir.cli.snakemake_process import execute
from ensir.errors import InputError
from ensir.execution import workflow_files
from ensir.report.opening import COMMAND
from ensir.storage.layout import Layout

Configuration = Annotated[
    Path | None, typer.Argument(metavar="CONFIG", help="a configuration; the embedded default if not given")
]
Cores = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="cores to use; by default what the profile says")
]
Profile = Annotated[
    str, typer.Option(metavar="NAME|PATH", help="local, slurm, or the folder of a Snakemake profile")
]


class SnakemakeCommand(TyperCommand):
    """A command that hands what follows ``--`` to Snakemake."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Set aside what follows ``--``."""
        own = args.index("--") if "--" in args else len(args)
        ctx.meta["snakemake"] = args[own + 1 :]
        return super().parse_args(ctx, args[:own])

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Mention it in the help."""
        return [*super().collect_usage_pieces(ctx), "[-- SNAKEMAKE OPTIONS]"]


@dataclass(frozen=True)
class Launch:
    """A configuration that was checked, and how Snakemake runs the workflow on it."""

    config: Path
    results: str | None
    layout: Layout
    profile: Path
    cores: int | None
    more: list[str]
    warnings: Sequence[str]

    def snakemake(self, *options: str, captured: bool = False, shown: bool = False) -> str:
        """Run Snakemake; returns what it prints, if that is captured. `shown` puts our display in its place.

        Options that take several values come first, as a target must not follow them.
        """
        arguments = [
            *("--configfile", str(self.config)),
            *(["--config", f"results={json.dumps(self.results)}"] if self.results else []),
            *options,
            *("--workflow-profile", str(self.profile)),
            *(["--cores", str(self.cores)] if self.cores else []),
            *("--snakefile", str(workflow_files.folder() / "Snakefile")),
            *self.more,
        ]
        return execute(arguments, captured, self.layout.unfinished if shown else None, self.warnings)

    def run(self, unlock: bool = False) -> None:
        """Run the workflow, if so without a lock that was left; print the result table, and where everything is."""
        os.environ[COMMAND] = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        with _alone(Path(self.layout.root)):
            if unlock:
                replace(self, more=[]).snakemake("--unlock", captured=True)
            self.snakemake(shown=True)
        if Path(self.layout.summary).exists():  # not where only some target was asked for
            table(Path(self.layout.summary))
        for line in self.written():
            typer.echo(line)

    def written(self) -> Iterator[str]:
        """Say what there is now, and where."""
        layout = self.layout
        kinds = {
            "report": [layout.report],
            "tables": [layout.tables, layout.summary, layout.all_scores],
            "stores": [f"{layout.root}/fused"],
            "images": [f"{layout.root}/images"],
            "figures": [f"{layout.root}/figures"],
        }
        for kind, paths in kinds.items():
            if there := [os.path.abspath(path) for path in paths if os.path.exists(path)]:
                yield f"{kind}: {', '.join([there[0], *map(os.path.basename, there[1:])])}"


@contextmanager
def _alone(results: Path) -> Iterator[None]:
    """Keep other runs from a results folder: Snakemake does so for runs in one working directory only.

    Two configurations would else read each other's results. Where the folder cannot be locked, as on some network file
    systems, nothing is kept from it.

    Raises
    ------
    InputError
        Another run is at work there.
    """
    with ExitStack() as stack:
        with suppress(OSError):  # Snakemake says why it cannot be written
            results.mkdir(parents=True, exist_ok=True)
            folder = os.open(results, os.O_RDONLY)
            stack.callback(os.close, folder)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"{results}: another run is at work there; wait for it, or give another folder (--results DIR)"
                ) from error
        yield


def run(
    ctx: typer.Context,
    config: Configuration = None,
    cores: Cores = None,
    profile: Profile = "local",
    results: Results = None,
) -> None:
    """Run the workflow: whatever is not up to date; print the result table, and where the report is.

    Examples: ensir run; ensir run mine.yaml --cores 4; ensir run mine.yaml -- figures
    """
    _checked(ctx, config, cores, profile, results).run()


def plan(
    ctx: typer.Context,
    config: Configuration = None,
    cores: Cores = None,
    profile: Profile = "local",
    results: Results = None,
) -> None:
    """List what `ensir run` would do, and why; with options of Snakemake's, in its words.

    Example: ensir plan mine.yaml
    """
    from ensir.cli import planned

    launch = _checked(ctx, config, cores, profile, results)
    if launch.more:
        launch.snakemake("--dry-run")
    else:
        printed = launch.snakemake("--dry-run", "--quiet", "host", captured=True)
        typer.echo(planned.grouped(printed) or "nothing to do: all results are up to date")


def resume(
    ctx: typer.Context,
    config: Configuration = None,
    cores: Cores = None,
    profile: Profile = "local",
    results: Results = None,
) -> None:
    """Run the workflow after a kill or a power cut: first remove the lock that was left.

    Example: ensir resume mine.yaml
    """
    _checked(ctx, config, cores, profile, results).run(unlock=True)


def _checked(
    ctx: typer.Context, config: Path | None, cores: int | None, profile: str, results: str | None
) -> Launch:
    """Check the configuration: whatever is wrong with it is said before Snakemake reads it."""
    from ensir.planning import check

    if not os.access(os.curdir, os.W_OK):
        raise InputError(
            f"{Path.cwd()}: cannot be written, and Snakemake keeps its records in the working directory; run in a "
            "folder of yours"
        )
    path = config or workflow_files.default_configuration()
    found = checked(str(path), results)
    plan = found.plan
    if foreign := check.foreign(plan):
        result, other, keys = foreign
        raise InputError(
            f"{result}: was made in another working directory, and the last run, of {other}, had another "
            f"{', '.join(keys[:3])}{' and more' if len(keys) > 3 else ''} than {path}: nothing here tells what to make "
            "anew; run it where it was made, give another folder (--results DIR), or remove what has changed"
        )
    if replaced := check.replaced(plan, path):
        other, experiments = replaced
        lost = ["report and tables", *(f"all results of the experiment {name}" for name in experiments)]
        typer.echo(
            f"{plan.layout.root}: {', '.join(lost)} of {other} will be replaced by those of {path}; to keep both, give "
            "--results DIR",
            err=True,
        )
    profile_folder, more = workflow_files.profile(profile), ctx.meta["snakemake"]
    return Launch(path, results, plan.layout, profile_folder, cores, more, found.warnings)
