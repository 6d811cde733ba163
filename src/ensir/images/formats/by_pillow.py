"""What Pillow decodes, by the plugin of a format: `PIL.Image.open` has a size limit that is global to the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.errors import InputError
from ensir.images import codes
from ensir.images.codes import Header

if TYPE_CHECKING:
    import PIL.Image

    from ensir.images.codes import Pixels


def header(path: str, name: str, plugin: Callable[[str], Any]) -> Header:
    """Return what `Format` asks for."""
    with opened(path, name, plugin) as image:
        channels = 1 if image.mode in ("1", "L", "LA") else 3
        size = (image.height, image.width, channels)
        return Header(*codes.turned(size, codes.orientation_in(image.info.get("exif"))), 8)


def values(path: str, name: str, plugin: Callable[[str], Any]) -> Pixels:
    """Return what `Format` asks for."""
    with opened(path, name, plugin) as image:
        orientation = codes.orientation_in(image.info.get("exif"))
        expanded = image.convert({"1": "L", "P": "RGB"}.get(image.mode, image.mode))
        return codes.upright(codes.opaque(path, np.asarray(expanded), 255), orientation)


@contextmanager
def opened(path: str, name: str, plugin: Callable[[str], Any]) -> Iterator[PIL.Image.Image]:
    """Open the only image of a file, if it is grey or RGB, without reading its values."""
    try:
        opened = plugin(path)
    except SyntaxError as error:  # what Pillow raises for files that it cannot read, such as JPEG of 12 bits
        raise InputError(
            f"{path}: is an unusual or damaged {name} file ({error}); save it anew, as 8- or 16-bit PNG"
        ) from error
    with opened as image:
        codes.check_size(path, image.height, image.width)
        if getattr(image, "n_frames", 1) > 1:
            raise InputError(f"{path}: is an animation; save the intended image as PNG")
        if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
            raise InputError(f"{path}: is a {image.mode} image; convert it to grey or RGB")
        yield image
