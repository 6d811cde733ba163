"""Classical algorithms of scikit-image, SciPy and Pillow."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from ensir.errors import InputError
from ensir.images import degradations
from ensir.images.depth import white
from ensir.restorers import Degraded
from ensir.restorers._self_ensemble import TurnableModel
from ensir.section import Context, Problem, check_keeps_size, unknown
from ensir.storage import provenance

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

    Image = Float[np.ndarray, "height width channel"]  # in [0, 1]


DECONVOLVING = ("wiener", "richardson_lucy")
ENLARGING = ("nearest", "bilinear", "bicubic", "lanczos", "back_projection")
NO_KERNEL = (
    "this algorithm needs a known blur kernel, and its dataset has no `degradation: {kind: blur}`; give it that, or "
    "choose another algorithm"
)


class ClassicalModel(TurnableModel):
    """A classical algorithm of scikit-image or SciPy."""

    kind: Literal["classical"]
    algorithm: Literal[
        "identity", "tv_chambolle", "wavelet", "nl_means", "bilateral", "median", "gaussian", "wiener",
        "richardson_lucy", "unsharp", "nearest", "bilinear", "bicubic", "lanczos", "back_projection",
    ] = Field(description="which; the last five upscale")  # fmt: skip
    options: dict[str, Any] = Field({}, description="keyword arguments of the algorithm")

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that the algorithm takes the options, and suits the datasets."""
        yield from super().check(context)
        algorithm, given = context.section.get("algorithm"), context.section.get("options")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            return
        if isinstance(given, dict):
            known = options(algorithm)
            for option in given.keys() - set(known):
                yield Problem(f"{context.key}.options.{option}", unknown("unknown key", option, known))
        if algorithm not in ENLARGING:
            yield from check_keeps_size(context, "algorithm", algorithm)
        for name, dataset in context.datasets.items():
            degradation = dataset.get("degradation")
            kind = degradation.get("kind") if isinstance(degradation, dict) else None
            if algorithm in DECONVOLVING and kind != "blur":
                yield Problem(f"{context.key}.algorithm", f"dataset {name!r}: {NO_KERNEL}")

    def try_out(self) -> None:
        """Try the options on a small image."""
        if self.options:
            known = {"kind": "blur", "kernel": "gaussian", "width": 0.3, "sigma": 10.0}
            image = np.random.default_rng(0).integers(0, 256, (16, 16, 1), np.uint8)
            scale = 2 if self.algorithm in ENLARGING else 1
            shape = (16 * scale, 16 * scale, 1)
            restored(self.algorithm, self.options, Degraded("16×16 pixels", image, shape, 8, scale, known))


class Restorer:
    """Runs one algorithm on floats in [0, 1]."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        self.algorithm, self.options = settings["algorithm"], settings["options"]
        self.parameters = {"versions": provenance.versions("scikit-image", "scipy", "pillow", "PyWavelets")}

    def restore(self, images: Iterable[Degraded]) -> Iterator[Shaped[np.ndarray, "height width channel"]]:
        """Yield the restored images, as floats in code values."""
        for degraded in images:
            yield restored(self.algorithm, self.options, degraded)


def restored(
    algorithm: str, options: dict[str, Any], degraded: Degraded
) -> Shaped[np.ndarray, "height width channel"]:
    """Return the restored image, as floats in code values.

    Raises
    ------
    InputError
        The options do not suit the algorithm, or the image.
    """
    assert degraded.image is not None
    unit = white(8 * degraded.image.itemsize)
    try:
        return ALGORITHMS[algorithm](degraded.image / unit, degraded, **options) * unit
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"algorithm {algorithm}: failed on image {degraded.name!r} ({type(error).__name__}: {error}); fix "
            "`options`, or leave the image out"
        ) from error


def options(algorithm: str) -> list[str]:
    """Return the options that an algorithm takes."""
    return list(inspect.signature(ALGORITHMS[algorithm]).parameters)[2:]


def _noise(degraded: Degraded) -> float | None:
    """Return the known standard deviation of the noise, in [0, 1]; None where it must be estimated."""
    sigma = (degraded.degradation or {}).get("sigma")
    return sigma / 255 if sigma else None


def _estimated_noise(image: Image, degraded: Degraded) -> float:
    from skimage.restoration import estimate_sigma

    return _noise(degraded) or float(np.mean(estimate_sigma(image, channel_axis=2)))


def _colour(image: Image) -> tuple[np.ndarray, int | None]:
    """Return an image and its channel axis as scikit-image expects them: grey images have none."""
    return (image, 2) if image.shape[2] > 1 else (image[..., 0], None)


def _kernel(degraded: Degraded) -> Float[np.ndarray, "size size"]:
    degradation = degraded.degradation or {}
    if degradation.get("kind") != "blur":
        raise InputError(f"image {degraded.name!r}: {NO_KERNEL}")
    return degradations.kernel_of(degradation)


# ── same size ────────────────────────────────────────────────────────────────────────────────────────────────


def identity(image: Image, degraded: Degraded) -> Image:
    """Return the input itself."""
    return image


def tv_chambolle(
    image: Image, degraded: Degraded, weight: float | None = None, max_num_iter: int = 100
) -> Image:
    """Total-variation denoising (Chambolle 2004); the weight defaults to 1.2 σ."""
    from skimage.restoration import denoise_tv_chambolle

    weight = weight or 1.2 * _estimated_noise(image, degraded)
    return denoise_tv_chambolle(image, weight=weight, max_num_iter=max_num_iter, channel_axis=2)


def wavelet(
    image: Image, degraded: Degraded, wavelet: str = "db2", mode: str = "soft", shifts: int = 0
) -> Image:
    """Wavelet denoising, BayesShrink; with shifts > 0, averaged over that many cyclic shifts in each direction."""
    from skimage.restoration import cycle_spin, denoise_wavelet

    keywords = {
        "sigma": _noise(degraded),
        "wavelet": wavelet,
        "mode": mode,
        "method": "BayesShrink",
        "channel_axis": 2,
    }
    if image.shape[2] == 3:
        keywords["convert2ycbcr"] = True
    if shifts:
        return cycle_spin(
            image, func=denoise_wavelet, max_shifts=shifts, func_kw=keywords, channel_axis=None, workers=1
        )
    return denoise_wavelet(image, **keywords)


def nl_means(
    image: Image, degraded: Degraded, h: float = 0.8, patch_size: int = 5, patch_distance: int = 6
) -> Image:
    """Non-local means (Buades 2005), fast variant; h is in units of the noise σ."""
    from skimage.restoration import denoise_nl_means

    sigma = _estimated_noise(image, degraded)
    plane, axis = _colour(image)
    restored = denoise_nl_means(
        plane,
        channel_axis=axis,
        patch_size=patch_size,
        patch_distance=patch_distance,
        h=h * sigma,
        sigma=sigma,
    )
    return restored.reshape(image.shape)


def bilateral(
    image: Image, degraded: Degraded, sigma_spatial: float = 1.5, sigma_color: float | None = None
) -> Image:
    """Bilateral filter (Tomasi 1998); the range σ defaults to twice the noise."""
    from skimage.restoration import denoise_bilateral

    plane, axis = _colour(image)
    noise = sigma_color or 2 * _estimated_noise(image, degraded)
    restored = denoise_bilateral(plane, sigma_color=noise, sigma_spatial=sigma_spatial, channel_axis=axis)
    return restored.reshape(image.shape)


def median(image: Image, degraded: Degraded, size: int = 3) -> Image:
    """Median filter of each channel."""
    from scipy.ndimage import median_filter

    return median_filter(image, size=(size, size, 1), mode="nearest")


def gaussian(image: Image, degraded: Degraded, sigma: float = 1.0) -> Image:
    """Gaussian filter of each channel; sigma in pixels."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, sigma=(sigma, sigma, 0), mode="nearest")


def wiener(image: Image, degraded: Degraded, balance: float = 0.02) -> Image:
    """Wiener deconvolution with the known kernel; larger balance, smoother result."""
    from skimage.restoration import wiener

    return _deconvolve(image, degraded, lambda channel, kernel: wiener(channel, kernel, balance, clip=False))


def richardson_lucy(image: Image, degraded: Degraded, num_iter: int = 15) -> Image:
    """Richardson–Lucy deconvolution with the known kernel."""
    from skimage.restoration import richardson_lucy

    return _deconvolve(image, degraded, lambda channel, kernel: richardson_lucy(channel, kernel, num_iter))


def _deconvolve(
    image: Image, degraded: Degraded, restore: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> Image:
    """Deconvolve each channel of the padded image, so that the border does not ring."""
    kernel = _kernel(degraded)
    pad = 2 * max(kernel.shape)
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric")
    channels = [restore(padded[..., c], kernel)[pad:-pad, pad:-pad] for c in range(image.shape[2])]
    return np.clip(np.stack(channels, axis=2), 0, 1)


def unsharp(image: Image, degraded: Degraded, radius: float = 1.0, amount: float = 1.0) -> Image:
    """Unsharp masking."""
    from skimage.filters import unsharp_mask

    return unsharp_mask(image, radius=radius, amount=amount, channel_axis=2)


# ── upscaling ────────────────────────────────────────────────────────────────────────────────────────────────


def nearest(image: Image, degraded: Degraded) -> Image:
    """Repeat each pixel."""
    return image.repeat(degraded.scale, axis=0).repeat(degraded.scale, axis=1)


def bilinear(image: Image, degraded: Degraded) -> Image:
    """Bilinear interpolation (Pillow)."""
    return _resample(image, degraded, "BILINEAR")


def lanczos(image: Image, degraded: Degraded) -> Image:
    """Lanczos interpolation, a = 3 (Pillow)."""
    return _resample(image, degraded, "LANCZOS")


def _resample(image: Image, degraded: Degraded, kind: str) -> Image:
    import PIL.Image

    size = (degraded.shape[1], degraded.shape[0])
    method = PIL.Image.Resampling[kind]
    channels = [PIL.Image.fromarray(image[..., c].astype(np.float32)) for c in range(image.shape[2])]
    return np.stack([np.asarray(channel.resize(size, method), np.float64) for channel in channels], axis=2)


def bicubic(image: Image, degraded: Degraded) -> Image:
    """Bicubic interpolation, as in MATLAB's imresize."""
    return degradations.imresize(image, degraded.scale)


def back_projection(image: Image, degraded: Degraded, steps: int = 10) -> Image:
    """Iterative back-projection (Irani 1991): bicubic, then corrected so that its downscaled version is the input."""
    result = degradations.imresize(image, degraded.scale)
    for _ in range(steps):
        residual = image - degradations.imresize(result, 1 / degraded.scale)
        result = result + degradations.imresize(residual, degraded.scale)
    return result


ALGORITHMS: dict[str, Callable[..., Image]] = {
    algorithm.__name__: algorithm
    for algorithm in (
        identity, tv_chambolle, wavelet, nl_means, bilateral, median, gaussian, wiener, richardson_lucy, unsharp,
        nearest, bilinear, bicubic, lanczos, back_projection,
    )
}  # fmt: skip
