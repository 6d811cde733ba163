"""Pictures inside the page: as large as its size allows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ensir.drawing import pictures
from ensir.drawing.pictures import QUALITIES, Quality, Range, Window

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped


class Encoded(NamedTuple):
    """Pictures, their close-ups (none where pictures have all pixels) and weight maps, as data URIs.

    Attributes
    ----------
    pictures, close_ups, maps : dict
        URI by key.
    is_exact : bool
        Whether pictures are neither shrunk nor compressed with loss.
    """

    pictures: dict[Any, str]
    close_ups: dict[Any, str]
    maps: dict[Any, str]
    is_exact: bool

    @property
    def size(self) -> int:
        """Bytes of all URIs."""
        return sum(len(uri) for kind in self[:3] for uri in kind.values())  # type: ignore[attr-defined]


def encode(
    framed: dict[Any, Shaped[np.ndarray, "height width channel"]],
    close_up: Window,
    maps: dict[Any, tuple[Float[np.ndarray, "height width"], Range]],
    budget: float,
    threads: int,
) -> Encoded:
    """Encode the pictures and weight maps of one image, as well as a budget of bytes allows.

    Each map comes with the range of its colours.
    Pictures at full resolution need no close-ups, and very small ones have none either.
    """
    for quality in QUALITIES:
        first, last = (
            _encoded({key: framed[key]}, close_up, dict(list(maps.items())[:1]), quality, threads)
            for key in (next(iter(framed)), next(reversed(framed)))
        )
        # An estimate: the first, the input, has the most noise, and all others are like the last.
        few = sum(map(len, last.maps.values()))
        estimate = first.size - few + (len(framed) - 1) * (last.size - few) + len(maps) * few
        if estimate > budget and quality != QUALITIES[-1]:
            continue
        everything = _encoded(framed, close_up, maps, quality, threads)
        if everything.size <= budget:
            break
    return everything


def _encoded(
    framed: dict[Any, np.ndarray],
    close_up: Window,
    maps: dict[Any, tuple[np.ndarray, Range]],
    quality: Quality,
    threads: int,
) -> Encoded:
    height, width = next(iter(framed.values())).shape[:2]
    smaller = max(height, width) > quality.longest >= close_up.width

    def picture(image: np.ndarray) -> str:
        return pictures.data_uri(pictures.reduced(image, quality.longest), quality.lossless)

    def cut_out(image: np.ndarray) -> str:
        return pictures.data_uri(close_up.of(image), quality.lossless)

    def weight_map(drawn: tuple[np.ndarray, Range]) -> str:
        row, shown = drawn
        return pictures.weight_map(pictures.reduced(row, quality.longest), shown)

    with ThreadPoolExecutor(threads) as pool:  # encoders work outside Python's lock
        return Encoded(
            dict(zip(framed, pool.map(picture, framed.values()), strict=True)),
            dict(zip(framed, pool.map(cut_out, framed.values()), strict=True)) if smaller else {},
            dict(zip(maps, pool.map(weight_map, maps.values()), strict=True)),
            quality.lossless
            and max(height, width) <= quality.longest
            and height * width <= pictures.LOSSLESS,
        )
