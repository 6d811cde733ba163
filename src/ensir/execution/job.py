"""What every job does around its stage: threads, a log that says how far it is, and one clear error."""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ensir.errors import InputError
from ensir.execution import devices
from ensir.execution.stopping import Terminated, exit_code, stoppable
from ensir.storage import failures, stop_request

if TYPE_CHECKING:
    from ensir.storage.progress import Progress


SHORTEST, LONGEST = 1.0, 10.0  # seconds between two lines of progress: more, the longer a job runs


@contextmanager
def job(snakemake: Any) -> Iterator[Progress]:
    """Run the body of a workflow script; all that it says goes to its log, which the display of the run reads.

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
    gc.disable()  # until the first image or step: what imports leave is no garbage, and looking costs 0.1 s
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = str(snakemake.threads)
    try:
        Path(snakemake.log[0]).write_text("")
        log_file = LogFile(str(snakemake.log[0]))  # appends, as what is printed does
    except OSError as error:
        sys.exit(f"error: {failures.described(error) or error}")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", handlers=[log_file], force=True
    )
    log = logging.getLogger("ensir")
    what = " ".join([snakemake.rule, *map(str, snakemake.wildcards)])
    started = time.monotonic()
    log.info("%s", what)
    _print_to(log_file.baseFilename)
    try:
        with stoppable():
            yield _logged(log, started)
    except InputError as error:
        _fail(str(error))
    except (KeyboardInterrupt, Terminated) as stop:
        log.info("stopped")
        # What it finds unfinished as the process ends is no error.
        logging.getLogger("asyncio").disabled = True
        sys.exit(exit_code(stop))
    except BaseException as error:
        if not failures.is_failure(error):
            raise
        message = failures.described(error)
        if message is None:
            _fail(f"unexpected {type(error).__name__}: {error}; the log shows where", traceback=True)
        _fail(message)
    log.info(
        "done in %.1f s; %.2f core seconds since the process began, peak memory %s",
        time.monotonic() - started,
        sum(os.times()[:4]),
        devices.peak_memory(),
    )
    gc.freeze()  # or Python looks through all modules for garbage before it ends: 0.2 s


class LogFile(logging.FileHandler):
    """A log; what it has no room for goes where the job's errors went before, and stops no job."""

    def __init__(self, path: str):
        super().__init__(path)
        self.otherwise = os.dup(2)

    def close(self) -> None:
        """Close the file, with or without what there was no room for."""
        with suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:
        """Write a record elsewhere, if it tells of an error."""
        if record.levelno >= logging.ERROR:
            with suppress(OSError):
                os.write(self.otherwise, f"{self.format(record)}\n".encode())


def _fail(message: str, traceback: bool = False) -> NoReturn:
    logging.getLogger("ensir").error("%s", " ".join(message.split("\n")), exc_info=traceback)
    sys.exit(1)


def _print_to(log: str) -> None:
    """Send what the job, its libraries and its child processes print to its log: the terminal is not theirs."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.flush()
        with open(log, "ab") as file:
            os.dup2(file.fileno(), number)


def _logged(log: logging.Logger, started: float) -> Progress:
    """Return a progress callback that writes a line now and then: at first every second."""
    last = started

    def progress(done: int, total: int) -> None:
        nonlocal last
        gc.enable()
        stop_request.check()
        now = time.monotonic()
        if now - last >= min(LONGEST, max(SHORTEST, (now - started) / 60)):
            last = now
            log.info("%d of %d", done, total)

    return progress
