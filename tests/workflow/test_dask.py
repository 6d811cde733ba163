"""Partition and fuse by the workers of a distributed scheduler: other processes, equal bits, whatever dies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from conftest import Run
from distributed import Client, LocalCluster

from ensir.errors import InputError
from ensir.execution import workers

CLUSTER = """
import os, pathlib, signal
from dask.utils import key_split
from distributed import Client, LocalCluster, WorkerPlugin

class Dies(WorkerPlugin):
    "Kills the worker that begins the first task of a name."
    def setup(self, worker):
        self.worker = worker
    def transition(self, key, start, finish, **_):
        name = key_split(key)
        if finish == "executing" and name in ("count", "fused") and name not in os.listdir(FOLDER):
            pathlib.Path(FOLDER, name).touch()
            os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster) as client:
        client.register_plugin(Dies())
        print(cluster.scheduler_address, flush=True)
        input()
"""


@pytest.fixture
def address(repository: Path, tmp_path: Path) -> Iterator[str]:
    """Address of a scheduler whose two worker processes stand in another folder, and die now and then."""
    folder = tmp_path / "killed"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", f"FOLDER = {str(folder)!r}\n{CLUSTER}"],
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    yield process.stdout.readline().strip()
    process.communicate("\n")
    assert sorted(os.listdir(folder)) == ["count", "fused"]


def distribute(run: Run, scheduler: str) -> None:
    """Delete what partition and all later stages wrote, and name a scheduler."""
    config = run.config
    config["dask"] = {"scheduler": scheduler}
    run.config = config
    assert run.planned() == []  # a resource: nothing reruns
    for path in ("statistics", "weights", "luts", "fused", "logs"):
        shutil.rmtree(run.folder / "results" / path)
        shutil.rmtree(run.folder / "results/digests" / path, ignore_errors=True)


@pytest.mark.faults
def test_workers_are_killed(finished: Run, tmp_path: Path, address: str):
    run = finished.copy(tmp_path / "run")
    distribute(run, address)
    run.run()
    assert run.digests() == finished.digests()
    assert run.planned() == []
    for stage in ("partition", "fuse"):
        for log in (run.folder / "results/logs" / stage).rglob("*.log"):
            assert "dashboard of the workers: http://" in log.read_text()


@pytest.mark.slow
def test_processes_of_this_machine(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    distribute(run, "processes")
    run.run("--", "luts")
    assert run.digests().items() <= finished.digests().items()
    assert any("statistics" in path for path in run.digests())


@pytest.mark.parametrize(("listening", "problem"), [(False, "does not answer"), (True, "has no workers")])
def test_nobody_works(monkeypatch: pytest.MonkeyPatch, listening: bool, problem: str):
    if listening:
        wait = Client.wait_for_workers
        monkeypatch.setattr(
            Client, "wait_for_workers", lambda client, n, timeout: wait(client, n, timeout=0.1)
        )
    else:
        monkeypatch.setattr(workers, "SECONDS_FOR_AN_ANSWER", 1)
    with LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        address = cluster.scheduler_address if listening else "tcp://127.0.0.1:1"
        with (
            pytest.raises(InputError, match=f"dask.scheduler: {address} {problem}"),
            workers.open_workers({"scheduler": address}),
        ):
            pass


OTHERS = """
import sys, tempfile, pathlib
from distributed import LocalCluster
import distributed.versions
from ensir.storage import provenance

told = distributed.versions.get_package_info

def older(packages):
    "What a worker with an older NumPy tells."
    return told(packages) | ({"numpy": "1.26.4"} if sys.argv[1] == "numpy" else {})

if __name__ == "__main__":
    distributed.versions.get_package_info = older
    if sys.argv[1] == "source":
        provenance.COUNTED = ("arithmetic",)
    with LocalCluster(n_workers=1, processes=False, dashboard_address=":0", protocol="tcp") as cluster:
        print(cluster.scheduler_address, flush=True)
        input()
"""


@pytest.mark.parametrize(
    ("differs", "said"),
    [("numpy", "has numpy 1.26.4, and this run "), ("source", "has another source of ensir; ")],
)
def test_workers_of_another_version(differs: str, said: str, repository: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", OTHERS, differs],
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    address = process.stdout.readline().strip()
    with (
        pytest.raises(InputError, match=f"dask.scheduler: the worker tcp://.* {said}"),
        workers.open_workers({"scheduler": address}),
    ):
        pass
    process.communicate("\n")


@pytest.mark.parametrize("threads", [1, 3])
def test_no_more_threads_than_are_given(threads: int):
    running, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(threads, timeout=60)

    def work(i: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()  # so many run at the same time
        time.sleep(0.02)  # more would show here
        with lock:
            running -= 1
        return i

    tasks = [dask.delayed(work, pure=False)(i) for i in range(12)]
    with workers.open_workers({"scheduler": "threads"}, threads) as opened:
        assert opened.compute(tasks, dask.delayed(sum), lambda done, total: None) == 66
    assert most == threads
