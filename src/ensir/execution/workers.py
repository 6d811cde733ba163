"""Where the chunks of partition and the images of fuse are processed: in this process, in others, on other machines.

No result depends on it: workers return sums of integers, or images in order.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from ensir.errors import InputError
from ensir.execution import extras
from ensir.execution.stopping import ignore_interrupts
from ensir.storage import provenance

if TYPE_CHECKING:
    from ensir.storage.progress import Progress

WAITING = ("waiting", "queued", "no-worker", "processing")  # states of Dask tasks that are still to be done
SECONDS_FOR_AN_ANSWER = 30
SECONDS_BETWEEN_POLLS = 1
TRIES = 5
# Of workers; of a scheduler, the first three.
COMPARED = ("python", "dask", "distributed", "cloudpickle", "numpy", "zarr")
DASK_JOBQUEUE = "dask.scheduler: slurm needs dask-jobqueue", "slurm"  # and the extra that brings it
AHEAD = 2  # items per thread of the workers that are submitted at once, so that the rest takes no memory
log = logging.getLogger(__name__)


class Workers(Protocol):
    """What does the work."""

    def compute(self, tasks: list[Any], joined: Callable[[list[Any]], Any], progress: Progress) -> Any:
        """Compute delayed tasks, joined into one delayed result, and return it."""
        ...

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Yield the function of each item, in order. Function and items must be picklable."""
        ...


@contextmanager
def open_workers(dask: dict[str, Any], threads: int | None = None) -> Iterator[Workers]:
    """Open the workers that the section `dask` of the configuration describes.

    Parameters
    ----------
    dask : dict
        The section, as plain data.
    threads : int or None
        Threads or processes on this machine; None: one per core.

    Raises
    ------
    InputError
        No scheduler answers, or it has no workers.
    """
    if dask["scheduler"] == "slurm":
        with slurm_cluster(dask) as cluster:
            yield from _distributed(cluster)
    elif "://" in dask["scheduler"]:
        yield from _distributed(dask["scheduler"])
    else:
        yield LocalWorkers(dask["scheduler"], threads)


class LocalWorkers:
    """This machine: threads or processes for chunks; images one by one, since the job of a part is one of many."""

    def __init__(self, scheduler: str, threads: int | None = None):
        self.scheduler, self.threads = scheduler, threads

    def compute(self, tasks: list[Any], joined: Callable[[list[Any]], Any], progress: Progress) -> Any:
        """See Workers."""
        import dask
        from dask.callbacks import Callback

        keys, done = {task.key for task in tasks}, 0

        def finished(key: Any, *_: Any) -> None:
            nonlocal done
            if key in keys:
                done += 1
                progress(done, len(keys))

        settings = {"multiprocessing.initializer": ignore_interrupts, "num_workers": self.threads}
        with dask.config.set(settings, scheduler=self.scheduler), Callback(posttask=finished):
            (result,) = dask.compute(joined(tasks))
        return result

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """See Workers."""
        return map(function, items)


class DistributedWorkers:
    """The workers of a distributed scheduler, which must see the same files."""

    def __init__(self, client: Any):
        self.client = client

    def compute(self, tasks: list[Any], joined: Callable[[list[Any]], Any], progress: Progress) -> Any:
        """See Workers."""
        keys = [task.key for task in tasks]
        future = self.client.compute(joined(tasks), optimize_graph=False)
        while not future.done():
            with suppress(TimeoutError):
                future.result(timeout=SECONDS_BETWEEN_POLLS)
            progress(len(keys) - self.client.run_on_scheduler(_waiting, keys), len(keys))
        return future.result()

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """See Workers."""
        sent: deque[Any] = deque()
        for item in items:
            sent.append(self.client.submit(function, item, pure=False))
            if len(sent) >= AHEAD * max(1, sum(self.client.nthreads().values())):
                yield sent.popleft().result()
        while sent:
            yield sent.popleft().result()


def _distributed(address: Any) -> Iterator[DistributedWorkers]:
    """Yield the workers at a scheduler's address or of a cluster, in this folder, once there is at least one."""
    from distributed import Client, WorkerPlugin
    from distributed.comm import CommClosedError

    class SameFolder(WorkerPlugin):
        folder = os.getcwd()

        def setup(self, worker: Any) -> None:
            os.chdir(self.folder)

    try:
        client = Client(address, timeout=SECONDS_FOR_AN_ANSWER, set_as_default=False)
    except OSError as error:
        raise InputError(
            f"dask.scheduler: {address} does not answer; start it with `dask scheduler`, or fix the address"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=SECONDS_FOR_AN_ANSWER if isinstance(address, str) else None)
        except TimeoutError as error:
            raise InputError(
                f"dask.scheduler: {address} has no workers; start some with `dask worker {address}`"
            ) from error
        _check_versions(client)
        log.info("dashboard of the workers: %s", client.dashboard_link)
        for tries_left in reversed(range(TRIES)):
            try:
                client.register_plugin(SameFolder())
                break
            except CommClosedError:  # a worker died meanwhile
                if not tries_left:
                    raise
        yield DistributedWorkers(client)


def _check_versions(client: Any) -> None:
    """Compare what the scheduler and its workers run with what this process does.

    Raises
    ------
    InputError
        Another version of Python or of a library, or another source of ours: none would fail with certainty, and
        results would not be what they say they are.
    """
    fix = "start the scheduler and its workers in the environment of this run"
    found = client.get_versions(packages=["zarr"])
    of_workers = {f"the worker {address}": told for address, told in found["workers"].items()}
    for who, told in {"the scheduler": found["scheduler"], **of_workers}.items():
        for package in COMPARED if who in of_workers else COMPARED[:3]:
            theirs, ours = (_version(each["packages"], package) for each in (told, found["client"]))
            if theirs != ours:
                raise InputError(f"dask.scheduler: {who} has {package} {theirs}, and this run {ours}; {fix}")
    for address, source in client.run(_source, on_error="return").items():
        if source != _source():
            what = "does not find ensir" if isinstance(source, ImportError) else "has another source of ensir"
            raise InputError(f"dask.scheduler: the worker {address} {what}; {fix}")


def _version(packages: dict[str, str | None], package: str) -> str | None:
    """Return the version of a package; of Python, major and minor."""
    version = packages.get(package)
    return ".".join(version.split(".")[:2]) if version and package == "python" else version


def _source() -> str:
    """Return a digest of our source, as far as workers may run it."""
    folders = (provenance.PACKAGE / name for name in (*provenance.COUNTED, "storage"))
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@contextmanager
def slurm_cluster(dask: dict[str, Any]) -> Iterator[Any]:
    """Start workers as Slurm jobs, and replace those that die; their scratch space is that of this job."""
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise extras.lacking(*DASK_JOBQUEUE, error) from error
    with SLURMCluster(
        queue=dask["queue"],
        account=dask["account"],
        cores=dask["cores"],
        processes=1,
        memory=dask["memory"],
        walltime=dask["walltime"],
        local_directory=tempfile.gettempdir(),
        log_directory=dask["logs"],
    ) as cluster:
        cluster.adapt(minimum_jobs=dask["workers"], maximum_jobs=dask["workers"])
        log.info("waiting for Slurm to start workers: %d jobs", dask["workers"])
        yield cluster


def _waiting(keys: list[str], dask_scheduler: Any) -> int:
    """Return how many tasks are still to be done; runs in the scheduler, which forgets tasks it no longer needs."""
    return sum(key in dask_scheduler.tasks and dask_scheduler.tasks[key].state in WAITING for key in keys)
