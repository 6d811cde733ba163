"""Degradations of an image: noise, blur, bicubic downscaling, missing pixels. `networks.linear` has their adjoints."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from ensir.arithmetic.functions import exponential
from ensir.images.depth import to_integers, unit
from ensir.section import Section

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped


class Noise(Section):
    """Additive white Gaussian noise, rounded to integers and clipped to the range of the image."""

    kind: Literal["noise"]
    sigma: float = Field(gt=0, description="standard deviation, in levels of 0–255")
    seed: int = Field(
        0, ge=0, le=2**32 - 1, description="seed; each image draws its own noise from the seed and its name"
    )


class Blur(Section):
    """Blur with a kernel of sum one (borders replicated), then noise."""

    kind: Literal["blur"]
    kernel: str = Field(
        "gaussian",
        pattern=r"^(gaussian|disk|motion)$|\.(mat|npy|png|tiff?)$",
        title="gaussian, disk, motion, or path that ends in .mat, .npy, .png or .tif",
        description="shape of the kernel, or the file that holds it",
    )
    width: float = Field(
        1.6,
        gt=0,
        description="standard deviation (gaussian), radius (disk) or length (motion, at 45°), in pixels",
    )
    number: int = Field(1, ge=1, le=10**6, description="which of the kernels that a `.mat` file holds")
    mirrored: bool = Field(
        False, description="rotate the kernel of a file by 180°, such as one that was made for a correlation"
    )
    sigma: float = Field(2.55, ge=0, description="standard deviation of the noise, in levels of 0–255")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of the noise")


class Downscale(Section):
    """Bicubic downscaling as in MATLAB's `imresize`; targets are cropped to a multiple of the scale."""

    kind: Literal["downscale"]
    scale: int = Field(ge=2, le=8, description="factor")


class Mask(Section):
    """Missing pixels, each drawn independently: black in the input."""

    kind: Literal["mask"]
    missing: float = Field(gt=0, lt=1, description="share of the pixels")
    sigma: float = Field(0.0, ge=0, description="standard deviation of the noise, in levels of 0–255")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of the mask and of the noise")


Degradation = Annotated[Noise | Blur | Downscale | Mask, Field(discriminator="kind")]


def degrade(
    image: Shaped[np.ndarray, "height width channel"], degradation: dict[str, Any], name: str
) -> Shaped[np.ndarray, "low_height low_width channel"]:
    """Make a degraded input from a target.

    Parameters
    ----------
    image : uint8 or uint16 array, (height, width, channel)
    degradation : dict
        A `Degradation` section of the configuration, as plain data.
    name : str
        The image's name: noise depends on the seed and the name, whatever the order of the images.

    Returns
    -------
    Array of the same dtype; `scale` times smaller for a downscale.
    """
    match degradation["kind"]:
        case "downscale":
            return imresize(image, 1 / degradation["scale"])
        case "blur":
            degraded = blur(image.astype(np.float64), kernel_of(degradation))
        case _:
            degraded = image.astype(np.float64)
    degraded += seeded(degradation["seed"], name).normal(
        0, degradation["sigma"] * unit(8 * image.itemsize), image.shape
    )
    if degradation["kind"] == "mask":
        degraded *= known_pixels(degradation, name, image.shape[:2])[:, :, None]
    return to_integers(degraded, image.dtype, name)


def seeded(seed: int, name: str, *stream: int) -> np.random.Generator:
    """Return a generator for one image: it depends on the seed and the name, not on the order of images.

    Further integers select further streams, e.g. one per step.
    """
    word = hashlib.sha256(name.encode()).digest()[:8]
    return np.random.default_rng([seed, int.from_bytes(word, "big"), *stream])


def known_pixels(
    degradation: dict[str, Any], name: str, size: tuple[int, ...]
) -> Shaped[np.ndarray, "height width"]:
    """Return which pixels of an image are not missing, as drawn by the seed and the image's name."""
    return seeded(degradation["seed"], name, 0).random(size) >= degradation["missing"]


def kernel_of(degradation: dict[str, Any]) -> Float[np.ndarray, "high wide"]:
    """Return the kernel of a blur: the values that a dataset holds, or one of a given shape."""
    if "values" in degradation:
        return np.array(degradation["values"], np.float64)
    return kernel(degradation["kernel"], degradation["width"])


def kernel(shape: str, width: float) -> Float[np.ndarray, "size size"]:
    """Return a blur kernel of odd size and sum one.

    The width, in pixels, is σ (gaussian), the radius (disk) or the length (motion, at 45°).
    """
    radius = int(np.ceil({"gaussian": 3 * width, "disk": width, "motion": width / 2}[shape]))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    if shape == "gaussian":
        value = exponential(-(x**2 + y**2) / (2 * width**2))
    elif shape == "disk":  # soft edge: one pixel wide
        value = np.clip(width + 0.5 - np.hypot(x, y), 0, 1)
    else:
        along, across = (x - y) / np.sqrt(2), (x + y) / np.sqrt(2)
        value = np.clip(width / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return value / value.sum()


def blur(
    image: Float[np.ndarray, "height width channel"], kernel: Float[np.ndarray, "size size"]
) -> Float[np.ndarray, "height width channel"]:
    """Convolve each channel with a kernel; the border is replicated."""
    from scipy.ndimage import convolve

    return np.stack([convolve(image[..., c], kernel, mode="nearest") for c in range(image.shape[2])], axis=2)


def imresize(
    image: Shaped[np.ndarray, "height width channel"], scale: float
) -> Shaped[np.ndarray, "new_height new_width channel"]:
    """Resize by bicubic interpolation as in MATLAB's `imresize`, antialiased when shrinking.

    Integer images are rounded between the vertical and the horizontal pass, which makes 8-bit results
    equal to MATLAB's, bit for bit; float images are not rounded.

    Parameters
    ----------
    image : integer or float array, (height, width, channel)
    scale : float
        Factor of both sides; the new sides are rounded up.

    Returns
    -------
    Array of the same dtype.
    """
    height, width = (int(np.ceil(side * scale)) for side in image.shape[:2])
    integer = np.issubdtype(image.dtype, np.integer)

    def rounded(value: np.ndarray) -> np.ndarray:
        return np.floor(np.clip(value, 0, np.iinfo(image.dtype).max) + 0.5) if integer else value

    value = image.astype(np.float64)
    for axis, side in enumerate((height, width)):
        weights, index = contributions(image.shape[axis], side, scale)
        value = rounded(_weighted(np.moveaxis(value, axis, 0), weights, index))
        value = np.moveaxis(value, 0, axis)
    return value.astype(image.dtype)


def _weighted(
    image: Float[np.ndarray, "old other channel"],
    weights: Float[np.ndarray, "new tap"],
    index: Shaped[np.ndarray, "new tap"],
) -> Float[np.ndarray, "new other channel"]:
    """Return the weighted sums of rows, added up in the order of the taps."""
    total = np.zeros((len(weights), *image.shape[1:]))
    for weight, taken in zip(weights.T, index.T, strict=True):
        total += weight[:, None, None] * image[taken]
    return total


def contributions(
    length: int, new_length: int, scale: float
) -> tuple[Float[np.ndarray, "new tap"], Shaped[np.ndarray, "new tap"]]:
    """Return, for each new sample, the weights and indices of the old ones, with mirrored borders."""
    stretch = min(scale, 1.0)  # a wider kernel when shrinking: antialiasing
    support = 4.0 / stretch
    centre = np.arange(1, new_length + 1) / scale + 0.5 * (1 - 1 / scale)
    taps = int(np.ceil(support)) + 2
    index = np.floor(centre - support / 2)[:, None] + np.arange(taps)
    weights = stretch * _cubic(stretch * (centre[:, None] - index))
    weights /= weights.sum(axis=1, keepdims=True)
    mirror = np.concatenate([np.arange(length), np.arange(length)[::-1]])
    return weights, mirror[(index.astype(np.int64) - 1) % (2 * length)]


def _cubic(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Keys' cubic convolution kernel, a = -1/2."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return near * (x <= 1) + far * ((x > 1) & (x <= 2))
