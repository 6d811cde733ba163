"""Progress of the commands that work in this process: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ensir.storage import stop_request

if TYPE_CHECKING:
    from ensir.storage.progress import Progress

SECONDS_BETWEEN_LINES = 10


@contextmanager
def shown(what: str) -> Iterator[Progress]:
    """Yield a progress callback (done, total), and show on standard error how far the work is."""
    if not sys.stderr.isatty():
        yield _lines(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(what, total=None)

        def drawn(done: int, total: int) -> None:
            stop_request.check()
            bars.update(bar, completed=done, total=total)

        yield drawn


def _lines(what: str) -> Progress:
    last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        stop_request.check()
        if done < total and time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(f"{what}: {done:,} of {total:,}", file=sys.stderr, flush=True)

    return progress
