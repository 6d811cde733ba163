"""A Dask worker preloads this: the first one that begins to count a chunk stops, and leaves a link that names its process."""

import os
import signal
from contextlib import suppress
from typing import Any

from dask.utils import key_split
from distributed import Worker, WorkerPlugin


class Stop(WorkerPlugin):
    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        if finish == "executing" and key_split(key) == "count":
            with suppress(FileExistsError):
                os.symlink(str(os.getpid()), os.environ["STOPPED_WORKER"])
                os.kill(os.getpid(), signal.SIGSTOP)


async def dask_setup(worker: Worker) -> None:
    await worker.plugin_add(Stop())
