"""SIGTERM and SIGHUP as an exception, like Ctrl-C: whatever is open is closed, and nothing half-written is left behind.

Neither is lost: not where Python ignores exceptions (`__del__`), and not in libraries that swallow them, after which
`stop_request.check` raises them again.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ensir.storage import stop_request

KEPT = "finished work is kept; run the same command to go on"
SECONDS_TO_LEAVE = 0.05  # a finaliser, in which Python ignores exceptions


class Terminated(SystemExit):
    """SIGTERM was received, or SIGHUP, as when a terminal is closed."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise `Terminated` on SIGTERM and SIGHUP, `KeyboardInterrupt` on Ctrl-C, unless ignored (nohup), in the body."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers, hook = {signal.SIGTERM: signal.signal(signal.SIGTERM, _terminate)}, sys.unraisablehook
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        handlers[signal.SIGHUP] = signal.signal(signal.SIGHUP, _terminate)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        handlers[signal.SIGINT] = signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _send_again
    try:
        yield
        stop_request.check()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook
        stop_request.clear()


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
    stop_request.request(Terminated)
    raise Terminated


def _interrupt(*_: Any) -> NoReturn:
    stop_request.request(KeyboardInterrupt)
    raise KeyboardInterrupt


def _send_again(ignored: Any) -> None:
    if isinstance(ignored.exc_value, KeyboardInterrupt | Terminated):
        number = exit_code(ignored.exc_value) - 128
        # Private, but alone in taking the number of a signal and sending it to nobody else.
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
            stop.add_note(f"the checkpoint {checkpoint} is kept; run the same command to go on")
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


def make_is_interrupted() -> bool:
    """Return whether a make that started this process has received SIGINT, which it passes on to nobody.

    It waits for its commands with the signal blocked, as Linux can tell; elsewhere, or where the terminal has sent the
    signal to all, this is false.
    """
    process, bit = os.getppid(), 1 << (signal.SIGINT - 1)
    for _ in range(2):  # the parent, or that of a shell between the two
        try:
            status = dict(
                line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines()
            )
        except OSError:
            return False
        if status["Name"].strip() in ("make", "gmake"):
            return bool(int(status["SigBlk"], 16) & bit)
        process = int(status["PPid"])
    return False
