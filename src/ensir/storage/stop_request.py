"""A request to stop, which no library can lose: where one swallows the exception, it is raised again at the next check.

Results are put in place, and progress is reported, only after a check. So what is stopped writes nothing more.
"""

from __future__ import annotations

_requested: type[BaseException] | None = None


def request(stop: type[BaseException]) -> None:
    """Have every check raise an exception from now on."""
    global _requested
    _requested = stop


def clear() -> None:
    """Forget the request."""
    global _requested
    _requested = None


def check() -> None:
    """Raise the exception that was requested, if any."""
    if _requested is not None:
        raise _requested
