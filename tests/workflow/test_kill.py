"""SIGKILL of a job, and of Snakemake with its job, in each stage: the rerun gives equal digests and redoes only unfinished work."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from conftest import Run

from ensir import digests
from ensir.layout import Layout

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
    for path in [path for later in list(STAGES)[list(STAGES).index(stage) :] for path in STAGES[later]]:
        shutil.rmtree(results / path) if (results / path).is_dir() else (results / path).unlink()
    shutil.rmtree(results / "logs")


def wait_for_job(run: Run, process: subprocess.Popen, stage: str) -> int:
    """Return the process id of the stage's first job, as soon as it writes (or, for tables and pages, has begun)."""
    slug = f"results~{STAGES[stage][0]}~"
    script = f"{stage}.py"
    while process.poll() is None:
        for partial in (run.folder / "results/.partial").glob(f"{slug}*.*[0-9]"):
            return int(partial.name.rpartition(".")[2])
        if stage in ("score", "report") and (run.folder / f"results/logs/{stage}").parent.exists():
            for child in psutil.Process(process.pid).children(recursive=True):
                if any(script in argument for argument in _cmdline(child)):
                    return child.pid
    pytest.fail(f"no job of {stage} was seen: {process.communicate()[0]}")


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def moments() -> list:
    """Every stage and victim; one of them is quick enough for every test run."""
    quick = [("fuse", "job")]
    every = [(stage, victim) for stage in STAGES for victim in ("job", "everything")]
    return [pytest.param(*m, marks=[] if m in quick else pytest.mark.faults) for m in every]


@pytest.mark.parametrize(("stage", "victim"), moments())
def test_kill(finished: Run, tmp_path: Path, stage: str, victim: str):
    run = finished.copy(tmp_path / "run")
    rewind(run, stage)
    process = run.start()
    job = wait_for_job(run, process, stage)
    if victim == "job":
        os.kill(job, signal.SIGKILL)
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode != 0

    complete = {file: file.stat().st_mtime_ns for file in (run.folder / "results/digests").rglob("*.sha256")}
    if victim == "everything":
        assert "unlock" in run.run(ok=False)  # Snakemake tells what to type
        run.run("--unlock")
    run.run()
    assert run.digests() == finished.digests()
    redone = [file for file, when in complete.items() if file.exists() and file.stat().st_mtime_ns != when]
    assert not redone, redone
    assert run.planned() == []
    left = [path for path in (run.folder / "results/.partial").iterdir() if path.suffix != ".lock"]
    assert not left, left


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
