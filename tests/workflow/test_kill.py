"""Killed and disturbed in each stage: the rerun gives equal digests and redoes only unfinished work."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Run
from stops import Stops

from ensir.storage import verification
from ensir.storage.atomic import remove
from ensir.storage.layout import DIGESTED, Layout

# What a stage writes, below results/; a test deletes it with all that follows, so that the run starts with that stage.
STAGES = {
    "ingest": ["datasets", "digests/datasets"],
    "predict": ["predictions", "digests/predictions"],
    "partition": ["statistics", "digests/statistics"],
    "estimate": ["weights", "digests/weights"],
    "merge": ["luts", "digests/luts"],
    "fuse": ["fused", "digests/fused"],
    "score": ["scores", "scores.csv", "summary.csv"],
    "report": ["report.html"],
}


def rewind(run: Run, stage: str) -> None:
    """Delete what a stage and all later ones wrote."""
    results = run.folder / "results"
    wanted = [path for later in list(STAGES)[list(STAGES).index(stage) :] for path in STAGES[later]]
    for path in [*wanted, *(f"digests/{path}{end}" for path in wanted for end in ("", ".sha256"))]:
        remove(results / path)
    shutil.rmtree(results / "logs")


def completed(run: Run) -> dict[Path, int]:
    """Return the digests that other jobs read and that are there, with their dates."""
    folders = (run.folder / "results/digests" / kind for kind in DIGESTED)
    return {file: file.stat().st_mtime_ns for folder in folders for file in folder.rglob("*.sha256")}


def redone(complete: dict[Path, int]) -> list[Path]:
    """Return which digests were written again since they were complete."""
    return [file for file, when in complete.items() if file.exists() and file.stat().st_mtime_ns != when]


def is_whole(run: Run, finished: Run, complete: dict[Path, int]) -> None:
    """Check that a rerun gives equal digests, redid nothing that was complete, and left nothing behind."""
    run.run()
    assert run.digests() == finished.digests()
    assert not redone(complete)
    assert run.planned() == []
    left = [path for path in (run.folder / "results/.partial").iterdir() if path.suffix != ".lock"]
    assert not left, left


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("begun", marks=pytest.mark.faults_all),
        pytest.param("writing", marks=pytest.mark.faults),
        pytest.param("done", marks=pytest.mark.faults_all),
    ],
)
def test_kill(finished: Run, tmp_path: Path, moment: str):
    """In every stage, a job is killed, and in the run after that a job and Snakemake with it."""
    run = finished.copy(tmp_path / "run")
    rewind(run, "ingest")
    complete: dict[Path, int] = {}
    for stage in STAGES:
        for victim in ("job", "everything"):
            stops = Stops(run, {stage: moment})
            (job,) = stops.wait(stage)
            assert not redone(complete)
            if victim == "everything":
                os.killpg(stops.process.pid, signal.SIGKILL)
            else:
                os.kill(job, signal.SIGKILL)
            output, _ = stops.process.communicate()
            assert stops.process.returncode != 0, output
            complete = completed(run)
            if moment == "done":  # in place, but not yet known to Snakemake: may be made again
                own = STAGES[stage][0]
                complete = {file: when for file, when in complete.items() if own not in file.parts}
        assert "unlock" in run.run(ok=False)  # Snakemake tells what to type
        run.run("--unlock")
    is_whole(run, finished, complete)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        pytest.param(signal.SIGTERM, "Will exit after finishing currently running jobs", id="SIGTERM"),
        pytest.param(signal.SIGINT, "Terminating processes on user request", id="Ctrl-C"),
    ],
)
def test_a_polite_end(finished: Run, tmp_path: Path, sent: signal.Signals, answer: str):
    """Ctrl-C goes to the whole group, SIGTERM to Snakemake: both let go of the lock."""
    run = finished.copy(tmp_path / "run")
    rewind(run, "fuse")
    shutil.rmtree(run.folder / ".snakemake/log")
    stops = Stops(run, {"fuse": "writing"}, jobs=2)  # on all cores: there is nothing left for Snakemake to do
    stops.wait("fuse")
    wait_until_idle(stops.process)
    os.killpg(stops.process.pid, sent) if sent == signal.SIGINT else stops.process.send_signal(sent)
    (log,) = (run.folder / ".snakemake/log").iterdir()
    while answer not in log.read_text():
        assert stops.process.poll() is None
        time.sleep(0.05)
    stops.go_on()
    output, _ = stops.process.communicate()
    assert stops.process.returncode != 0, output
    assert "/src/ensir/" not in output, output  # as tracebacks of jobs name it
    is_whole(run, finished, completed(run))


def wait_until_idle(process: subprocess.Popen) -> None:
    """Wait until the main thread of a process sleeps, with nothing to wake it up but a signal or another thread.

    Only there is Ctrl-C sure to be heard: Python ignores an exception in a destructor or a callback. A thread that waits
    for the interpreter's lock wakes up every five milliseconds, which its count of switches tells.
    """
    status = Path(f"/proc/{process.pid}/task/{process.pid}/status")
    before, now = "", status.read_text()
    while "State:\tS" not in now or before != now:
        time.sleep(0.2)
        before, now = now, status.read_text()


@pytest.mark.faults
def test_an_orphaned_job_and_its_rerun_do_not_mix(finished: Run, tmp_path: Path):
    """SIGKILL of Snakemake alone: its jobs go on writing; the rerun waits for them."""
    run = finished.copy(tmp_path / "run")
    rewind(run, "fuse")
    stops = Stops(run, {"fuse": "writing"})
    stops.wait("fuse")
    stops.process.kill()
    stops.process.wait()
    run.run("--unlock")
    rerun = run.start()
    logs = run.folder / "results/logs/fuse"
    while not any("waiting: another process" in log.read_text() for log in logs.rglob("*.log")):
        assert rerun.poll() is None
        time.sleep(0.05)
    stops.go_on()
    output, _ = rerun.communicate()
    assert rerun.returncode == 0, output
    assert run.digests() == finished.digests()
    assert run.planned() == []
    verified = {
        one.result: one.problems
        for one in verification.verify(run.folder / "results", Layout(str(run.folder / "results")))
    }
    assert verified
    assert not any(verified.values())


@pytest.mark.faults
def test_a_second_run_in_the_folder_fails_clearly(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    rewind(run, "score")
    stops = Stops(run, {"score": "begun"})
    stops.wait("score")
    output = run.run(ok=False)
    assert "lock" in output
    assert "Traceback" not in output
    stops.go_on()
    output, _ = stops.process.communicate()
    assert stops.process.returncode == 0, output
    assert run.digests() == finished.digests()


# ── the disk ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small_disk(finished: Run, tmp_path: Path) -> Iterator[Run]:
    """A finished run, rewound to its predictions, whose results are on a file system of 8 MB."""
    run = finished.copy(tmp_path / "run")
    rewind(run, "predict")
    results = run.folder / "results"
    kept = results.rename(run.folder / "kept")
    results.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(results)], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    shutil.copytree(kept, results, dirs_exist_ok=True, symlinks=True)
    yield run
    subprocess.run(["umount", "--lazy", str(results)], check=True)


def fill(folder: Path) -> Path:
    """Write a file that takes all space."""
    filler = folder / "filler"
    with suppress(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return filler


@pytest.mark.faults
def test_the_disk_fills_up(finished: Run, small_disk: Run):
    """While a function model runs, before its predictions are written."""
    model = small_disk.folder / "own_models.py"
    model.write_text(
        model.read_text()
        + "\n\nimport os, time\nopen('waiting', 'w').close()\nwhile not os.path.exists('go'):\n    time.sleep(0.05)\n"
    )
    process = small_disk.start()
    while not (small_disk.folder / "waiting").exists():
        assert process.poll() is None
        time.sleep(0.05)
    filler = fill(small_disk.folder / "results")
    (small_disk.folder / "go").touch()
    output, _ = process.communicate()
    assert process.returncode != 0
    assert "free some space" in output, output
    filler.unlink()
    model.write_text((finished.folder / "own_models.py").read_text())
    if "unlock" in small_disk.run("--dry-run", ok=None):
        small_disk.run("--unlock")
    small_disk.run()
    assert small_disk.digests() == finished.digests()
    assert small_disk.planned() == []


@pytest.mark.faults
def test_a_folder_that_cannot_be_written(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    rewind(run, "score")
    partial = str(run.folder / "results/.partial")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", partial], check=False).returncode:
        pytest.skip("mounting a read-only file system needs root")
    try:
        output = run.run(ok=False)
    finally:
        subprocess.run(["umount", partial], check=True)
    assert "mount its file system for writing" in output, output
    assert "Traceback" not in output
    is_whole(run, finished, completed(run))
