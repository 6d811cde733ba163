"""The eight ways in which a picture can be turned and mirrored, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Shaped


class Orientation(NamedTuple):
    """A picture mirrored left to right or not, then turned counter-clockwise by a number of right angles."""

    mirrored: bool
    turns: int

    @property
    def name(self) -> str:
        """What is done to the picture: ``turn0``, …, ``mirror270``."""
        return f"{'mirror' if self.mirrored else 'turn'}{90 * self.turns}"

    def turned(
        self, image: Shaped[np.ndarray, "height width *channel"]
    ) -> Shaped[np.ndarray, "high wide *channel"]:
        """Return a picture in this orientation."""
        return np.ascontiguousarray(np.rot90(image[:, ::-1] if self.mirrored else image, self.turns))

    def turned_back(
        self, image: Shaped[np.ndarray, "high wide *channel"]
    ) -> Shaped[np.ndarray, "height width *channel"]:
        """Return a picture that is in this orientation as it was."""
        back = np.rot90(image, -self.turns)
        return np.ascontiguousarray(back[:, ::-1] if self.mirrored else back)


ORIENTATIONS = tuple(Orientation(mirrored, turns) for mirrored in (False, True) for turns in range(4))
BY_NAME = {orientation.name: orientation for orientation in ORIENTATIONS}
# The usual subsets: left and right, the four turns, all.
OF_NUMBER = {2: ORIENTATIONS[::4], 4: ORIENTATIONS[:4], 8: ORIENTATIONS}
