"""Pictures: images of a store as 8-bit images inside the page."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ensir.images.depth import unit

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped, UInt8

LONGEST = 1024  # pixels of the longer side; a larger image is shown smaller
FLATTEST = 3  # width over height, or height over width; of a longer image, the middle is shown
LOSSLESS = 2**18  # pixels; larger pictures are compressed with loss
SHOWN = 0.995  # quantile of the weights up to which maps do not clip
ROUNDING = 0.01  # a weight that is so little below 0, or above 1, is within
COLOUR_SCALES = {"weights": "viridis", "error": "magma", "difference": "RdBu_r"}  # of what the page shows


class Quality(NamedTuple):
    """How large pictures may be on the page.

    Attributes
    ----------
    longest : int
        Pixels of the longer side; larger ones are shown smaller, with a close-up at full resolution.
    lossless : bool
        Whether small pictures and close-ups are compressed without loss.
    """

    longest: int
    lossless: bool


# From the best to the smallest.
QUALITIES = (
    Quality(LONGEST, True),
    *(Quality(longest, False) for longest in (LONGEST, 768, 512, 384, 256, 192, 128, 96, 64, 48, 32)),
)


class Window(NamedTuple):
    """A rectangle of pixels."""

    left: int
    top: int
    width: int
    height: int

    def of(
        self, image: Shaped[np.ndarray, "height width *channel"]
    ) -> Shaped[np.ndarray, "rows columns *channel"]:
        """Cut the rectangle out of an image."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def middle(shape: tuple[int, ...]) -> Window:
    """Return the part of an image of shape (height, width, …) that is shown: all of it, unless it is very long."""
    height, width = (min(side, FLATTEST * other) for side, other in zip(shape[:2], shape[1::-1], strict=True))
    return Window((shape[1] - width) // 2, (shape[0] - height) // 2, width, height)


def displayed(
    image: Shaped[np.ndarray, "height width channel"], bits: int
) -> UInt8[np.ndarray, "height width channel"]:
    """Round and clip an image of 8-bit or 16-bit code values to 0–255."""
    return np.clip(np.rint(image / unit(bits)), 0, 255).astype(np.uint8)


def enlarged(
    image: Shaped[np.ndarray, "height width channel"], shape: tuple[int, ...]
) -> Shaped[np.ndarray, "target_height target_width channel"]:
    """Enlarge a smaller input to the shape (height, width, …) of its target by repeating its pixels."""
    return image.repeat(shape[0] // image.shape[0], axis=0).repeat(shape[1] // image.shape[1], axis=1)


def disagreement(predictions: Sequence[Shaped[np.ndarray, "height width channel"]]) -> Window:
    """Return the square in which the models differ the most: a quarter of the shorter side, 32–128 pixels."""
    height, width = predictions[0].shape[:2]
    side = min(height, width, max(32, min(128, min(height, width) // 4)))
    mean = sum(prediction.astype(np.float32) for prediction in predictions) / len(predictions)
    variance = sum(((prediction - mean) ** 2).sum(axis=2, dtype=np.float64) for prediction in predictions)
    total = np.pad(variance.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    inside = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    top, left = np.unravel_index(inside.argmax(), inside.shape)
    return Window(int(left), int(top), side, side)


def reduced(
    image: Shaped[np.ndarray, "height width *channel"], longest: int
) -> Shaped[np.ndarray, "rows columns *channel"]:
    """Shrink an image until its longer side is short enough, by the mean over the area of each pixel."""
    from PIL import Image

    height, width = image.shape[:2]
    if max(height, width) <= longest:
        return image
    scale = longest / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    channels = image.reshape(height, width, -1).astype(np.uint8 if image.dtype == np.uint8 else np.float32)
    shrunk = [
        np.asarray(Image.fromarray(channels[:, :, c]).resize(size, Image.Resampling.BOX))
        for c in range(channels.shape[2])
    ]
    return np.stack(shrunk, axis=2).reshape(*size[::-1], *image.shape[2:])


def data_uri(image: UInt8[np.ndarray, "height width channel"], lossless: bool = True) -> str:
    """Encode a picture: without loss where it is small and this is wanted, else with little loss."""
    from PIL import Image

    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    buffer = io.BytesIO()
    if not lossless:
        picture.save(buffer, "webp", quality=85, method=4)
        return _uri("image/webp", buffer)
    if picture.width * picture.height <= LOSSLESS:
        picture.save(buffer, "webp", lossless=True, quality=20, method=1)  # 3 % larger, 8 times as fast
        return _uri("image/webp", buffer)
    picture.save(buffer, "jpeg", quality=92, subsampling=0)
    return _uri("image/jpeg", buffer)


class Range(NamedTuple):
    """What the colours of weight maps stand for; of one that begins below 0, 0 is in the middle."""

    low: float
    high: float


def weight_range(weights: Float[np.ndarray, "model pixel"]) -> Range:
    """Return the range of a method's maps: 0 to 1, or as much wider as all but the outermost weights need."""
    lowest, highest = np.quantile(weights, (1 - SHOWN, SHOWN))
    widest = math.ceil(10 * max(-lowest, highest) - ROUNDING) / 10
    if lowest < -ROUNDING:
        return Range(-max(widest, 1.0), max(widest, 1.0))
    return Range(0.0, max(widest, 1.0))


def weight_map(weights: Float[np.ndarray, "height width"], shown: Range) -> str:
    """Encode weights, clipped to a range, as a map in the colours of `scale`."""
    from PIL import Image

    share = (weights - shown.low) / (shown.high - shown.low)
    levels = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    colours = COLOUR_SCALES["difference" if shown.low < 0 else "weights"]
    buffer = io.BytesIO()
    Image.fromarray(_palette(colours)[levels]).save(buffer, "webp", quality=80, method=2)
    return _uri("image/webp", buffer)


def scale(name: str) -> list[str]:
    """Return the colours of a scale from its low to its high end, 18 of them, as CSS has them."""
    return [f"rgb({r} {g} {b})" for r, g, b in _palette(name)[::15].tolist()]


@cache
def _palette(name: str) -> UInt8[np.ndarray, "256 3"]:
    from matplotlib import colormaps

    return np.rint(colormaps[name](np.arange(256))[:, :3] * 255).astype(np.uint8)


def _uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
