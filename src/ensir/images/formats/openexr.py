"""OpenEXR, read by its own library, which is not installed unless it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.errors import InputError
from ensir.images import codes
from ensir.images.codes import Header

if TYPE_CHECKING:
    from ensir.images.codes import Values

NAME = "OpenEXR"
SUFFIXES = (".exr",)
SIGNATURE = rb"v/1\x01"
READ = "16- or 32-bit floats, grey (Y) or RGB; needs `pip install 'ensir-flow[exr]'`"
REFUSES = "layers, several parts, deep data, luma and chroma, windows that differ; alpha that hides something"

CHANNELS = {frozenset("Y"): "Y", frozenset("RGB"): "RGB", frozenset("RGBA"): "RGBA", frozenset("YA"): "YA"}


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    height, width, names = _described(path, _library(path).File(path, header_only=True))
    return Header(height, width, len(names.replace("A", "")), None, True)


def values(path: str, array: str | None = None) -> Values:
    """See `Format`."""
    library = _library(path)
    _, _, names = _described(path, library.File(path, header_only=True))
    channels = library.File(path, separate_channels=True).channels()
    return codes.opaque(path, np.stack([channels[name].pixels for name in names], axis=2), 1)


def lossy(path: str) -> bool:
    """See `Format`."""
    kind = str(_library(path).File(path, header_only=True).header()["compression"])
    return any(name in kind for name in ("PXR24", "B44", "DWA"))


def _library(path: str) -> Any:
    try:
        import OpenEXR
    except ImportError as error:
        raise InputError(f"{path}: OpenEXR files need a library: pip install 'ensir-flow[exr]'") from error
    return OpenEXR


def _described(path: str, file: Any) -> tuple[int, int, str]:
    """Return height, width and channels of the only image of a file."""
    head = file.header()
    if len(file.parts) > 1 or "image" not in str(head["type"]):
        raise InputError(
            f"{path}: has several parts, or deep ones; save the intended image in a file of its own"
        )
    found = {channel.name: channel for channel in head["channels"]}
    if frozenset(found) not in CHANNELS:
        raise InputError(
            f"{path}: has the channels {', '.join(sorted(found))}, which are neither Y nor R, G, B"
        )
    if any((one.xSampling, one.ySampling) != (1, 1) for one in found.values()):
        raise InputError(f"{path}: has subsampled channels; save it as RGB")
    (left, top), (right, bottom) = (window.tolist() for window in head["dataWindow"])
    if [[left, top], [right, bottom]] != [window.tolist() for window in head["displayWindow"]]:
        raise InputError(
            f"{path}: holds other pixels than its window shows (dataWindow, displayWindow); crop the image, and save it"
        )
    codes.check_size(path, bottom - top + 1, right - left + 1)
    return bottom - top + 1, right - left + 1, CHANNELS[frozenset(found)]
