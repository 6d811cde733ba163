"""What all arrays share: which one of a file is meant, its bounds, and the order of its axes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ensir.errors import InputError
from ensir.images import codes
from ensir.images.codes import Header
from ensir.images.depth import CODES

if TYPE_CHECKING:
    from jaxtyping import Shaped

    from ensir.images.codes import Values

MOST_ARRAYS = 1000  # in a file
LARGEST = 4 * 8 * codes.LARGEST  # bytes
CHANNELS = (1, 3)


class Layout(NamedTuple):
    """Shape and type of an array, as it is stored, and how its axes become those of an image.

    Attributes
    ----------
    axes : tuple of int
        The stored axes of height, width and, where there is one, channel.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    axes: tuple[int, ...]

    def header(self) -> Header:
        """Return the header of the image; of floats and other integers, black and white are not known."""
        height, width, *channels = (self.shape[axis] for axis in self.axes)
        known = self.dtype.newbyteorder("=") in (bool, *CODES)
        return Header(
            height,
            width,
            channels[0] if channels else 1,
            8 * self.dtype.itemsize if known else None,
            not known,
        )

    def image(self, value: Shaped[np.ndarray, "*stored"]) -> Values:
        """Return the stored values as an image, in the byte order of this machine; true is white."""
        image = np.asarray(value, self.dtype.newbyteorder("="))
        rest = [axis for axis in range(image.ndim) if axis not in self.axes]
        image = image.transpose([*rest, *self.axes]).reshape([self.shape[axis] for axis in self.axes])
        return image.astype(np.uint8) * np.uint8(255) if image.dtype == bool else image


def chosen(path: str, names: Sequence[str], array: str | None) -> str:
    """Return the array that is meant: the one that is named, or the only one.

    Raises
    ------
    InputError
        There is no such array, or there are none or several.
    """
    held = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    if array is None and len(names) != 1:
        raise InputError(f"{path}: holds {len(names)} arrays ({held}); name one with `array`")
    if array is not None and array.strip("/") not in names:
        raise InputError(f"{path}: has no array {array!r}; it holds {held or 'none'}")
    return names[0] if array is None else array.strip("/")


def layout(
    path: str,
    shape: Sequence[int],
    dtype: np.dtype,
    attributes: Collection[str] = (),
    channels_first: bool = False,
) -> Layout:
    """Check an array before its values are read, and find its axes.

    Axes are height, width and channel; channels come first, as networks have them, where that axis has one or three
    values and the last one has not. A leading axis of one value before three others is a batch of one.

    Parameters
    ----------
    attributes : names
        Of its attributes.
    channels_first : bool
        Whether channels usually come first, so that an array with one or three values at both ends is unclear.

    Raises
    ------
    InputError
        It is no image, claims too much, or can be read in two ways.
    """
    axes = tuple(range(len(shape)))
    if len(axes) == 4 and shape[0] == 1:
        axes = axes[1:]
    if len(axes) not in (2, 3) or np.dtype(dtype).kind not in "uifb":
        raise InputError(
            f"{path}: is an array of {dtype} with shape {tuple(shape)}; store each image as numbers (height, width, "
            "channel) in a file of its own"
        )
    if packed := {"scale_factor", "add_offset"} & set(attributes):
        raise InputError(
            f"{path}: its values must be scaled ({', '.join(sorted(packed))}), which is not supported; store the "
            "scaled values"
        )
    if len(axes) == 3 and shape[axes[0]] in CHANNELS:
        if shape[axes[2]] not in CHANNELS:
            axes = (axes[1], axes[2], axes[0])
        elif channels_first:
            raise InputError(
                f"{path}: has shape {tuple(shape)}, whose channels may be the first axis or the last; store an image "
                "that is wider and higher than three pixels"
            )
    codes.check_size(path, *(shape[axis] for axis in axes[:2]))
    size = prod(shape) * np.dtype(dtype).itemsize
    if size > LARGEST:
        raise InputError(f"{path}: claims {size:,} bytes; more than {LARGEST:,} are refused")
    return Layout(tuple(shape), np.dtype(dtype), axes)
