"""What the values of arrays mean: known by their dtype or declared, never guessed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ensir.errors import InputError
from ensir.images import depth

if TYPE_CHECKING:
    from jaxtyping import Shaped

log = logging.getLogger(__name__)

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
        self,
        value: np.ndarray,
        bits: int,
        what: str,
        target: np.ndarray | None = None,
        doubted: Callable[[str], None] = log.warning,
    ) -> Shaped[np.ndarray, "*shape"]:
        """Return code values, as integers of a depth; a target, in such, tells what cannot be black.

        `doubted` takes the message about a picture that is perhaps in another range.
        """
        if value.dtype in DEPTHS:
            if DEPTHS[value.dtype] != bits:
                raise InputError(f"{what}: holds {value.dtype}, where {bits} bits are expected; convert it")
            _check_black(value, what, target, doubted)
            return value
        code = depth.in_code_values(value, self._checked(value, what, target, doubted), bits)
        return depth.to_integers(code, np.dtype(f"uint{bits}"), what)

    def levels(
        self,
        value: np.ndarray,
        what: str,
        target: np.ndarray | None = None,
        doubted: Callable[[str], None] = log.warning,
    ) -> tuple[np.ndarray, int]:
        """Return values that are compared, neither rounded nor clipped, with their depth: floats are of 8 bits."""
        if value.dtype in DEPTHS:
            _check_black(value, what, target, doubted)
            return value, DEPTHS[value.dtype]
        return depth.in_code_values(value, self._checked(value, what, target, doubted), 8), 8

    def _checked(
        self, value: np.ndarray, what: str, target: np.ndarray | None, doubted: Callable[[str], None]
    ) -> tuple[float, float]:
        """Return black and white of floats.

        Raises
        ------
        InputError
            They are not declared, or the values are hardly in that range, or not finite.
        """
        black, white = self.range_of(value, what)
        if bad := int(value.size - np.isfinite(value).sum()):
            raise InputError(f"{what}: {bad} of {value.size} values are NaN or infinite")
        fix, intended = "declare the right value_range", "give integers (uint8 or uint16)"
        depth.check_range(value, black, white, what, _extent_of(target), fix, intended, doubted)
        return black, white


@dataclass(frozen=True)
class Brightness:
    """How bright the images of a set are: one may be dark or bright, but hardly all of them.

    Attributes
    ----------
    what : str
        The first image.
    pictures, size : int
        Number of images, and of values of their targets.
    most : float
        Largest value stored in uint16, or in floats of more than 8 bits, of targets and predictions; -infinity
        where there are none.
    white : float
        The white of these.
    declared : bool
        Whether that was declared.
    black, bright : int
        Number of targets that are all black, and of those without any dark value.
    doubts : tuple of str
        Messages about these.
    """

    what: str = ""
    pictures: int = 0
    size: int = 0
    most: float = -np.inf
    white: float = 0.0
    declared: bool = False
    black: int = 0
    bright: int = 0
    doubts: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, target: np.ndarray, x: Sequence[np.ndarray], meaning: Meaning, what: str, doubts: Sequence[str]
    ) -> Brightness:
        """Return that of one image, and the doubts about its target."""
        values = [value for value in (target, *x) if value.size]
        integers = [value for value in values if value.dtype == np.uint16]
        floats = [value for value in values if value.dtype.kind == "f"]
        black, white = meaning.value_range or (0, 0)
        declared = black == 0 and white > depth.white(8)
        if integers:
            declared = (declared and white == depth.white(16)) or meaning.bits == 16
            white = depth.white(16)
        deep = integers + (floats if declared and meaning.value_range == (0, white) else [])
        return cls(
            what,
            1,
            target.size,
            max((float(value.max()) for value in deep), default=-np.inf),
            white,
            declared,
            sum(depth.ALL_BLACK in text for text in doubts),
            sum(depth.ALL_BRIGHT in text for text in doubts),
            tuple(doubts),
        )

    def __add__(self, other: Brightness) -> Brightness:
        """Return that of two sets together."""
        return Brightness(
            self.what or other.what,
            self.pictures + other.pictures,
            self.size + other.size,
            max(self.most, other.most),
            max(self.white, other.white),
            self.declared or other.declared,
            self.black + other.black,
            self.bright + other.bright,
            (self.doubts + other.doubts)[:1],
        )

    def check(self) -> None:
        """Refuse images that are probably all in another range, or of fewer bits than 16.

        Raises
        ------
        InputError
            All targets are black; or none has a dark value, of two or more; or no value is above 4095, or above 255
            where white is declared to be 65535.
        """
        if self.pictures and (self.black == self.pictures or self.bright == self.pictures > 1):
            raise InputError(self.doubts[0])
        if self.pictures == 1 and self.doubts:
            log.warning("%s", self.doubts[0])
        if self.size < depth.WHOLE or self.most <= 0:
            return
        if self.declared:
            likely = next((white for white in (1, depth.white(8)) if self.most <= 1.05 * white), None)
        else:
            likely = next((depth.white(bits) for bits in (8, 10, 12) if self.most <= depth.white(bits)), None)
        if likely is None:
            return
        more = f" and {self.pictures - 1} more" if self.pictures > 1 else ""
        told = f"{self.what}{more}: no value is above {self.most:.5g}, where white is {self.white:g}"
        told += f"; perhaps [0, {likely}]"
        if self.declared and self.white < depth.white(16):
            log.warning("%s: declare it, unless all are that dark", told)
            return
        dark = "" if self.declared else ", or (0, 65535) where all are that dark"
        raise InputError(f"{told}: give floats, and value_range=(0, {likely}){dark}")


def _check_black(
    value: np.ndarray, what: str, target: np.ndarray | None, doubted: Callable[[str], None]
) -> None:
    """Refuse uint16 that is all black where the target is not: 8 bits, as a rule."""
    if value.dtype == np.uint16 and value.size and value.max() <= depth.unit(16):
        fix, intended = "multiply values of 8 bits by 257", "leave the image out"
        depth.check_range(value, 0, depth.white(16), what, _extent_of(target), fix, intended, doubted)


def _extent_of(target: np.ndarray | None) -> Callable[[], tuple[float, float]] | None:
    """Return what tells the extent of a target, in code values; None where there is none."""
    return None if target is None or not target.size else partial(depth.extent, target)
