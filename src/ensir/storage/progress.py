"""How work tells how far it is: it calls `progress(done, total)`, which raises an exception where it is to stop."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
