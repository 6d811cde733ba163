"""From the codes that a decoder returns to the image as it is seen: depth, alpha channel, orientation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ensir.errors import InputError
from ensir.images.depth import white

if TYPE_CHECKING:
    from jaxtyping import Shaped

    Pixels = Shaped[np.ndarray, "height width *channel"]  # uint8 or uint16
    Values = Shaped[np.ndarray, "height width *channel"]  # these, or numbers in another range

Shape = tuple[int, int, int]  # height, width, channel
LARGEST = 2**28  # pixels; a header that claims more is rejected
ORIENTATION = 0x0112  # in EXIF, and in TIFF


class Header(NamedTuple):
    """What the header of an image says about its pixels.

    Attributes
    ----------
    height, width, channels : int
    bits : int or None
        8 or 16; None where only the values show the depth, and where they are numbers in another range.
    ranged : bool
        Whether they are: floats, or integers with a sign, of which a `value_range` tells what is black and white.
    """

    height: int
    width: int
    channels: int
    bits: int | None
    ranged: bool = False


def check_size(path: str, height: int, width: int) -> None:
    """Raise an InputError if a header claims too many pixels."""
    if height * width > LARGEST:
        raise InputError(f"{path}: claims {height}×{width} pixels; more than {LARGEST} are refused")


def scaled(path: str, codes: Pixels, most: int) -> Pixels:
    """Scale codes of 0 to 2ⁿ − 1 to the full range of 8 bit (n ≤ 8) or 16 bit."""
    bits = 8 if most <= white(8) else 16
    dtype, top = np.dtype(f"uint{bits}"), white(bits)
    if codes.max(initial=0) > most:
        raise InputError(f"{path}: has values above {most}, the largest that it states; save it again")
    if most == top:
        return codes.astype(dtype, copy=False)
    table = (np.arange(most + 1, dtype=np.uint32) * top + most // 2) // most
    return table.astype(dtype)[codes]


def opaque(path: str, image: Pixels, white: int) -> Pixels:
    """Drop an alpha channel that hides nothing.

    Raises
    ------
    InputError
        It hides something.
    """
    if image.ndim == 2 or image.shape[2] not in (2, 4):
        return image
    if not (image[..., -1] == white).all():
        raise InputError(
            f"{path}: has {image.shape[2]} channels, and the last is no opaque alpha channel; convert it to grey or "
            "RGB without alpha"
        )
    return image[..., :-1]


def orientation_in(exif: bytes | None) -> int:
    """Return the orientation that EXIF data states, 1 to 8."""
    if not exif:
        return 1
    import PIL.Image

    tags = PIL.Image.Exif()
    try:
        tags.load(exif)
        value: Any = tags.get(ORIENTATION)
    except Exception as error:
        raise ValueError(f"its EXIF, which may hold its orientation, is damaged: {error}") from error
    return int(value) if value in range(1, 9) else 1


def turned(shape: Shape, orientation: int) -> Shape:
    """Return the shape that an image has after `upright`."""
    height, width, channels = shape
    return (width, height, channels) if orientation > 4 else shape


def upright(image: Pixels, orientation: int) -> Pixels:
    """Rotate and mirror an image as its orientation says."""
    if orientation > 4:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image
