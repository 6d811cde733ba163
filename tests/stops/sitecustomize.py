"""Stops jobs: Python imports this first in every process of a run that has this folder in its PYTHONPATH.

STOPS tells where. A job that is there leaves a link in a folder, {stage}.{number}, which names its process, and sends itself
SIGSTOP. The moments are

- begun: before the first line of the job's script;
- writing: the result is there under its partial name, whole or in part;
- done: the result has just been renamed into its place; its digest and all that follows are still to come.
"""

import json
import os
import signal
import sys
from contextlib import suppress

told = json.loads(os.environ["STOPS"])
stage = sys.orig_argv[-1].removesuffix(".py").rpartition(".")[2]  # …/.snakemake/scripts/tmp….fuse.py
moment = told["moments"].get(stage)
me = str(os.getpid())
placed = False


def stop() -> None:
    """Stop here, unless enough jobs of the stage have stopped already."""
    global moment
    moment = None
    for number in range(told["jobs"]):
        with suppress(FileExistsError):
            os.symlink(me, f"{told['folder']}/{stage}.{number}")
            os.kill(os.getpid(), signal.SIGSTOP)
            return


def watch(event: str, arguments: tuple) -> None:
    """Stop before the first change of the job's partial result after the moment."""
    global placed
    if moment is None or event not in ("open", "os.mkdir", "os.rename", "os.remove"):
        return
    above, _, below = str(arguments[0]).partition("/.partial/")
    name = below.partition("/")[0]  # {result}.{host}.{process id}; that of its digest ends with .sha256
    if me not in name.split("."):
        return
    partial = f"{above}/.partial/{name}"
    if placed if moment == "done" else os.path.lexists(partial):
        stop()
    placed = placed or (event == "os.rename" and str(arguments[0]) == partial)


if moment == "begun":
    stop()
elif moment:
    sys.addaudithook(watch)
