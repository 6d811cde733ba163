"""Linear degradations on tensors, each with its exact adjoint: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for all x and y.

An image is (channel, height, width), on any device, of float32 or float64.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from ensir.images import degradations

Image = Float[Tensor, "channel height width"]


class Operator(Protocol):
    """A linear map between images."""

    def apply(self, x: Image) -> Image:
        """Return A x."""
        ...

    def adjoint(self, y: Image) -> Image:
        """Return Aᵀ y."""
        ...


class Blur:
    """Convolution where the kernel lies wholly inside the image: (height − size + 1, width − size + 1) pixels remain.

    Computed by Fourier transforms of the image's own size: what wraps around is not among the pixels that remain.

    Parameters
    ----------
    kernel : float tensor, (size, size)
        On the device and of the dtype of the images; the sides may differ.
    size : (height, width)
        Size of the images that are blurred.
    """

    def __init__(self, kernel: Float[Tensor, "high wide"], size: tuple[int, int]):
        self.size, self.sides = size, kernel.shape
        self.top, self.left = (side - 1 for side in kernel.shape)
        self.spectrum = torch.fft.rfft2(kernel, s=size)

    def apply(self, x: Image) -> Image:
        """Return the inner part of the convolution."""
        blurred = torch.fft.irfft2(torch.fft.rfft2(x) * self.spectrum, s=self.size)
        return blurred[:, self.top :, self.left :]

    def adjoint(self, y: Image) -> Image:
        """Return the full correlation."""
        padded = functional.pad(y, (self.left, 0, self.top, 0))
        return torch.fft.irfft2(torch.fft.rfft2(padded) * self.spectrum.conj(), s=self.size)

    def adjoint_in_kernel(self, x: Image, y: Image) -> Float[Tensor, "high wide"]:
        """Return g such that ⟨k ∗ x, y⟩ = ⟨k, g⟩ for all kernels k of the size of this one."""
        spectrum = torch.fft.rfft2(x) * torch.fft.rfft2(y, s=self.size).conj()
        high, wide = self.sides
        return torch.fft.irfft2(spectrum, s=self.size).sum(0)[:high, :wide].flip(0, 1)


class Resize:
    """Bicubic resizing as in MATLAB's `imresize`, but unrounded; antialiased when shrinking.

    Parameters
    ----------
    size : (height, width)
        Size of the images that are resized.
    scale : float
        Factor of both sides; the new sides are rounded up.
    like : float tensor
        Has the device and the dtype of the images.
    """

    def __init__(self, size: tuple[int, int], scale: float, like: Tensor):
        self.rows, self.columns = (_matrix(side, scale).to(like) for side in size)

    def apply(self, x: Image) -> Image:
        """Return the resized image."""
        return self.rows @ x @ self.columns.T

    def adjoint(self, y: Image) -> Image:
        """Return an image of the original size."""
        return self.rows.T @ y @ self.columns


class Mask:
    """Multiplication with a mask: missing pixels become zero.

    Parameters
    ----------
    known : float tensor, (height, width)
        One where a pixel is known, zero where it is missing.
    """

    def __init__(self, known: Float[Tensor, "height width"]):
        self.known = known

    def apply(self, x: Image) -> Image:
        """Return the known pixels."""
        return self.known * x

    def adjoint(self, y: Image) -> Image:
        """Return the known pixels: the operator is its own adjoint."""
        return self.known * y


def pad(y: Image, border: tuple[int, int]) -> Image:
    """Extend an image by its border pixels: rows above and below, columns left and right."""
    high, wide = border
    return functional.pad(y[None], (wide, wide, high, high), mode="replicate")[0]


def fill(y: Image, known: Float[Tensor, "height width"]) -> Image:
    """Fill missing pixels with the mean of their known neighbours; known pixels stay.

    Each round is a normalised 3×3 box filter; pixels that it cannot reach are filled in a later round.
    """
    box = torch.ones(1, 1, 3, 3, dtype=y.dtype, device=y.device)
    known = known[None, None]
    filled = y[:, None] * known
    if not known.any():
        return filled[:, 0]
    while not known.all():
        weight = functional.conv2d(known, box, padding=1)
        mean = functional.conv2d(filled, box, padding=1) / weight.clamp(min=1)
        filled = torch.where(known > 0, filled, mean)
        known = (weight > 0).to(y.dtype)
    return filled[:, 0]


def _matrix(length: int, scale: float) -> Float[Tensor, "new old"]:
    weights, index = degradations.contributions(length, int(np.ceil(length * scale)), scale)
    matrix = np.zeros((len(weights), length))
    np.add.at(matrix, (np.arange(len(weights))[:, None], index), weights)
    return torch.from_numpy(matrix)
