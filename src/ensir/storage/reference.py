"""The images of a reference and their predictions, whichever parts hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ensir.storage import reading

if TYPE_CHECKING:
    from jaxtyping import Shaped


class Reference:
    """The images of a reference and their predictions, in the order of their names, whichever parts hold them.

    Parameters
    ----------
    parts : list of (str, list of str)
        Each part of the reference, and the parts of the models' predictions.

    Attributes
    ----------
    names, digests : list of str
        Names of the images, and digests of their targets.
    shapes : list of (height, width, channel)
    bits : int
        8 or 16.
    """

    def __init__(self, parts: Sequence[tuple[str, Sequence[str]]]):
        images = []
        for dataset_part, predicted in parts:
            part, *others = map(reading.Part, [dataset_part, *predicted])
            reading.aligned([part, *others])
            images += [(name, i, part, others) for i, name in enumerate(part.names)]
        self._images = sorted(images, key=lambda image: image[0])
        self.names = [name for name, *_ in self._images]
        self.digests = [str(part.column("digest")[i]) for _, i, part, _ in self._images]
        self.shapes = [part.shapes[i] for _, i, part, _ in self._images]
        self.bits = self._images[0][2].bits

    def __len__(self) -> int:
        return len(self._images)

    def target(self, index: int) -> Shaped[np.ndarray, "channel height width"]:
        """Read the target of an image."""
        _, i, part, _ = self._images[index]
        return part.planes(i)

    def predictions(self, index: int) -> Shaped[np.ndarray, "model channel height width"]:
        """Read the predictions for an image."""
        _, i, _, others = self._images[index]
        return np.stack([other.planes(i) for other in others])

    def input(self, index: int) -> Shaped[np.ndarray, "low_height low_width channel"] | None:
        """Read the degraded input of an image; None where there is none."""
        _, i, part, _ = self._images[index]
        return part.input(i)
