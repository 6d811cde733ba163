"""Degradations of an image: noise, blur, bicubic downscaling, missing pixels. `networks.linear` has their adjoints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from ensir.errors import InputError
from ensir.images.image_files import is_lossy, read, to_integers
from ensir.section import Problem, Section
from ensir.storage.failures import fix, reason

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Shaped


class Noise(Section):
    """Additive white Gaussian noise, rounded to integers and clipped to the range of the image."""

    kind: Literal["noise"]
    sigma: float = Field(gt=0, description="standard deviation, in levels of 0–255")
    seed: int = Field(0, ge=0, description="seed; each image draws its own noise from the seed and its name")


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
    number: int = Field(1, ge=1, description="which of the kernels that a `.mat` file holds")
    mirrored: bool = Field(
        False, description="rotate the kernel of a file by 180°, such as one that was made for a correlation"
    )
    sigma: float = Field(2.55, ge=0, description="standard deviation of the noise, in levels of 0–255")
    seed: int = Field(0, ge=0, description="seed of the noise")


class Downscale(Section):
    """Bicubic downscaling as in MATLAB's `imresize`; targets are cropped to a multiple of the scale."""

    kind: Literal["downscale"]
    scale: int = Field(ge=2, le=8, description="factor")


class Mask(Section):
    """Missing pixels, each drawn independently: black in the input."""

    kind: Literal["mask"]
    missing: float = Field(gt=0, lt=1, description="share of the pixels")
    sigma: float = Field(0.0, ge=0, description="standard deviation of the noise, in levels of 0–255")
    seed: int = Field(0, ge=0, description="seed of the mask and of the noise")


Degradation = Annotated[Noise | Blur | Downscale | Mask, Field(discriminator="kind")]


def check_inputs(datasets: dict[str, dict[str, Any]], why: str) -> Iterator[Problem]:
    """Check that datasets whose targets are files have inputs, too, or make them."""
    for name, dataset in datasets.items():
        if dataset.get("target") and not (dataset.get("input") or dataset.get("degradation")):
            yield Problem(f"datasets.{name}.input", f"is missing: {why}; give `input` or `degradation`")


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
    unit = np.iinfo(image.dtype).max / 255  # code values per level of 0–255
    match degradation["kind"]:
        case "downscale":
            return imresize(image, 1 / degradation["scale"])
        case "blur":
            degraded = blur(image.astype(np.float64), kernel_of(degradation))
        case _:
            degraded = image.astype(np.float64)
    degraded += seeded(degradation["seed"], name).normal(0, degradation["sigma"] * unit, image.shape)
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


def kernel_files(degradation: dict[str, Any] | None) -> list[str]:
    """Return the file that a blur takes its kernel from; empty for kernels of a given shape."""
    path = (degradation or {}).get("kernel", "")
    return [path] if "." in path else []


def read_kernel(path: str, number: int = 1, mirrored: bool = False) -> Float[np.ndarray, "high wide"]:
    """Read a blur kernel from a ``.mat``, ``.npy`` or image file.

    Parameters
    ----------
    path : str
    number : int
        Number, from one, of the matrix in a ``.mat`` file, or of the cell in its cell array.
    mirrored : bool
        Rotate it by 180°.

    Returns
    -------
    float64 array, (height, width)
        With odd sides, not negative, of sum one.

    Raises
    ------
    InputError
        Not a kernel.
    """
    try:
        if path.endswith(".npy"):
            kernels = [np.load(path, allow_pickle=False)]
        elif path.endswith(".mat"):
            from scipy.io import loadmat

            matrices = [value for name, value in loadmat(path).items() if not name.startswith("__")]
            kernels = [
                cell for value in matrices for cell in (value.ravel() if value.dtype == object else [value])
            ]
        else:
            if is_lossy(path):
                raise InputError(
                    f"{path}: is a lossy image, whose values are not the kernel's; save the kernel as PNG, .npy or .mat"
                )
            kernels = [read(path).mean(axis=2)]
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{path}: cannot be read as a kernel ({reason(error)}); {fix(error, 'replace the file')}"
        ) from error
    if not 1 <= number <= len(kernels):
        raise InputError(f"{path}: holds {len(kernels)} kernels, and no number {number}; fix `number`")
    value = np.asarray(kernels[number - 1])
    numbers = value.ndim == 2 and value.dtype.kind in "fiu" and np.isfinite(value).all()
    if not numbers or value.min() < 0 or value.sum() == 0:
        raise InputError(f"{path}: kernel {number} is not a matrix of numbers from zero on; replace the file")
    if not value.shape[0] % 2 == value.shape[1] % 2 == 1:
        raise InputError(
            f"{path}: kernel {number} has {value.shape[0]}×{value.shape[1]} values; both sides must be odd"
        )
    value = np.asarray(value / value.sum(), np.float64)
    return value[::-1, ::-1] if mirrored else value


def read_mask(path: str) -> Bool[np.ndarray, "height width"]:
    """Return which pixels of an image are known, from an image that is black where they are missing.

    Known are those brighter than half of the brightest: masks hold 0 and 1, 0 and 255, or, after lossy compression or
    resizing, values in between.
    """
    brightest = read(path).max(axis=2).astype(np.int64)
    return 2 * brightest > max(brightest.max(), 1)


def kernel(shape: str, width: float) -> Float[np.ndarray, "size size"]:
    """Return a blur kernel of odd size and sum one.

    The width, in pixels, is σ (gaussian), the radius (disk) or the length (motion, at 45°).
    """
    radius = int(np.ceil({"gaussian": 3 * width, "disk": width, "motion": width / 2}[shape]))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float64)
    if shape == "gaussian":
        value = np.exp(-(x**2 + y**2) / (2 * width**2))
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


def crop_to_multiple(
    image: Shaped[np.ndarray, "height width channel"], scale: int
) -> Shaped[np.ndarray, "cropped_height cropped_width channel"]:
    """Cut off rows below and columns on the right, so that the sides are multiples of the scale."""
    return image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale]


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

    weights, index = contributions(image.shape[0], height, scale)
    value = rounded(np.einsum("ok,okwc->owc", weights, image.astype(np.float64)[index]))
    weights, index = contributions(image.shape[1], width, scale)
    value = rounded(np.einsum("ok,hokc->hoc", weights, value[:, index]))
    return value.astype(image.dtype)


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
