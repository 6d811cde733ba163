"""Snakemake in processes that are forked from one that has imported it: of a short run, that import is a third.

All of this package and of the workflow, such a process imports itself, from where it is told to.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["snakemake.cli", "snakemake.report.html_reporter", "smart_open", "yte", "jaxtyping", "PIL.Image"]
)


def snakemake(arguments: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run Snakemake to its end; returns its exit code, and what it printed."""
    with tempfile.NamedTemporaryFile() as printed:
        process = CONTEXT.Process(target=_main, args=(arguments, folder, environment, printed.name))
        process.start()
        process.join()
        assert process.exitcode is not None
        return process.exitcode, printed.read().decode()


def _main(arguments: list[str], folder: Path, environment: dict[str, str], printed: str) -> None:
    os.setsid()
    with open(printed, "wb") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:] = [
        *environment["PYTHONPATH"].split(os.pathsep),
        *(path for path in sys.path if not Path(path).is_relative_to(TESTS)),
    ]
    sys.argv = ["snakemake", *arguments]
    assert "ensir" not in sys.modules

    from snakemake.cli import main

    main(arguments)
