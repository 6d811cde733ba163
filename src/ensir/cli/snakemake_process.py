"""Snakemake as a child process: the display of a run alone has the terminal, and a stop is reported once."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import typer

from ensir.execution.stopping import Terminated, exit_code, make_is_interrupted

SECONDS_BETWEEN_LOOKS = 0.5  # at make
SECONDS_TO_HEAR = 0.5  # a signal
# What it says while all is well.
BEGINNING = re.compile(
    r"^(?:Using (?:workflow specific )?profile .* for setting default command line arguments\."
    r"|Assuming unrestricted shared filesystem usage\.|Building DAG of jobs\.\.\.)\n",
    re.M,
)


def execute(
    arguments: Sequence[str], captured: bool, unfinished: Path | None, warnings: Sequence[str] = ()
) -> str:
    """Run Snakemake in a process group of its own; what stops this process stops it and its jobs.

    Parameters
    ----------
    arguments : sequence of str
        Of Snakemake.
    captured : bool
        Return what it prints.
    unfinished : Path or None
        The folder of unfinished work, where a training that is stopped keeps its checkpoint, of a run that is shown by
        `snakemake_logger_plugin_ensir`; None: Snakemake speaks for itself.
    warnings : sequence of str
        What was printed before: where Snakemake fails, it is not printed again.

    Returns
    -------
    str
        What it prints, if that is captured.

    Raises
    ------
    KeyboardInterrupt, Terminated
        Once Snakemake has ended; a note says what is kept.
    typer.Exit
        It failed.
    """
    with _python() as python:
        command, environment = [python, "-m", "snakemake"], _environment()
        if captured:
            with tempfile.TemporaryFile() as file:
                process = subprocess.Popen(
                    [*command, *arguments],
                    process_group=0, env=environment, text=True, stdout=subprocess.PIPE, stderr=file,
                )  # fmt: skip
                printed, stop = _wait(process)
                said = BEGINNING.sub("", printed) + _said(file)  # a dry run tells of errors there, too
        elif unfinished is None:
            process = subprocess.Popen([*command, *arguments], process_group=0, env=environment, text=True)
            printed, stop = _wait(process)
            said = ""
        else:
            # What Snakemake and processes of jobs print themselves would run into the display.
            with tempfile.TemporaryFile() as file, os.fdopen(os.dup(2), "w") as terminal:
                number = terminal.fileno()
                shown = ("--logger", "ensir", "--logger-ensir-terminal", str(number))
                process = subprocess.Popen(
                    [*command, *shown, *arguments],
                    process_group=0, env=environment, text=True, stderr=file, pass_fds=[number],
                )  # fmt: skip
                printed, stop = _wait(process)
                said = _said(file)
    if stop:
        if unfinished is not None:
            _note_checkpoints(stop, unfinished)
        raise stop
    if process.returncode:
        lines = said.splitlines(keepends=True)
        typer.echo("".join(line for line in lines if line.rstrip() not in warnings), nl=False, err=True)
        typer.echo(
            "failed: fix what is said above, and run the same command; after a kill, `ensir resume`", err=True
        )
        raise typer.Exit(1)
    return printed


def _environment() -> dict[str, str]:
    """Return the environment of Snakemake, which wants a name of the user: in containers, there may be none."""
    try:
        return {**os.environ, "USER": getpass.getuser()}
    except (KeyError, OSError):
        return {**os.environ, "USER": str(os.getuid())}


def _said(file: IO[bytes]) -> str:
    """Return what Snakemake printed into a file, without how it begins."""
    file.seek(0)
    return BEGINNING.sub("", file.read().decode(errors="replace"))


def _wait(process: subprocess.Popen[str]) -> tuple[str, BaseException | None]:
    """Wait for Snakemake to end; return what it printed into a pipe, and what stopped this process meanwhile."""
    stop: BaseException | None = None
    printed = ""
    while process.returncode is None:
        try:
            with suppress(subprocess.TimeoutExpired):
                printed = process.communicate(timeout=SECONDS_BETWEEN_LOOKS)[0]
            if stop is None and make_is_interrupted():
                raise KeyboardInterrupt
        except (KeyboardInterrupt, Terminated) as caught:
            stop = stop or caught
            _pass_on(process, exit_code(caught) - 128)
    return printed or "", stop


def _pass_on(process: subprocess.Popen[str], sent: int) -> None:
    """Send a signal to Snakemake and its jobs; SIGTERM to it first: jobs that end by it did not fail."""
    with suppress(ProcessLookupError):
        if sent == signal.SIGTERM:
            process.send_signal(sent)
            time.sleep(SECONDS_TO_HEAR)
        os.killpg(process.pid, sent)


def _note_checkpoints(stop: BaseException, unfinished: Path) -> None:
    """Say that the checkpoints of trainings are kept, where there are any."""
    found = sorted(path.stem for path in unfinished.rglob("*.checkpoint"))
    if found:
        of = f"checkpoint of {found[0]}" if len(found) == 1 else f"checkpoints of {', '.join(found)}"
        stop.add_note(f"finished work and the {of} are kept; run the same command to go on")


@contextmanager
def _python() -> Iterator[str]:
    """Yield a path of this Python that a shell takes as it is: Snakemake runs scripts by it, without quotes."""
    if shlex.quote(sys.executable) == sys.executable:
        yield sys.executable
        return
    with tempfile.TemporaryDirectory(prefix="ensir-") as folder:
        link = Path(folder, "environment")
        link.symlink_to(sys.prefix)
        yield str(link / Path(sys.executable).relative_to(sys.prefix))
