"""The mean of the predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped


class Method:
    """Equal weights everywhere."""

    def __init__(self, settings: dict[str, Any], fitted: str | None = None):
        pass

    def fuse(self, x: Shaped[np.ndarray, "model channel pixel"]) -> Float[np.ndarray, "channel pixel"]:
        """Return the mean over the models."""
        total = x.sum(axis=0, dtype=np.uint32)
        return (total / len(x)).astype(np.float32)

    def weights(
        self, x: Shaped[np.ndarray, "model channel pixel"]
    ) -> Float[np.ndarray, "model channel pixel"]:
        """Return 1/M."""
        return np.full((len(x), 1, 1), 1 / len(x))
