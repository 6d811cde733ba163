"""What every job does around its stage: threads, log, progress, and one clear error."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from ensir.errors import InputError
from ensir.execution import devices
from ensir.execution.stopping import Terminated, exit_code, stoppable
from ensir.storage import failures, stop_request

Progress = Callable[[int, int], None]
SECONDS_BETWEEN_LINES = 5


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
        with stoppable(), shown(what) as progress:
            yield progress
    except InputError as error:
        _stop(str(error))
    except (KeyboardInterrupt, Terminated) as stop:
        log.info("stopped")
        sys.exit(exit_code(stop))
    except Exception as error:
        message = failures.described(error)
        if message is None:
            log.exception("%s failed", what)
            raise
        _stop(message)
    log.info(
        "done in %.1f s; %.2f core seconds since the process began, peak memory %s",
        time.monotonic() - started,
        sum(os.times()[:4]),
        devices.peak_memory(),
    )


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
        stop_request.check()
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
