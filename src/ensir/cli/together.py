"""Read the images of one name together: a target and its predictions, or predictions alone, which must fit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ensir.errors import InputError
from ensir.images import image_files
from ensir.images.colours import first_grey, replicated
from ensir.images.cropping import cropped

if TYPE_CHECKING:
    from jaxtyping import Shaped

    Image = Shaped[np.ndarray, "height width channel"]

log = logging.getLogger(__name__)


class Together:
    """How the images of each name are read, as in a workflow.

    Grey images of a set that holds colour images, too, get three equal channels, which a warning tells.

    Parameters
    ----------
    files : list of str
        The images, or those of one folder, whose headers tell whether the set is mixed.
    crop : "topleft", "center" or None
        Which part is kept of images that are a few pixels larger than others of their name; None: that is an error.
    """

    def __init__(self, files: Sequence[str], crop: str | None = None):
        self.crop, self.of_several_sizes = crop, list[str]()
        self.replicates = first_grey(files, image_files.header)
        if self.replicates:
            log.warning(
                "%s is grey, other images of its folder are not: such images get three equal channels, as published "
                "code scores them",
                self.replicates,
            )

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
        images = list(through(image_files.read, paths))
        if self.replicates:
            images = [replicated(image) for image in images]
        sizes = {image.shape[:2] for image in images}
        if self.crop and among:
            sizes = {image_files.shape(path)[:2] for path in among}
        if self.crop and len(sizes) > 1:
            self.of_several_sizes.append(paths[0])
            height, width = (min(size[side] for size in sizes) for side in (0, 1))
            images = [
                cropped(image, (height, width), self.crop, path)
                for image, path in zip(images, paths, strict=True)
            ]
        for image, path in zip(images, paths, strict=True):
            if (image.shape, image.dtype) != (images[0].shape, images[0].dtype):
                fix = (
                    ""
                    if self.crop or len(sizes) == 1
                    else "; --common-crop crops them, if a few pixels are missing"
                )
                raise InputError(
                    f"{path}: is {_described(image)}, but {paths[0]} is {_described(images[0])}; images of one name "
                    f"must fit together{fix}"
                )
        return images

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
