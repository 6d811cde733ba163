"""`ensir run`, `plan` and `resume`: the workflow, from the check of its configuration to the table of its results."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from ensir.cli.check import check
from ensir.cli.results import table
from ensir.execution import workflow_files
from ensir.execution.stopping import Terminated, exit_code

Configuration = Annotated[
    Path | None, typer.Argument(metavar="CONFIG", help="a configuration; the embedded default if not given")
]
Cores = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="cores to use; by default what the profile says")
]
Profile = Annotated[
    str, typer.Option(metavar="NAME|PATH", help="local, slurm, or the folder of a Snakemake profile")
]
QUIET = ("--quiet", "rules", "reason", "host", "progress")


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


def run(
    ctx: typer.Context, config: Configuration = None, cores: Cores = None, profile: Profile = "local"
) -> None:
    """Run the workflow: whatever is not up to date; print the result table, and where the report is.

    Examples: ensir run; ensir run mine.yaml --cores 4; ensir run mine.yaml -- figures
    """
    _run(_checked(config), profile, cores, ctx.meta["snakemake"])


def _run(config: Path, profile: str, cores: int | None, more: Sequence[str]) -> None:
    _execute(snakemake(config, profile, cores, *QUIET), more)
    if Path("results/summary.csv").exists():  # not where only some target was asked for
        table(Path("results/summary.csv"))
        typer.echo(f"report: {Path('results/report.html').absolute()}")


def plan(
    ctx: typer.Context, config: Configuration = None, cores: Cores = None, profile: Profile = "local"
) -> None:
    """List what `ensir run` would do, and why.

    Example: ensir plan mine.yaml
    """
    checked = _checked(config)
    _execute(snakemake(checked, profile, cores, "--dry-run"), ctx.meta["snakemake"])


def resume(
    ctx: typer.Context, config: Configuration = None, cores: Cores = None, profile: Profile = "local"
) -> None:
    """Run the workflow after a kill or a power cut: first remove the lock that was left.

    Example: ensir resume mine.yaml
    """
    checked = _checked(config)
    _execute(snakemake(checked, profile, cores, "--unlock"), [])
    _run(checked, profile, cores, ctx.meta["snakemake"])


def _checked(config: Path | None) -> Path:
    """Return the configuration; whatever is wrong with it is said before Snakemake reads it."""
    path = config or workflow_files.default_configuration()
    check([str(path)], quiet=True)
    return path


def snakemake(config: Path, profile: str, cores: int | None, *options: str) -> list[str]:
    """Put together the command that runs Snakemake on the workflow.

    Options that take several values come first, as a target must not follow them.
    """
    return [
        *(sys.executable, "-m", "snakemake"),
        *("--configfile", str(config)),
        *options,
        *("--workflow-profile", str(workflow_files.profile(profile))),
        *(["--cores", str(cores)] if cores else []),
        *("--snakefile", str(workflow_files.folder() / "Snakefile")),
    ]


def _execute(command: Sequence[str], more: Sequence[str]) -> None:
    """Run Snakemake in a process group of its own; what stops this process stops it and its jobs.

    Raises
    ------
    KeyboardInterrupt, Terminated
        Once Snakemake has ended.
    typer.Exit
        It failed.
    """
    stop: BaseException | None = None
    process = subprocess.Popen([*command, *more], process_group=0)
    while True:
        try:
            failed = process.wait()
            break
        except (KeyboardInterrupt, Terminated) as caught:
            stop = stop or caught
            with suppress(ProcessLookupError):
                os.killpg(process.pid, exit_code(caught) - 128)
    if stop:
        raise stop
    if failed:
        raise typer.Exit(1)
