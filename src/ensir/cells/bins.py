"""The statistics of bin sets, as methods declare them.

A module of statistics has `HALO`, the number of rows above and below that the cell of a value depends on; `counter`,
which returns an object that counts pixels (`add(x, y, fold)`, with a halo also `rows`, the rows to be counted; then
`statistics()`); `total`, which adds up, and takes several rows of one fold and cell as one; `save` and `load`. What has
folds has them as a column `fold`, of which each image counted by itself is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ensir.cells.counting import Counter
from ensir.cells.statistics import load, save, total

__all__ = ["HALO", "counter", "load", "save", "total"]

HALO = 0


def counter(models: Sequence[str], bits: int, channels: int, settings: dict[str, Any]) -> Counter:
    """Return a counter of pixels with the `bin_width` of the settings."""
    return Counter(models, settings["bin_width"], bits, channels)
