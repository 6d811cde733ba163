"""PTG-RM behind the ensemble: refines the fused images of another method, or the predictions of one model."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from ensir import restorers, store
from ensir.restorers import ptgrm


class Method:
    """See `restorers.ptgrm`; what is refined arrives as the only prediction."""

    def __init__(self, settings: dict[str, Any], fitted: str | None):
        self.restorer = ptgrm.Restorer({**settings, "path": fitted, "batch": 1}, [])

    def check(self, part: store.Part) -> None:
        """Raise an InputError where an image of a part taught the refiner."""
        self.restorer.check(part)

    def given(
        self,
        degraded: Shaped[np.ndarray, "low_height low_width channel"] | None,
        shape: tuple[int, int, int],
    ) -> Refined:
        """Return the method for the image of this input."""
        assert degraded is not None
        return Refined(self.restorer, degraded, shape)


class Refined:
    """PTG-RM for one image."""

    def __init__(
        self,
        restorer: restorers.Restorer,
        degraded: Shaped[np.ndarray, "low_height low_width channel"],
        shape: tuple[int, int, int],
    ):
        self.restorer, self.degraded, self.shape = restorer, degraded, shape

    def fuse(self, x: Shaped[np.ndarray, "1 channel pixel"]) -> Float[np.ndarray, "channel pixel"]:
        """Return the refined image: float32, code values, neither rounded nor clipped."""
        (refined,) = self.restorer.restore(
            [
                restorers.Degraded(
                    name="",
                    image=self.degraded,
                    shape=self.shape,
                    bits=self.degraded.dtype.itemsize * 8,
                    scale=self.shape[0] // self.degraded.shape[0],
                    degradation=None,
                    base=x[0].T.reshape(self.shape),
                )
            ]
        )
        return store.flatten(refined.astype(np.float32))

    def weights(self, x: Shaped[np.ndarray, "1 channel pixel"]) -> None:
        """Return nothing: the refined image is no weighted sum."""
        return
