"""Pictures: what a store holds, as an 8-bit image inside the page."""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped, UInt8

LONGEST = 1024  # of a larger image the middle is shown, at its own pixels
LOSSLESS = 2**18  # pixels; larger pictures are compressed with loss
COLOURS = "viridis"


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
    """Return the part of an image of (height, width, …) that is shown."""
    height, width = (min(side, LONGEST) for side in shape[:2])
    return Window((shape[1] - width) // 2, (shape[0] - height) // 2, width, height)


def displayed(
    image: Shaped[np.ndarray, "height width channel"], bits: int
) -> UInt8[np.ndarray, "height width channel"]:
    """Round and clip an image of 8-bit or 16-bit code values to 0–255."""
    unit = 1 if bits == 8 else 257
    return np.clip(np.rint(image / unit), 0, 255).astype(np.uint8)


def enlarged(
    image: Shaped[np.ndarray, "height width channel"], shape: tuple[int, ...]
) -> Shaped[np.ndarray, "target_height target_width channel"]:
    """Repeat the pixels of a smaller input up to (height, width, …) of its target."""
    return image.repeat(shape[0] // image.shape[0], axis=0).repeat(shape[1] // image.shape[1], axis=1)


def disagreement(predictions: Shaped[np.ndarray, "model height width channel"]) -> Window:
    """Return the square in which the models differ the most: a quarter of the shorter side, 32–128 pixels."""
    height, width = predictions.shape[1:3]
    side = min(height, width, max(32, min(128, min(height, width) // 4)))
    variance = predictions.var(axis=0).sum(axis=2)
    total = np.pad(variance.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    inside = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    top, left = np.unravel_index(inside.argmax(), inside.shape)
    return Window(int(left), int(top), side, side)


def data_uri(image: UInt8[np.ndarray, "height width channel"]) -> str:
    """Encode a picture: without loss where it is small, with little where it is large."""
    from PIL import Image

    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    buffer = io.BytesIO()
    if picture.width * picture.height <= LOSSLESS:
        picture.save(buffer, "webp", lossless=True, quality=80, method=4)
        return _uri("image/webp", buffer)
    picture.save(buffer, "jpeg", quality=92, subsampling=0)
    return _uri("image/jpeg", buffer)


def weight_map(weights: Float[np.ndarray, "height width"]) -> str:
    """Encode weights, 0 to 1 (clipped beyond), as a map in the colours of `colour_bar`."""
    from PIL import Image

    levels = np.rint(np.clip(weights, 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(levels)
    picture.putpalette(_palette().ravel().tolist())
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True)
    return _uri("image/png", buffer)


def colour_bar() -> str:
    """Return the colours of weights from 0 to 1, as a CSS gradient."""
    stops = ", ".join(f"rgb({r} {g} {b})" for r, g, b in _palette()[::15].tolist())
    return f"linear-gradient(to right, {stops})"


def _palette() -> UInt8[np.ndarray, "256 3"]:
    from matplotlib import colormaps

    return np.rint(colormaps[COLOURS](np.arange(256))[:, :3] * 255).astype(np.uint8)


def _uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
