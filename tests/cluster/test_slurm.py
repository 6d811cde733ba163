"""Whole runs on a Slurm of two nodes: the digests of a local run, whatever is killed. `make test-cluster` runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

import pytest
import yaml
from slurm import NODES, Slurm, job_of, missing
from stops import Stops, is_stopped
from workflow.conftest import REPOSITORY, Run, copy_repository, prepare  # tests/workflow

from ensir.storage import verification
from ensir.storage.layout import Layout

GROUPS = ("ingest", "predict", "fit", "weights", "fuse", "score")


class OnSlurm(Run):
    """A working folder whose workflow runs by the profile of Slurm."""

    def command(self, *arguments: str) -> list[str]:
        local, profile = (str(self.repository / "workflow/profiles" / name) for name in ("local", "slurm"))
        command = [profile if word == local else word for word in super().command()[1:]]
        snakemake = [sys.executable, str(Path(__file__).with_name("impatient.py"))]
        return [*snakemake, *command, "--slurm-init-seconds-before-status-checks", "1", *arguments]

    def execute(self, *arguments: str, **variables: str) -> tuple[int, str]:
        """Run `impatient.py` to its end, which is a program of its own."""
        process = self.start(*arguments, **variables)
        output, _ = process.communicate()
        return process.returncode, output

    def hosts(self, results: str) -> set[str]:
        """Return the hosts that made results, named by a glob."""
        origins = (self.folder / "results/digests").glob(f"{results}.json")
        return {json.loads(file.read_text())["host"] for file in origins}


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_repository(REPOSITORY, tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Slurm:
    if reason := missing():
        pytest.fail(reason)
    return Slurm(tmp_path_factory.mktemp("cluster") / "slurm")


@pytest.mark.parametrize(
    "experiments",
    [
        pytest.param(["deblur"], marks=pytest.mark.cluster),
        pytest.param(["denoise", "sr_x2", "deblur"], marks=pytest.mark.cluster_all),
    ],
    ids=["one experiment", "all"],
)
def test_the_default_run(slurm: Slurm, tmp_path: Path, experiments: list[str]):
    """config/config.yaml, whole or its experiment with networks; a job is killed in it, and a node with its jobs."""
    local, cluster = Run(tmp_path / "local"), OnSlurm(tmp_path / "slurm")
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    config["experiments"] = {name: config["experiments"][name] for name in experiments}
    for run in (local, cluster):
        run.folder.mkdir()
        run.config = config
    for done in ("results", ".snakemake/metadata"):  # what `make run` did need not be done again
        if (REPOSITORY / done).is_dir():
            shutil.copytree(REPOSITORY / done, local.folder / done, symlinks=True)
    local.run()
    components = (f"{group}=3" for group in GROUPS)
    stops = Stops(cluster, {"predict": "writing", "estimate": "writing"}, "--group-components", *components)
    killed, _ = job_of(*stops.wait("predict"))
    slurm.kill_job(killed)
    lost, node = job_of(*stops.wait("estimate"))
    slurm.kill_node(node)
    slurm.start_node(node)
    output, _ = stops.process.communicate()
    assert stops.process.returncode == 0, output
    states = [(job["JobId"], job["JobState"]) for job in slurm.completed()]
    assert {(killed, "FAILED"), (lost, "NODE_FAIL"), (lost, "COMPLETED")} <= set(states)
    assert cluster.planned() == []
    assert cluster.digests().items() <= local.digests().items()  # `make run` may have done more
    assert cluster.hosts("**/*") == {"login", *NODES}  # seals are written where Snakemake runs


@pytest.mark.cluster
def test_the_keys_of_the_profile(slurm: Slurm, tmp_path: Path, repository: Path):
    """GPU, partition and scratch directory reach Slurm and the job; a second attempt gets twice the memory."""
    run = prepare(tmp_path / "run", repository)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    model = run.folder / "own_models.py"
    model.write_text(
        model.read_text()
        + f"\nimport os, tempfile\nassert tempfile.gettempdir() == {str(scratch)!r}\n"
        + "assert os.environ['CUDA_VISIBLE_DEVICES'] == '0'\n"
        + "if not os.path.exists('seen'):\n    open('seen', 'w').close()\n    os.kill(os.getpid(), 9)\n"
    )
    cluster = OnSlurm(run.folder, repository)
    shown = cluster.run(
        *("--logger", "ensir"),
        *("--default-resources", "slurm_partition=main", f"tmpdir={scratch}"),
        *("--set-resources", "predict:gpu=1"),
        *("--group-components", "predict=2", "--"),  # they share a GPU
        "results/predictions/ref/f.zarr/zarr.json",
    )
    failed = "the group of 2 jobs (predict)"
    assert f"error: {failed} failed; log: " in shown
    assert f"\ntrying again: {failed}\n" in shown
    assert re.search(r"^5/5 seal the predictions of f for ref \d+\.\d s$", shown, re.MULTILINE)
    assert re.search(r"^5 of 5 jobs in \d:\d\d, 2 failed at first$", shown, re.MULTILINE)
    jobs = [job for job in slurm.completed() if job["WorkDir"] == str(run.folder)]
    assert {job["Partition"] for job in jobs} == {"main"}
    (failed,) = (job for job in jobs if job["JobState"] == "FAILED")
    assert 2 * memory(failed) in [memory(job) for job in jobs if job["JobState"] == "COMPLETED"]
    assert cluster.hosts(f"predictions/**/{12 * '?'}") == {NODES[0]}  # the one with a GPU


def memory(job: dict[str, str]) -> float:
    """Return what a job asked for, in MB."""
    number, unit = re.search(r"mem=([\d.]+)([MG])", job["Tres"]).groups()
    return float(number) * (1024 if unit == "G" else 1)


@pytest.mark.cluster
def test_dask_workers_under_slurm(slurm: Slurm, tmp_path: Path, repository: Path):
    """Partition and fuse start workers as Slurm jobs; one is killed."""
    local = prepare(tmp_path / "local", repository)
    cluster = local.copy(tmp_path / "cluster")
    local.run("luts")
    config = cluster.config
    config["dask"] = {"scheduler": "slurm", "workers": 2, "cores": 1, "memory": "1GB"}
    cluster.config = config
    stopped = tmp_path / "stopped"
    preload = str([str(Path(__file__).with_name("stopping_worker.py"))])
    process = cluster.start("luts", DASK_DISTRIBUTED__WORKER__PRELOAD=preload, STOPPED_WORKER=str(stopped))
    while not (stopped.is_symlink() and is_stopped(int(os.readlink(stopped)))):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    job, _ = job_of(int(os.readlink(stopped)))
    slurm.kill_job(job)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert cluster.digests() == local.digests()
    (log,) = (cluster.folder / "results/logs/partition/one").glob("*.log")
    assert "dashboard of the workers: http://" in log.read_text()
    ended = {job["JobId"]: job for job in slurm.completed() if job["Name"] == "dask-worker"}
    assert ended[job]["JobState"] == "FAILED"
    assert len(ended) >= 2


@pytest.mark.cluster
def test_what_is_lost_is_made_again(slurm: Slurm, tmp_path: Path, repository: Path):
    """A part of a dataset that is gone, and statistics that are damaged: those again, on the nodes, and nothing else."""
    cluster = OnSlurm(prepare(tmp_path / "run", repository).folder, repository)
    cluster.run("--", "luts")
    before, done = cluster.digests(), len(slurm.completed())
    results = cluster.folder / "results"
    part = next((results / "datasets/ref.zarr").glob("[0-9a-f]*/"))
    shutil.rmtree(part)
    counts = results / "statistics/one/bins.zarr/count/c/0"
    counts.write_bytes(bytes(counts.stat().st_size))
    shown = cluster.run("--logger", "ensir", "--", "luts")
    made = re.findall(r"^\d+/\d+ (\w+) .*\d s$", shown, re.MULTILINE)
    assert sorted(set(made)) == ["ingest", "list", "partition"], shown
    assert cluster.digests() == before
    assert len(slurm.completed()) == done + 2
    assert cluster.planned("luts") == []
    assert not any(found.problems for found in verification.verify(results, Layout(str(results))))
