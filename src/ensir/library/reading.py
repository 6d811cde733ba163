"""Folders of images as arrays by name, read as the commands and the workflow read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ensir.errors import InputError
from ensir.images import image_files, listing
from ensir.images.colours import first_grey, replicated

if TYPE_CHECKING:
    from jaxtyping import Shaped


class Folder(Mapping[str, np.ndarray]):
    """Images by their names, each read when it is asked for, and not kept.

    `ensir.read` makes it; `ensir.fit`, `fuse`, `score` and others pair the images of folders by their names.
    """

    def __init__(self, files: dict[str, str]):
        self._files = {listing.in_nfc(name): path for name, path in files.items()}

    @cached_property
    def _is_mixed(self) -> bool:
        """Whether some images are grey, and others are not."""
        return first_grey(list(self._files.values()), image_files.header) is not None

    def __getitem__(self, name: str) -> Shaped[np.ndarray, "channel height width"]:
        """Read an image."""
        path = self._files[name]
        image = image_files.read_values(path)
        image_files.check_channels(path, image)
        image = replicated(image) if self._is_mixed else image
        return np.ascontiguousarray(image.transpose(2, 0, 1))

    def __contains__(self, name: object) -> bool:
        """Return whether an image has this name."""
        return name in self._files

    def __iter__(self) -> Iterator[str]:
        """Yield the names, in order."""
        return iter(self._files)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._files)

    def __repr__(self) -> str:
        names = list(self)
        told = names if len(names) <= 4 else [*names[:3], "…", names[-1]]
        return f"<Folder of {len(names)} images: {', '.join(told)}>"


def read(path: str | Path, *, suffix: str = "") -> Folder:
    """Read the images of a folder, by their names, as `ensir fit` does.

    Parameters
    ----------
    path : path
        A folder, of which sub-folders belong to the names; or a pattern with wildcards or named parts.
    suffix : str
        End of the file stems that is not part of the names, such as "_x4".

    Returns
    -------
    Folder
        A mapping from names, without extension, to arrays (channel, height, width): uint8 or uint16, in the order RGB,
        turned as they are meant to be seen; or floats as stored. Where some images are grey and others are not, these
        have three equal channels.

    Raises
    ------
    InputError
        There is no such folder, or no image in it; when an image is asked for, it cannot be read with certainty.

    Examples
    --------
    >>> lut = ensir.fit({model: ensir.read(f"val/{model}") for model in models}, ensir.read("val/gt"))  # doctest: +SKIP
    """
    return Folder(list_images(Path(path), "read", suffix))


def is_pattern(path: Path) -> bool:
    """Return whether a path is no folder, but a pattern with named parts or wildcards."""
    return not path.is_dir() and bool(set(str(path)) & set("{*?["))


def list_images(folder: Path, option: str, suffix: str = "") -> listing.Images:
    """List the images of a folder, and of the folders in it, by name; or those of a pattern."""
    if is_pattern(folder):
        return listing.find(str(folder), option, suffix)
    if not folder.is_dir():
        raise InputError(f"{option}: no folder {folder}")
    return listing.find("**/*", option, suffix, folder=str(folder))
