"""A run ends with whatever stops `ensir` or make, even if nobody else receives the signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Run

ENSIR = f"{sys.executable} -c 'from ensir.cli import app; app()' run config.yaml"


@pytest.mark.faults
@pytest.mark.parametrize(
    ("starter", "sent", "code"),
    [
        pytest.param(["sh", "-c", f"exec {ENSIR}"], signal.SIGINT, 130, id="ensir, SIGINT"),
        pytest.param(["sh", "-c", f"exec {ENSIR}"], signal.SIGTERM, 143, id="ensir, SIGTERM"),
        pytest.param(["sh", "-c", f"exec {ENSIR}"], signal.SIGHUP, 143, id="ensir, SIGHUP"),
        pytest.param(["sh", "-c", f"exec {ENSIR}"], signal.SIGKILL, -9, id="ensir, SIGKILL"),
        pytest.param(["make", "run"], signal.SIGINT, None, id="make, SIGINT"),
        pytest.param(["make", "run"], signal.SIGTERM, None, id="make, SIGTERM"),
    ],
)
def test_one_signal_stops_all(fresh: Run, starter: list[str], sent: signal.Signals, code: int | None):
    (fresh.folder / "Makefile").write_text(f"run:\n\t@{ENSIR}\n")
    log = fresh.folder / "log"
    with open(log, "w") as file:
        process = subprocess.Popen(
            starter,
            cwd=fresh.folder,
            env=fresh.environment(),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    logs = fresh.folder / "results/logs"
    while not any(logs.rglob("*.log")):
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    process.send_signal(sent)
    assert process.wait() in ({code} if code else {2, 143, -sent}), log.read_text()
    said = "stopping" if sent == signal.SIGKILL else "stopped; finished work is kept"
    while said not in log.read_text():  # make may be gone before what it started
        assert running_in(fresh.folder), log.read_text()
        time.sleep(0.1)
    while running_in(fresh.folder):
        time.sleep(0.1)
    assert "error" not in log.read_text()
    assert not any((fresh.folder / ".snakemake/locks").glob("*"))


def running_in(folder: Path) -> list[str]:
    """Return the processes whose working directory is a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder):
                found.append(process.name)
        except OSError:
            continue
    return found
