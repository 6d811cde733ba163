"""Image files: read, check and write them (8 or 16 bit; grey or RGB)."""

from __future__ import annotations

import io
from collections.abc import Iterator
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
