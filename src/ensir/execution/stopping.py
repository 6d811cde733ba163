"""SIGTERM as an exception, like Ctrl-C: whatever is open is closed, and nothing half-written is left behind."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

KEPT = "finished work is kept; run the same command to resume"
SECONDS_TO_LEAVE = 0.05  # a finaliser, in which Python ignores exceptions


class Terminated(SystemExit):
    """SIGTERM was received."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Terminated` on SIGTERM; neither it nor Ctrl-C is lost where Python ignores exceptions (`__del__`)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler, hook = signal.signal(signal.SIGTERM, _terminate), sys.unraisablehook
    sys.unraisablehook = _send_again
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        sys.unraisablehook = hook


@contextmanager
def silent() -> Iterator[None]:
    """Let Ctrl-C end the process without a message, as there is nothing to report during imports."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _terminate(*_: Any) -> NoReturn:
    raise Terminated


def _send_again(ignored: Any) -> None:
    if isinstance(ignored.exc_value, KeyboardInterrupt | Terminated):
        number = exit_code(ignored.exc_value) - 128
        threading.Timer(SECONDS_TO_LEAVE, _thread.interrupt_main, [number]).start()
    else:
        sys.__unraisablehook__(ignored)


@contextmanager
def keeping(checkpoint: Path) -> Iterator[None]:
    """Say where the checkpoint of a training is, if it is stopped; see `message`."""
    try:
        yield
    except (KeyboardInterrupt, Terminated) as stop:
        if checkpoint.exists():
            stop.add_note(f"the checkpoint {checkpoint} is kept; run the same command to resume")
        else:
            stop.add_note("before the first checkpoint; run the same command to start over")
        raise


def message(stop: BaseException) -> str:
    """Return the message about work that was stopped."""
    return f"stopped; {'; '.join(getattr(stop, '__notes__', [KEPT]))}"


def exit_code(stop: BaseException) -> int:
    """Return the exit code of work that was stopped, as in a shell."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
