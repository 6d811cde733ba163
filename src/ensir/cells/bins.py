"""The statistics of bin sets, as methods name them.

A module of statistics has `HALO`, the rows above and below that the cell of a value depends on; `counter`, which returns
what counts pixels (`add(x, y, fold)`, then `statistics()`; with a halo also `rows`, those to be counted of the images that
it is given); `total`, which adds up; `save` and `load`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ensir.cells.counting import Counter
from ensir.cells.statistics import load, save, total

__all__ = ["HALO", "counter", "load", "save", "total"]

HALO = 0


def counter(models: Sequence[str], bits: int, channels: int, settings: dict[str, Any]) -> Counter:
    """Return what counts pixels by the `bin_width` of the settings."""
    return Counter(models, settings["bin_width"], bits, channels)
