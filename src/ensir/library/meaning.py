"""What the values of arrays mean: known by their dtype or declared, never guessed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ensir.errors import InputError
from ensir.images import depth

if TYPE_CHECKING:
    from jaxtyping import Shaped

DEPTHS = {np.dtype(np.uint8): 8, np.dtype(np.uint16): 16}


@dataclass(frozen=True)
class Meaning:
    """What the values of arrays mean.

    Attributes
    ----------
    value_range : (float, float) or None
        Black and white of floats.
    bits : int or None
        The depth that floats are rounded to, 8 or 16; None: that of the integers beside them.
    """

    value_range: tuple[float, float] | None = None
    bits: int | None = None

    def __post_init__(self) -> None:
        if self.bits not in (None, 8, 16):
            raise InputError(f"bits: {self.bits!r} is wrong; allowed: 8 and 16")
        if self.value_range is None:
            return
        try:
            black, white = map(float, self.value_range)
        except (TypeError, ValueError):
            black = white = np.nan
        if not (np.isfinite([black, white]).all() and black < white):
            raise InputError(f"value_range: {self.value_range!r} must be black and white, such as (0, 1)")
        object.__setattr__(self, "value_range", (black, white))

    def range_of(self, value: np.ndarray, what: str) -> tuple[float, float]:
        """Return black and white of floats.

        Raises
        ------
        InputError
            They are not declared, or the values are neither floats nor uint8 nor uint16.
        """
        if value.dtype.kind != "f":
            raise InputError(
                f"{what}: holds {value.dtype}; convert it to uint8 (0–255) or uint16 (0–65535), or to floats, and "
                "declare their value_range"
            )
        if self.value_range is None:
            raise InputError(
                f"{what}: holds {value.dtype}, whose black and white are not known; declare them: "
                "value_range=(0, 1), or (0, 255)"
            )
        return self.value_range

    def bits_of(self, values: Iterable[np.ndarray], what: str) -> int:
        """Return the depth of some arrays together.

        Raises
        ------
        InputError
            They are integers of different depths, or floats without a declared depth.
        """
        found = {DEPTHS[value.dtype] for value in values if value.dtype in DEPTHS}
        if self.bits:
            found.add(self.bits)
        if len(found) > 1:
            raise InputError(f"{what}: 8 and 16 bits are mixed; convert one of them")
        if not found:
            raise InputError(
                f"{what}: all arrays hold floats; declare the depth that they are rounded to: bits=8, or bits=16"
            )
        return found.pop()

    def codes(
        self, value: np.ndarray, bits: int, what: str, target: np.ndarray | None = None
    ) -> Shaped[np.ndarray, "*shape"]:
        """Return code values, as integers of a depth; a target, in such, tells what cannot be black."""
        if value.dtype in DEPTHS:
            if DEPTHS[value.dtype] != bits:
                raise InputError(f"{what}: holds {value.dtype}, where {bits} bits are expected; convert it")
            return value
        code = depth.in_code_values(value, self._checked(value, what, target), bits)
        return depth.to_integers(code, np.dtype(f"uint{bits}"), what)

    def levels(
        self, value: np.ndarray, what: str, target: np.ndarray | None = None
    ) -> tuple[np.ndarray, int]:
        """Return values that are compared, neither rounded nor clipped, with their depth: floats are of 8 bits."""
        if value.dtype in DEPTHS:
            return value, DEPTHS[value.dtype]
        return depth.in_code_values(value, self._checked(value, what, target), 8), 8

    def _checked(self, value: np.ndarray, what: str, target: np.ndarray | None) -> tuple[float, float]:
        """Return black and white of floats.

        Raises
        ------
        InputError
            They are not declared, or the values are hardly in that range, or not finite.
        """
        black, white = self.range_of(value, what)
        if bad := int(value.size - np.isfinite(value).sum()):
            raise InputError(f"{what}: {bad} of {value.size} values are NaN or infinite")
        extent = None if target is None or not target.size else partial(_extent, target)
        fix, intended = "declare the right value_range", "give integers (uint8 or uint16)"
        depth.check_range(value, black, white, what, extent, fix, intended)
        return black, white


def check_depth(target: np.ndarray, what: str) -> None:
    """Refuse a target in uint16 that is probably of fewer bits.

    Raises
    ------
    InputError
        No value of a picture is above 4095, or those of fewer bits.
    """
    if target.dtype != np.uint16 or target.size < depth.WHOLE:
        return
    brightest = int(target.max())
    for bits in (8, 10, 12):
        if 0 < brightest < 2**bits:
            raise InputError(
                f"{what}: holds uint16 up to {brightest} of 65535; perhaps of {bits} bits; give floats, "
                f"and value_range=(0, {2**bits - 1}), or (0, 65535) where the picture is that dark"
            )


def _extent(target: np.ndarray) -> tuple[float, float]:
    """Return the darkest and the brightest level (0–255) of a target, in code values."""
    unit = depth.unit(DEPTHS.get(target.dtype, 8))
    return float(target.min()) / unit, float(target.max()) / unit
