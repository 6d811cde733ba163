"""What a training requires of the images that it learns from: checked before a run, too, and so without PyTorch."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ensir.errors import InputError

VALIDATION = 8  # images held out to measure the PSNR, where nothing else is set


def named(paths: Sequence[str]) -> dict[str, str]:
    """Return photographs by name, sorted: the path below the folder that holds all of them.

    Names are without extensions, unless these tell photographs apart.
    """
    folder = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    whole = {os.path.relpath(path, folder): path for path in paths}
    short = {os.path.splitext(name)[0]: path for name, path in whole.items()}
    return dict(sorted((short if len(short) == len(whole) else whole).items()))


def kept_back(names: Sequence[str], count: int) -> list[str]:
    """Return the images that are held out to measure a training: evenly spread by name.

    Raises
    ------
    InputError
        There are no others.
    """
    if len(names) <= count:
        raise InputError(
            f"{len(names)} images with different names; more than {count} are needed, since {count} are held out to "
            "measure the PSNR: add images"
        )
    ordered = sorted(names)
    return sorted({ordered[i * len(ordered) // count] for i in range(count)})


def check_photograph(path: str, size: tuple[int, int], channels: int, bits: int | None, patch: int) -> None:
    """Raise an InputError if a denoising autoencoder cannot learn from a photograph.

    Parameters
    ----------
    path : str
    size : (height, width)
    channels : int
    bits : int or None
        Depth; None where it is not known yet.
    patch : int
        Side of a patch, in pixels.
    """
    if bits not in (8, None) or channels != 3:
        raise InputError(
            f"{path}: is not 8-bit RGB; a DAE is trained on 8-bit colour photographs: convert it, or leave it out"
        )
    check_size(f"{path}:", size, patch)


def check_size(image: str, size: tuple[int, int], patch: int) -> None:
    """Raise an InputError if an image, named as a message begins, is smaller than a patch."""
    if min(size) < patch:
        raise InputError(
            f"{image} is {size[1]}×{size[0]}, smaller than a patch of {patch} pixels; leave it out, or lower `patch`"
        )
