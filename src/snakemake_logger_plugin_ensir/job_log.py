"""What a running job tells in its log: how far it is, warnings, and the error that ended it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

# As `ensir.execution.job` writes them: 2026-01-31 12:00:00,123 INFO 3 of 16
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ ([A-Z]+) (.*)")
COUNT = re.compile(r"(\d+) of (\d+)")


@dataclass
class JobLog:
    """The log of a job, read as it grows.

    Attributes
    ----------
    path : Path
    done, total : int
        How far the job is; 0, 0 where it has not told yet.
    error : str or None
        The last error.
    """

    path: Path
    done: int = 0
    total: int = 0
    error: str | None = None
    _before: tuple[int, ...] | None = field(init=False)
    _read: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._before = self._state()  # the log of an earlier run, which the job replaces as it begins

    def _state(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def poll(self) -> list[str]:
        """Read what is new; return the warnings in it."""
        state = self._state()
        if state is None or state == self._before:
            return []
        self._before = None
        try:
            with open(self.path, "rb") as file:
                file.seek(self._read)
                text = file.read()
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        warnings = []
        for line in whole.decode(errors="replace").splitlines():
            if not (parsed := LINE.fullmatch(line)):
                continue
            level, message = parsed.groups()
            if level == "WARNING":
                warnings.append(message)
            elif level in ("ERROR", "CRITICAL"):
                self.error = message
            elif count := COUNT.fullmatch(message):
                self.done, self.total = map(int, count.groups())
        return warnings


def log_of(paths: list[str]) -> JobLog | None:
    """Return the log of a job, where it has one."""
    return JobLog(Path(os.path.abspath(paths[0]))) if paths else None
