"""Support: how many reference values are behind the weights of a value, from nothing but the count of its cell.

It means the same for every estimator. In cells with few values, EM falls back on its initial weights; in empty cells,
every estimator falls back on its fill.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ensir.cells.lut import FEWEST, LUT, LutMethod
from ensir.cells.statistics import Statistics

if TYPE_CHECKING:
    from jaxtyping import Int, Shaped

LEAST = 0.5  # share of values in estimated cells below which there is a warning
SAMPLE = 2**16  # pixels of an image that represent all of them


@dataclass(frozen=True)
class Support:
    """Numbers of values whose cells hold 100 or more reference values, fewer, and none."""

    estimated: int = 0
    few: int = 0
    empty: int = 0

    def __add__(self, other: Support) -> Support:
        return Support(self.estimated + other.estimated, self.few + other.few, self.empty + other.empty)

    @property
    def shares(self) -> dict[str, float]:
        """The share of each in all values."""
        numbers = asdict(self)
        return {name: number / max(sum(numbers.values()), 1) for name, number in numbers.items()}

    def __str__(self) -> str:
        return ", ".join(f"{share:.1%} {name}" for name, share in self.shares.items())

    def warning(self, values: str) -> str:
        """Return a warning if too few values are in estimated cells, and how to fix that; empty otherwise."""
        share = self.shares["estimated"]
        if share >= LEAST:
            return ""
        return (
            f"only {share:.1%} of {values} are in cells with {FEWEST} or more reference values, and the weights of "
            "the others rest on fewer or none; use wider bins, or fewer models"
        )


def held_out(cells: Statistics) -> Support | None:
    """Return the support of every reference image by the others; None where the reference is a single image.

    Parameters
    ----------
    cells : Statistics
        Statistics of the cells of a method, fold by fold.
    """
    if len(np.unique(cells.fold)) < 2:
        return None
    number = cells.key * (cells.channel.max() + 1) + cells.channel
    cell = np.unique(number, return_inverse=True)[1]
    whole = np.zeros(cell.max() + 1, np.int64)
    np.add.at(whole, cell, cells.count)
    return _counted(whole[cell] - cells.count, cells.count)


def held_out_of(lut: LUT) -> Support | None:
    """Return `held_out` of the reference of a LUT, from its attributes; None where it is unknown."""
    return Support(**json.loads(lut.attributes["held_out"])) if "held_out" in lut.attributes else None


def is_known(lut: LUT) -> bool:
    """Return whether a LUT holds the counts of its cells, which an imported one does not."""
    return bool(lut.count.any())


def of_values(method: LutMethod, x: Shaped[np.ndarray, "model channel *pixels"]) -> Support:
    """Return the support of values by a LUT that holds counts."""
    counts = method.counts(x)
    few, empty = int(np.count_nonzero(counts < FEWEST)), int(np.count_nonzero(counts == 0))
    return Support(counts.size - few, few - empty, empty)


def of_sample(method: LutMethod, x: Shaped[np.ndarray, "model channel pixel"]) -> Support:
    """Return `of_values` of a sample of the pixels, which costs a fraction of fusing a large image."""
    return of_values(method, x[:, :, sample(x.shape[2])])


@lru_cache(maxsize=2)  # most images of a set are of one size
def sample(pixels: int) -> Int[np.ndarray, " sampled"] | slice:
    """Return which pixels of an image represent all of them, in order, as memory is read faster then."""
    if pixels <= SAMPLE:
        return slice(None)
    return np.sort(np.random.default_rng(pixels).integers(pixels, size=SAMPLE))


def _counted(counts: Int[np.ndarray, "*value"], values: Int[np.ndarray, "*value"]) -> Support:
    """Add up values by the number of reference values in their cells."""
    estimated, empty = int(values[counts >= FEWEST].sum()), int(values[counts == 0].sum())
    return Support(estimated, int(values.sum()) - estimated - empty, empty)
