"""Runs whose jobs stop themselves where a test wants to meet them: no test depends on the speed of the machine."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from workflow.conftest import Run


class Stops:
    """A run in which the first jobs of some stages stop.

    Parameters
    ----------
    run : Run
        It is started.
    moments : dict of str
        By stage, where its jobs stop: "begun", "writing" or "done"; `sitecustomize.py` tells what these are.
    *arguments : str
        More arguments of Snakemake.
    jobs : int
        How many jobs of a stage stop; the others do not.

    Attributes
    ----------
    process : subprocess.Popen
        Snakemake.
    """

    def __init__(self, run: Run, moments: dict[str, str], *arguments: str, jobs: int = 1):
        self.folder, self.jobs = Path(tempfile.mkdtemp(prefix="stops", dir=run.folder)), jobs
        path = os.pathsep.join([str(run.repository / "src"), str(Path(__file__).parent)])
        told = json.dumps({"folder": str(self.folder), "jobs": jobs, "moments": moments})
        self.process = run.start(*arguments, PYTHONPATH=path, STOPS=told)

    def wait(self, stage: str) -> list[int]:
        """Return the process ids of the jobs of a stage, once they have stopped."""
        stopped: list[int] = []
        while len(stopped) < self.jobs or not all(map(is_stopped, stopped)):
            if self.process.poll() is not None:
                raise RuntimeError(f"no job of {stage} stopped: {self.process.communicate()[0]}")
            time.sleep(0.02)
            stopped = [int(os.readlink(link)) for link in self.folder.glob(f"{stage}.*")]
        return stopped

    def go_on(self) -> None:
        """Let all stopped jobs go on."""
        for link in self.folder.iterdir():
            os.kill(int(os.readlink(link)), signal.SIGCONT)


def is_stopped(process: int) -> bool:
    return psutil.Process(process).status() == psutil.STATUS_STOPPED
