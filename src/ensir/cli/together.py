"""Read the images of one name together: a target and its predictions, or predictions alone, which must fit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ensir.errors import InputError
from ensir.images import image_files
from ensir.images.colours import first_grey, replicated
from ensir.images.cropping import cropped
from ensir.images.depth import extent

if TYPE_CHECKING:
    from jaxtyping import Shaped

    Image = Shaped[np.ndarray, "height width channel"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """What is told of the files of folders, as a configuration would.

    Attributes
    ----------
    suffix : str
        End of the file stems of predictions that is not part of the image name.
    common_crop : "topleft", "center" or None
        Which part is kept of images that are a few pixels larger than others of their name; None: that is an error.
    value_range : (float, float) or None
        Black and white of floats; None: floats are an error.
    array : str or None
        Which one, of files that hold several arrays.
    """

    suffix: str = ""
    common_crop: str | None = None
    value_range: tuple[float, float] | None = None
    array: str | None = None


class Together:
    """How the images of each name are read, as in a workflow.

    Grey images of a set that holds colour images, too, get three equal channels, which a warning tells.

    Parameters
    ----------
    files : list of str
        The images, or those of one folder, whose headers tell whether the set is mixed.
    reading : Reading
    bits : int or None
        8 or 16: what floats become; None: the depth of the first image of their name, its target, of 16 if that holds
        floats, too.
    """

    def __init__(self, files: Sequence[str], reading: Reading, bits: int | None = None):
        self.reading, self.bits, self.of_several_sizes = reading, bits, list[str]()
        self.replicates = first_grey(files, lambda path: image_files.header(path, reading.array))
        if self.replicates:
            log.warning(
                "%s is grey, other images of its folder are not: such images get three equal channels, as published "
                "code scores them",
                self.replicates,
            )

    def check_brightness(self, files: Iterable[str]) -> None:
        """Refuse the images of a folder if they are hardly in their range.

        Raises
        ------
        InputError
            Names the likely range.
        """
        told = self.reading
        image_files.check_brightness(list(files), told.array, told.value_range, "--value-range")

    def read(
        self,
        paths: Sequence[str],
        through: Callable[[Callable[[str], Image], Sequence[str]], Iterable[Image]] = map,
        among: Sequence[str] = (),
    ) -> list[Image]:
        """Read images of one name.

        Parameters
        ----------
        paths : list of str
        through : callable
            Maps a function over the paths.
        among : list of str
            All images of the name, to whose common size these are cropped; empty: these are all.

        Raises
        ------
        InputError
            One of them differs in size, channels or depth from the first.
        """
        crop = self.reading.common_crop
        images = self._decoded(paths, through)
        if self.replicates:
            images = [replicated(image) for image in images]
        sizes = {image.shape[:2] for image in images}
        if crop and among:
            sizes = {image_files.shape(path, self.reading.array)[:2] for path in among}
        if crop and len(sizes) > 1:
            self.of_several_sizes.append(paths[0])
            height, width = (min(size[side] for size in sizes) for side in (0, 1))
            images = [
                cropped(image, (height, width), crop, path) for image, path in zip(images, paths, strict=True)
            ]
        for image, path in zip(images, paths, strict=True):
            if (image.shape, image.dtype) != (images[0].shape, images[0].dtype):
                fix = (
                    ""
                    if crop or len(sizes) == 1
                    else "; --common-crop crops them, if a few pixels are missing"
                )
                raise InputError(
                    f"{path}: is {_described(image)}, but {paths[0]} is {_described(images[0])}; images of one name "
                    f"must fit together{fix}"
                )
        return images

    def _decoded(
        self,
        paths: Sequence[str],
        through: Callable[[Callable[[str], Image], Sequence[str]], Iterable[Image]],
    ) -> list[Image]:
        """Read images; floats become integers, in which they may not be darker or brighter than their target."""
        read = partial(image_files.read, array=self.reading.array)
        if self.reading.value_range is None:
            return list(through(read, paths))
        read = partial(read, value_range=self.reading.value_range, fix_range="fix --value-range")
        if self.bits:
            return list(through(partial(read, bits=self.bits), paths))
        target = read(paths[0])
        read = partial(read, bits=8 * target.itemsize, extent=partial(extent, target))
        return [target, *through(read, paths[1:])]

    def tell(self, count: int) -> None:
        """Warn about images that were cropped, of so many in all."""
        if self.of_several_sizes:
            log.warning(
                "--common-crop: %d of %d images were cropped to the size that all of their name have, the first %s",
                len(self.of_several_sizes),
                count,
                self.of_several_sizes[0],
            )


def _described(image: Image) -> str:
    height, width, channels = image.shape
    return f"{width}×{height} with {channels} channels of {8 * image.itemsize} bit"
