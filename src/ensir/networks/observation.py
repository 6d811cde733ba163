"""What a mean-shift restorer observes: a degraded image on a device, and what is known of its degradation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Shaped

from ensir.errors import InputError
from ensir.images import degradations
from ensir.images.depth import unit
from ensir.networks import linear
from ensir.networks.linear import Image
from ensir.networks.sections import ALSO_DEGRADED

if TYPE_CHECKING:
    from ensir.restorers import Degraded


@dataclass(frozen=True)
class Observation:
    """A degraded image, and what is known of its degradation.

    Attributes
    ----------
    name : str
        The image's name, on which the noise of the steps depends.
    y : float32 tensor, (3, height, width)
        The degraded image, RGB in 0–255.
    sigma : float
        Standard deviation of its noise, in levels of 0–255; zero where it has none, or it is unknown.
    kernel : float32 tensor, (size, size), or None
        Blur kernel with odd sides, with which the image was convolved.
    known : float32 tensor, (height, width), or None
        One where a pixel is known, zero where it is missing.
    scale : int
        Size of the restored image over the size of y.
    """

    name: str
    y: Image
    sigma: float = 0.0
    kernel: Float[torch.Tensor, "high wide"] | None = None
    known: Float[torch.Tensor, "height width"] | None = None
    scale: int = 1

    def masked(self, known: torch.Tensor) -> Observation:
        """Return the observation with missing pixels: `known` is (height, width), false where they are missing."""
        if not known.any():
            raise InputError(f"image {self.name!r}: none of its pixels is known; fix the mask")
        return replace(self, known=known.to(self.y))

    def identity(self) -> dict[str, Any]:
        """Return what identifies the observation, as plain data."""
        facts: dict[str, Any] = {"name": self.name, "sigma": self.sigma, "scale": self.scale}
        for part in ("y", "kernel", "known"):
            value = getattr(self, part)
            facts[part] = (
                value if value is None else hashlib.sha256(value.cpu().numpy().tobytes()).hexdigest()
            )
        return facts

    @property
    def border(self) -> tuple[int, int]:
        """Rows and columns on each side that are restored beyond the image, since the kernel reaches there."""
        high, wide = (1, 1) if self.kernel is None else self.kernel.shape
        return high // 2, wide // 2

    def start(self) -> Image:
        """Return a first estimate: missing pixels filled in and the border extended, or bicubic upscaling."""
        if self.scale > 1:
            return linear.Resize(self.size, self.scale, self.y).apply(self.y).clamp(0, 255)
        y = self.y if self.known is None else linear.fill(self.y, self.known)
        return linear.pad(y, self.border)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of y."""
        return self.y.shape[1], self.y.shape[2]

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) of what is restored, border included."""
        height, width = (side * self.scale for side in self.size)
        return height + 2 * self.border[0], width + 2 * self.border[1]

    def inner(self, x: Image) -> Image:
        """Return the restored image without the border."""
        high, wide = self.border
        return x[:, high : x.shape[1] - high, wide : x.shape[2] - wide]


def observe(degraded: Degraded, device: str) -> Observation:
    """Put a degraded image on a device, with what its dataset says about the degradation.

    Raises
    ------
    InputError
        Nothing is known, or an image is both downscaled and degraded in another way.
    """
    assert degraded.image is not None
    known = degraded.degradation or {}
    if not known and degraded.scale == 1:
        raise InputError(
            f"image {degraded.name!r}: a mean-shift restorer has to know how its input was made; "
            "set `degradation` in the dataset"
        )
    if degraded.scale > 1 and known.get("kind") not in (None, "downscale"):
        raise InputError(f"image {degraded.name!r}: {ALSO_DEGRADED.format(known['kind'])}")
    image = np.broadcast_to(degraded.image, (*degraded.image.shape[:2], 3)) / unit(
        8 * degraded.image.itemsize
    )

    def tensor(value: Shaped[np.ndarray, "*shape"]) -> torch.Tensor:
        return torch.from_numpy(np.array(value, np.float32, order="C")).to(device)

    return Observation(
        name=degraded.name,
        y=tensor(image.transpose(2, 0, 1)),
        sigma=known.get("sigma", 0.0),
        kernel=tensor(degradations.kernel_of(known)) if known.get("kind") == "blur" else None,
        known=tensor(degradations.known_pixels(known, degraded.name, image.shape[:2]))
        if known.get("kind") == "mask"
        else None,
        scale=degraded.scale,
    )
