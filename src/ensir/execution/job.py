"""What every job does around its stage: threads, log, progress, and one clear error."""

from __future__ import annotations

import errno
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from ensir.errors import InputError

Progress = Callable[[int, int], None]
SECONDS_BETWEEN_LINES = 5
FIXES = {
    errno.ENOSPC: "free some space on this disk",
    errno.EDQUOT: "free some space in your quota",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
    errno.EROFS: "mount its file system for writing",
}


@contextmanager
def job(snakemake: Any) -> Iterator[Progress]:
    """Run the body of a workflow script.

    The stage must be imported inside the body: the number of threads is set before its libraries load.

    Parameters
    ----------
    snakemake : object
        The object that Snakemake gives to the script.

    Yields
    ------
    callable
        Progress callback: (done, total).
    """
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = str(snakemake.threads)
    log_file = logging.FileHandler(str(snakemake.log[0]), mode="w")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", handlers=[log_file], force=True
    )
    log = logging.getLogger("ensir")
    what = " ".join([snakemake.rule, *map(str, snakemake.wildcards)])
    started = time.monotonic()
    log.info("%s", what)
    try:
        with shown(what) as progress:
            yield progress
    except InputError as error:
        _stop(str(error))
    except OSError as error:
        if error.errno not in FIXES:
            log.exception("%s failed", what)
            raise
        _stop(f"{error.filename or os.getcwd()}: {error.strerror}; {FIXES[error.errno]}, then run again")
    except Exception:
        log.exception("%s failed", what)
        raise
    log.info("done in %.1f s", time.monotonic() - started)


def _stop(message: str) -> NoReturn:
    logging.getLogger("ensir").error("%s", message)
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


@contextmanager
def shown(what: str) -> Iterator[Progress]:
    """Show progress: a bar on a terminal, and lines in the log every few seconds."""
    log = logging.getLogger("ensir")
    last = time.monotonic()

    def logged(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            log.info("%d of %d", done, total)

    if not sys.stderr.isatty():
        yield logged
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(what, total=None)

        def drawn(done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total)
            logged(done, total)

        yield drawn
