"""Image files: find them by glob, name them, read and write them (PNG, JPEG, TIFF; 8 or 16 bit; grey or RGB)."""

from __future__ import annotations

import fnmatch
import glob
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped

from ensir.errors import InputError
from ensir.storage.atomic import replaced

if TYPE_CHECKING:
    import PIL.Image

TIFF = (".tif", ".tiff")
SUFFIXES = (".png", ".jpg", ".jpeg", *TIFF)
PLANES = "SYX"  # the axes of a TIFF that holds one colour after the other
BORDER = 32  # an image may be larger than its crop by this many pixels each way; more is no border
LARGEST = 2**28  # pixels; a header that claims more is not believed


def find(
    pattern: str,
    key: str,
    suffix: str = "",
    exclude: list[str] | None = None,
    extensions: tuple[str, ...] = SUFFIXES,
    folder: str | None = None,
) -> dict[str, str]:
    """List the images of a glob, by name.

    A name is the path below the glob's fixed folder, without extension and without the declared
    suffix: ``gt/*.png`` with suffix ``_x4`` calls ``gt/baby_x4.png`` "baby"; ``gt/**/*.png`` calls
    ``gt/faces/baby.png`` "faces/baby".

    Parameters
    ----------
    pattern : str
        Glob of the files; ``**`` stands for any sub-folders.
    key : str
        The configuration key that holds the pattern, for the error message.
    suffix : str
        End of every file stem that is not part of the name.
    exclude : list of str
        Names (or wildcards of names) to leave out.
    extensions : tuple of str
        What counts as an image.
    folder : str or None
        Where the pattern begins, in which nothing is a wildcard; None takes the pattern's own fixed folder.

    Returns
    -------
    dict
        Path by name, in the order of the names.

    Raises
    ------
    InputError
        No image found, a stem without the suffix, or two files of one name.
    """
    wildcard = next((i for i, c in enumerate(pattern) if c in "*?["), len(pattern))
    fixed = pattern[:wildcard].rpartition("/")[0] or ("/" if pattern.startswith("/") else ".")
    found: dict[str, str] = {}
    for below in sorted(glob.glob(pattern, root_dir=folder, recursive=True)):
        path = os.path.join(folder or "", below)
        stem, extension = os.path.splitext(os.path.relpath(path, folder or fixed))
        if extension.lower() not in extensions or not os.path.isfile(path):
            continue
        if not stem.endswith(suffix):
            raise InputError(f"{key}: {path} does not end in the declared suffix {suffix!r}")
        name = stem.removesuffix(suffix)
        if any(fnmatch.fnmatchcase(name, excluded) for excluded in exclude or []):
            continue
        if name in found:
            raise InputError(
                f"{key}: {found[name]} and {path} have the same name {name!r}; remove one of them"
            )
        found[name] = path
    if not found:
        raise InputError(
            f"{key}: no image matches {os.path.join(folder or '', pattern)!r} (looked for {', '.join(extensions)}); "
            "fix the path"
        )
    return dict(sorted(found.items()))


def match(
    names: dict[str, str],
    others: dict[str, str],
    key: str,
    fix: str = "add the files, declare a suffix, or exclude the images from the dataset",
) -> dict[str, str]:
    """Return the others in the order of the names; each name must be there.

    Raises
    ------
    InputError
        Names the images that the others lack, and what they hold instead.
    """
    missing = [name for name in names if name not in others]
    if missing:
        spare = [name for name in others if name not in names]
        hint = f"; it holds {_some(spare)} instead" if spare else ""
        raise InputError(
            f"{key}: no file for {_some(missing)} ({len(missing)} of {len(names)} images){hint}; {fix}"
        )
    return {name: others[name] for name in names}


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (", …" if len(names) > 3 else "")


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
        The image is smaller than asked for, or larger by more than a border.
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
    """Read (height, width, channel) of an image from its header alone."""
    if Path(path).suffix.lower() in TIFF:
        with clear_errors(path, "an image"), _series(path) as series:
            height, width, *channels = _upright(series.shape, series.axes)
            return height, width, channels[0] if channels else 1
    with clear_errors(path, "an image"), _opened(path) as image:
        return image.height, image.width, len(image.getbands())


def read(path: str) -> Shaped[np.ndarray, "height width channel"]:
    """Read an image as it is stored.

    Returns
    -------
    uint8 or uint16 array, (height, width, channel), 1 or 3 channels, 0–255 or 0–65535, RGB order.

    Raises
    ------
    InputError
        Not an image, truncated, palette or alpha, or neither 8 nor 16 bit.
    """
    with clear_errors(path, "an image"):
        image = _decode(path)
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        channels = image.shape[2] if image.ndim == 3 else image.ndim
        raise InputError(f"{path}: has {channels} channels; convert it to grey or RGB without alpha")
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path}: holds {image.dtype} values; only 8-bit and 16-bit integers are read")
    return np.ascontiguousarray(image)


def _decode(path: str) -> np.ndarray:
    suffix = Path(path).suffix.lower()
    if suffix in TIFF:
        with _series(path) as series:
            pixels = series.asarray()
            return np.moveaxis(pixels, 0, 2) if series.axes == PLANES else pixels
    with _opened(path) as image:
        if suffix == ".png" and _png_depth(path) == 16:  # Pillow would halve the depth of RGB
            import imagecodecs

            return imagecodecs.png_decode(Path(path).read_bytes())
        if image.mode == "P":
            raise InputError(f"{path}: is a palette image; convert it to grey or RGB")
        if image.mode == "1":
            raise InputError(f"{path}: is a 1-bit image; convert it to 8-bit grey")
        return np.asarray(image)


@contextmanager
def _series(path: str) -> Iterator[Any]:
    """Open the image of a TIFF file that is grey or RGB."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        colours = tifffile.PHOTOMETRIC(series.keyframe.photometric).name
        if colours not in ("MINISBLACK", "RGB", "YCBCR"):
            raise InputError(f"{path}: is a TIFF of kind {colours}; convert it to grey or RGB")
        height, *rest = _upright(series.shape, series.axes)
        _believe(path, height, math.prod(rest[:2]))
        yield series


def _upright(shape: tuple[int, ...], axes: str) -> tuple[int, ...]:
    return (*shape[1:], shape[0]) if axes == PLANES else shape


@contextmanager
def _opened(path: str) -> Iterator[PIL.Image.Image]:
    import PIL.Image

    PIL.Image.MAX_IMAGE_PIXELS = None  # the size is checked here, with a limit of our own
    with PIL.Image.open(path) as image:
        _believe(path, image.height, image.width)
        yield image


def _png_depth(path: str) -> int:
    with open(path, "rb") as file:
        return file.read(25)[24]


def _believe(path: str, height: int, width: int) -> None:
    if height * width > LARGEST:
        raise InputError(f"{path}: claims {height}×{width} pixels; more than {LARGEST} are refused")


@contextmanager
def clear_errors(path: str, what: str) -> Iterator[None]:
    """Turn what decoders raise on a broken file into one InputError that names it, and what it should have been."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except Exception as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as {what} ({reason}); replace the file") from error


def write(path: str | Path, image: Shaped[np.ndarray, "height width channel"]) -> None:
    """Write a uint8 or uint16 image as PNG, grey or RGB, under its final name at once.

    Each row is predicted by Paeth's filter, and of what is left only runs are looked for: of photographs, that is five
    times faster than zlib's search for repetitions, and the files are within 5 % of its.
    """
    import imagecodecs

    fast = {"filter": imagecodecs.PNG.FILTER.PAETH, "strategy": imagecodecs.PNG.STRATEGY.RLE}
    with replaced(path) as partial:
        partial.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(_plane(image)), **fast))


def write_map(path: str | Path, value: Float[np.ndarray, "height width channel"]) -> None:
    """Write float32 values as TIFF, one or three samples per pixel, under its final name at once."""
    import tifffile

    kind = "minisblack" if value.shape[2] == 1 else "rgb"
    with replaced(path) as partial:
        tifffile.imwrite(partial, _plane(value), photometric=kind, compression="adobe_deflate")


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
