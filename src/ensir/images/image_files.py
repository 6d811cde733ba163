"""Files of images and arrays: read, check and write them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ensir.errors import InputError
from ensir.images import depth, formats
from ensir.storage.atomic import replaced
from ensir.storage.failures import fix, reason

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

    from ensir.images.codes import Header

SOME = 16  # images of a set that are decoded, if need be, to learn whether all are dark
WHITES = (1, *(depth.white(bits) for bits in (8, 10, 12, 14)))  # of what is often stored in a larger range


def shape(path: str, array: str | None = None) -> tuple[int, int, int]:
    """Return (height, width, channel) of an image as `read` returns it, from its header alone."""
    return header(path, array)[:3]


def header(path: str, array: str | None = None) -> Header:
    """Return size, channels and depth of an image as `read_values` returns it, from its header alone."""
    with clear_errors(path, _kind(path)):
        return formats.of(path).header(path, array)


def read(
    path: str,
    array: str | None = None,
    value_range: Sequence[float] | None = None,
    bits: int = 16,
    extent: Callable[[], tuple[float, float]] | None = None,
    fix_range: str = "fix the dataset's `value_range`",
) -> Shaped[np.ndarray, "height width channel"]:
    """Read an image as it is meant to be seen, by its content, whatever its name.

    Parameters
    ----------
    path : str
    array : str or None
        Which one, of a file that holds several arrays.
    value_range : (float, float) or None
        Black and white of floats, and of integers with a sign or more than 16 bits; and of uint16, if white is above
        255.
    bits : int
        8 or 16: what these become.
    extent : callable or None
        See `depth.check_range`.
    fix_range : str
        How to fix a wrong `value_range`, for the error message.

    Returns
    -------
    uint8 or uint16 array, (height, width, channel), 1 or 3 channels, 0–255 or 0–65535, RGB order.

    Raises
    ------
    InputError
        Not an image, truncated, transparent, more than one image, without a unique meaning as grey or RGB, or numbers
        whose black and white are not known.
    """
    image = read_values(path, array)
    if value_range is not None and not depth.means_codes(image.dtype, value_range):
        depth.check_range(
            image,
            value_range[0],
            value_range[1],
            path,
            extent,
            fix=fix_range,
            intended="write uint8 or uint16",
        )
        image = depth.to_integers(depth.in_code_values(image, value_range, bits), f"uint{bits}", path)
    if image.dtype not in depth.CODES:
        raise InputError(
            f"{path}: holds {image.dtype}, whose black and white are not known; write uint8 or uint16, or declare "
            "them: `value_range` in a configuration, `--value-range` of `ensir fit`, `fuse` and `score`"
        )
    check_channels(path, image)
    return np.ascontiguousarray(image)


def check_channels(path: str, image: Shaped[np.ndarray, "height width channel"]) -> None:
    """Raise an InputError where an image is neither grey nor RGB."""
    if image.shape[2] not in (1, 3):
        raise InputError(f"{path}: has {image.shape[2]} channels; convert it to grey or RGB without alpha")


def read_values(path: str, array: str | None = None) -> Shaped[np.ndarray, "height width channel"]:
    """Read an image or an array as `read` does, but numbers in another range than that of images as they are stored."""
    with clear_errors(path, _kind(path)):
        image = formats.of(path).values(path, array)
    return image[:, :, None] if image.ndim == 2 else image


def check_brightness(
    files: Sequence[str],
    array: str | None = None,
    value_range: Sequence[float] | None = None,
    key: str = "the dataset's `value_range`",
    intended: str = "write uint8 or uint16",
) -> None:
    """Refuse images that are together so dark that they are probably in a smaller range than theirs, or without black.

    Up to sixteen are decoded, and none after the first that is not so; of 8-bit images, none. A single image may lack
    dark values in a range that begins below zero.

    Parameters
    ----------
    files : list of str
        Images of one set.
    array, value_range
        See `read`.
    key, intended : str
        What tells black and white, and what to do where values in a declared range are meant to be dark, for the error
        message.

    Raises
    ------
    InputError
        Names the likely range.
    """
    most, some = 0.0, files[:: -(-len(files) // SOME) or 1]
    if value_range and value_range[0] < 0:
        if len(some) > 1 and all(_is_bright(path, array, value_range) for path in some):
            raise InputError(
                f"{some[0]}: all values of it and {len(some) - 1} other images lie in the upper half of "
                f"[{value_range[0]:g}, {value_range[1]:g}]: perhaps [0, {value_range[1]:g}]; fix {key}, or {intended} "
                "where this is intended"
            )
        return
    for path in some:
        if header(path, array).bits == 8:
            return
        value = read_values(path, array)
        bound = depth.next_white(value.dtype, value_range)
        if bound is None or not value.size or not value.max() <= bound:
            return
        most = max(most, float(value.max()))
    if most <= 0:
        return
    declared = value_range if value_range and not depth.means_codes(value.dtype, value_range) else None
    likely = next(white for white in WHITES if most <= 1.05 * white)
    how = f"fix {key}" if declared else f"set {key}" if likely > depth.white(8) else "write uint8"
    raise InputError(
        f"{some[0]}: no value of it{f' and {len(some) - 1} other images' if some[1:] else ''} is above {most:.5g}, "
        f"where white is {declared[1] if declared else depth.white(16):g}: perhaps [0, {likely}]; "
        f"{how}, or "
        f"{intended if declared else 'declare [0, 65535]'} where this is intended"
    )


def _is_bright(path: str, array: str | None, value_range: Sequence[float]) -> bool:
    """Return whether an image has no value in the lower half of its range."""
    if header(path, array).bits == 8:
        return False
    value = read_values(path, array)
    return (
        not depth.means_codes(value.dtype, value_range)
        and depth.doubt(value, *value_range) == depth.ALL_BRIGHT
    )


def is_lossy(path: str) -> bool:
    """Return whether an image file holds values that only approximate those that were saved, as in JPEG."""
    with clear_errors(path, _kind(path)):
        return formats.of(path).lossy(path)


def _kind(path: str) -> str:
    return "an array" if formats.is_array(path) else "an image"


@contextmanager
def clear_errors(path: str, what: str) -> Iterator[None]:
    """Turn what decoders raise on a damaged file into an InputError that names the file, and what it should be."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except Exception as error:
        why = " ".join(reason(error).split())
        raise InputError(
            f"{path}: cannot be read as {what} ({why}); {fix(error, 'replace the file')}"
        ) from error


def write(path: str | Path, image: Shaped[np.ndarray, "height width channel"]) -> None:
    """Write a uint8 or uint16 image as PNG, grey or RGB, atomically."""
    with replaced(path) as partial:
        partial.write_bytes(as_png(image))


def as_png(image: Shaped[np.ndarray, "height width channel"]) -> bytes:
    """Return the PNG file of a uint8 or uint16 image, grey or RGB.

    Rows are filtered by Paeth's predictor, and only runs are compressed: for photographs, this is five times faster
    than zlib's search for repetitions, and the size of the files is within 5 %.
    """
    import imagecodecs

    fast = {"filter": imagecodecs.PNG.FILTER.PAETH, "strategy": imagecodecs.PNG.STRATEGY.RLE}
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(_plane(image)), **fast))


def write_map(path: str | Path, value: Float[np.ndarray, "height width channel"]) -> None:
    """Write float32 values as TIFF, with one or three samples per pixel, atomically."""
    import tifffile

    kind = "minisblack" if value.shape[2] == 1 else "rgb"
    content = io.BytesIO()  # tifffile does not report a full disk
    tifffile.imwrite(content, _plane(value), photometric=kind, compression="adobe_deflate")
    with replaced(path) as partial:
        partial.write_bytes(content.getbuffer())


def _plane(image: Shaped[np.ndarray, "height width channel"]) -> np.ndarray:
    """Drop the only channel."""
    return image[:, :, 0] if image.shape[2] == 1 else image
