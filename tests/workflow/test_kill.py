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

import psutil
import pytest
from conftest import Run

from ensir.storage import digests
from ensir.storage.layout import Layout

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
MOMENTS = ("begun", "writing", "done")


def rewind(run: Run, stage: str) -> None:
    """Delete what a stage and all later ones wrote."""
    results = run.folder / "results"
    for path in [path for later in list(STAGES)[list(STAGES).index(stage) :] for path in STAGES[later]]:
        shutil.rmtree(results / path) if (results / path).is_dir() else (results / path).unlink(
            missing_ok=True
        )
    shutil.rmtree(results / "logs")


def wait_for_job(run: Run, process: subprocess.Popen, stage: str, moment: str) -> int:
    """Return the process id of the stage's first job: just begun, writing, or with its result in place."""
    results = run.folder / "results"
    job = 0
    while process.poll() is None:
        job = job or next(jobs(process, stage), 0)
        written = results.glob(f".partial/results~{STAGES[stage][0]}~*.*[0-9]")
        if job and moment == "begun":
            return job
        if moment == "writing":
            writers = [int(partial.name.rpartition(".")[2]) for partial in written]
            for writer in filter(psutil.pid_exists, writers):  # not one that was killed before
                return writer
            if job and stage in ("score", "report"):  # too quick to be seen writing
                return job
        if (
            job
            and moment == "done"
            and any(file.is_file() for file in (results / STAGES[stage][0]).rglob("*"))
        ):
            return job
        if job and moment == "done" and (results / STAGES[stage][0]).is_file():
            return job
    pytest.fail(f"no job of {stage} was seen: {process.communicate()[0]}")


def jobs(process: subprocess.Popen, stage: str) -> Iterator[int]:
    """Yield the running jobs of a stage."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.Error:
        return
    for child in children:
        try:
            if any(argument.endswith(f".{stage}.py") for argument in child.cmdline()):
                yield child.pid
        except psutil.Error:
            continue


def cases() -> list:
    """Every stage and moment; one is quick enough for every test run, one moment for `make test-faults`."""
    found = []
    for stage in STAGES:
        for moment in MOMENTS:
            mark = pytest.mark.faults if moment == "writing" else pytest.mark.faults_all
            found.append(
                pytest.param(stage, moment, marks=[] if (stage, moment) == ("fuse", "writing") else mark)
            )
    return found


def is_whole(run: Run, finished: Run, complete: dict[Path, int]) -> None:
    """Check that a rerun gives equal digests, redid nothing that was complete, and left nothing behind."""
    run.run()
    assert run.digests() == finished.digests()
    redone = [file for file, when in complete.items() if file.exists() and file.stat().st_mtime_ns != when]
    assert not redone, redone
    assert run.planned() == []
    left = [path for path in (run.folder / "results/.partial").iterdir() if path.suffix != ".lock"]
    assert not left, left


def completed(run: Run) -> dict[Path, int]:
    """Return the digests that are there, with their dates."""
    return {file: file.stat().st_mtime_ns for file in (run.folder / "results/digests").rglob("*.sha256")}


@pytest.mark.parametrize(("stage", "moment"), cases())
def test_kill(finished: Run, tmp_path: Path, stage: str, moment: str):
    """The job is killed, and in the run after that the job and Snakemake with it."""
    run = finished.copy(tmp_path / "run")
    for victim in ("job", "everything"):
        rewind(run, stage)
        process = run.start()
        job = wait_for_job(run, process, stage, moment)
        if victim == "everything":
            os.killpg(process.pid, signal.SIGKILL)
        elif psutil.pid_exists(job):  # with its result in place, it may have ended by now
            os.kill(job, signal.SIGKILL)
        process.communicate()
        assert moment == "done" or process.returncode != 0

    complete = completed(run)
    if moment == "done":  # in place, but not yet known to Snakemake: may be made again
        complete = {file: when for file, when in complete.items() if STAGES[stage][0] not in file.parts}
    assert "unlock" in run.run(ok=False)  # Snakemake tells what to type
    run.run("--unlock")
    is_whole(run, finished, complete)


@pytest.mark.faults
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_polite_end(finished: Run, tmp_path: Path, sent: signal.Signals):
    """Ctrl-C goes to the whole group, SIGTERM to Snakemake: both let go of the lock."""
    run = finished.copy(tmp_path / "run")
    for _ in range(4):  # where it comes in a callback, Python ignores an interrupt, and the run ends well
        rewind(run, "predict")
        process = run.start()
        wait_for_job(run, process, "predict", "writing")
        os.killpg(process.pid, sent) if sent == signal.SIGINT else process.send_signal(sent)
        output, _ = process.communicate(timeout=120)
        assert "/src/ensir/" not in output, output  # as tracebacks of jobs name it
        if process.returncode != 0:
            break
    assert process.returncode != 0
    is_whole(run, finished, completed(run))


@pytest.mark.faults
def test_an_orphaned_job_and_its_rerun_do_not_mix(fresh: Run):
    """SIGKILL of Snakemake alone: its jobs go on writing; the rerun waits for them."""
    (fresh.folder / "own_models.py").write_text(
        (fresh.folder / "own_models.py").read_text() + "\n\nimport time\ntime.sleep(3)\n"
    )
    process = fresh.start()
    log = fresh.folder / "results/logs/predict"
    while not list(log.glob("*/f/*.log")):
        time.sleep(0.05)
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    fresh.run("--unlock")
    fresh.run()
    assert fresh.planned() == []
    verified = dict(digests.verify(fresh.folder / "results", Layout(str(fresh.folder / "results"))))
    assert verified
    assert not any(verified.values())


@pytest.mark.faults
def test_a_second_run_in_the_folder_fails_clearly(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    rewind(run, "predict")
    process = run.start()
    wait_for_job(run, process, "predict", "begun")
    output = run.run(ok=False)
    assert "lock" in output
    assert "Traceback" not in output
    process.communicate()
    assert process.returncode == 0
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
    rewind(run, "predict")
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
