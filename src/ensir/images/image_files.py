"""Image files: read, check and write them (8 or 16 bit; grey or RGB)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ensir.errors import InputError
from ensir.images import decoding
from ensir.storage.atomic import replaced
from ensir.storage.failures import fix, reason

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

BORDER = 32  # an image may be larger than its crop by this many pixels each way; more is no border
FAR = 10  # levels of 0–255; networks overshoot their range by less
RANGES = ((0, 1), (-1, 1), (0, 255), (0, 1023), (0, 4095), (0, 65535))  # usual ranges of floats


def cropped(
    image: Shaped[np.ndarray, "height width channel"],
    size: tuple[int, int],
    anchor: str,
    path: str,
    border: int | None = BORDER,
) -> Shaped[np.ndarray, "cropped_height cropped_width channel"]:
    """Keep the middle or the top left of an image.

    Raises
    ------
    InputError
        The image is smaller than that, or larger by more than a border.
    """
    spare = (image.shape[0] - size[0], image.shape[1] - size[1])
    if min(spare) < 0 or (border is not None and max(spare) > border):
        raise InputError(
            f"{path}: is {image.shape[1]}×{image.shape[0]}, cropped to {size[1]}×{size[0]}; "
            f"only a border of up to {border} pixels is cropped"
        )
    top, left = (spare[0] // 2, spare[1] // 2) if anchor == "center" else (0, 0)
    return image[top : top + size[0], left : left + size[1]]


def shape(path: str) -> tuple[int, int, int]:
    """Return (height, width, channel) of an image as `read` returns it, from its header alone."""
    return header(path)[:3]


def header(path: str) -> decoding.Header:
    """Return size, channels and depth of an image as `read` returns it, from its header alone."""
    with clear_errors(path, "an image"):
        return decoding.header(path)


def read(path: str) -> Shaped[np.ndarray, "height width channel"]:
    """Read an image as it is meant to be seen, by its content, whatever its name.

    Returns
    -------
    uint8 or uint16 array, (height, width, channel), 1 or 3 channels, 0–255 or 0–65535, RGB order.

    Raises
    ------
    InputError
        Not an image, truncated, transparent, more than one image, or without a unique meaning as grey or RGB.
    """
    with clear_errors(path, "an image"):
        image = decoding.pixels(path)
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        channels = image.shape[2] if image.ndim == 3 else image.ndim
        raise InputError(f"{path}: has {channels} channels; convert it to grey or RGB without alpha")
    return np.ascontiguousarray(image)


def is_lossy(path: str) -> bool:
    """Return whether an image file holds values that only approximate those that were saved, as in JPEG."""
    with clear_errors(path, "an image"):
        return decoding.lossy(path)


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
    """Write a uint8 or uint16 image as PNG, grey or RGB, atomically.

    Rows are filtered by Paeth's predictor, and only runs are compressed: for photographs, this is five times faster
    than zlib's search for repetitions, and the size of the files is within 5 %.
    """
    import imagecodecs

    fast = {"filter": imagecodecs.PNG.FILTER.PAETH, "strategy": imagecodecs.PNG.STRATEGY.RLE}
    with replaced(path) as partial:
        partial.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(_plane(image)), **fast))


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


def to_integers(
    value: Shaped[np.ndarray, "*shape"], dtype: np.dtype | type, what: str
) -> Shaped[np.ndarray, "*shape"]:
    """Round floats to the nearest integer (ties to even) and clip them to the range of a dtype.

    Parameters
    ----------
    value : float or integer array
        In code values: 0–255 for uint8, 0–65535 for uint16.
    dtype : uint8 or uint16
    what : str
        What is being rounded, for the error message.

    Raises
    ------
    InputError
        A value is NaN or infinite, or an integer array is of another dtype.
    """
    dtype = np.dtype(dtype)
    if value.dtype == dtype:
        return value
    if not np.issubdtype(value.dtype, np.floating):
        raise InputError(
            f"{what}: holds {value.dtype} values where the targets are {dtype}; convert one of them"
        )
    bad = int(value.size - np.isfinite(value).sum())
    if bad:
        raise InputError(f"{what}: {bad} of {value.size} values are NaN or infinite")
    return np.clip(np.rint(value), 0, np.iinfo(dtype).max).astype(dtype)


def check_range(
    value: Float[np.ndarray, "*shape"],
    black: float,
    white: float,
    what: str,
    extent: Callable[[], tuple[float, float]] | None = None,
    fix: str = "declare the model's `value_range`",
) -> None:
    """Refuse floats that are probably in another range than the declared one.

    A network overshoots by a few levels; values far outside the range, or that are black where the target is not, are
    in another one.

    Parameters
    ----------
    value : float array
    black, white : float
        The declared range.
    what : str
        What is checked, for the error message.
    extent : callable or None
        Returns the darkest and the brightest level (0–255) of the target; called where all values are close to black,
        or in the upper half of a range that begins below zero.
    fix : str
        How to fix it, for the error message.

    Raises
    ------
    InputError
        Names the likely range.
    """
    level = (white - black) / 255
    outside = np.count_nonzero(value < black - FAR * level) + np.count_nonzero(value > white + FAR * level)
    if outside > 0.01 * value.size:
        wrong = f"{100 * outside / value.size:.3g} % of its values lie far outside"
    elif extent and not (value > black + level).any() and extent()[1] > FAR:
        wrong = "all of its values, but not the target's, are black in"
    elif extent and black < 0 and not (value < (black + white) / 2 - level).any() and extent()[0] < 127 - FAR:
        wrong = "all of its values, but not the target's, lie in the upper half of"
    else:
        return
    finite = value[np.isfinite(value)]
    if not finite.size:
        return  # `to_integers` reports values that are not finite
    low, high = np.percentile(finite, (0.5, 99.5))
    likely = next(
        (
            f"perhaps [{b}, {w}]"
            for b, w in RANGES
            if (b, w) != (black, white) and b - (w - b) / 20 <= low and high <= w + (w - b) / 20
        ),
        "no usual range",
    )
    raise InputError(
        f"{what}: {wrong} [{black:g}, {white:g}]; they go from {low:.4g} to {high:.4g}: {likely}; {fix}, or set "
        "`any_range: true` where this is intended"
    )
