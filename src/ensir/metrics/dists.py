"""DISTS, a perceptual distance that tolerates another texture of the same kind; its weights are files of yours."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.errors import InputError
from ensir.metrics import WEIGHTS, Metric, check_heads, check_weights
from ensir.networks.spandrel_files import read_weights
from ensir.section import Context, Problem
from ensir.storage.digests import sha256

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # that the backbone was trained with
STAGES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))  # numbers of VGG16's convolutions
CONSTANT = 1e-6  # c1 and c2 of the paper


class Dists(Metric):
    """Image structure and texture distance (Ding 2020), on VGG16: 0 where equal; the weights are files of yours."""

    kind: Literal["dists"] = "dists"
    vgg: str = Field(
        pattern=WEIGHTS,
        title="path that ends in .pth, .pt or .safetensors",
        description="VGG16 of torchvision, trained on ImageNet (`vgg16-397923af.pth`)",
    )
    weights: str = Field(
        pattern=WEIGHTS,
        title="path that ends in .pth, .pt or .safetensors",
        description="`alpha` and `beta` of DISTS (`weights.pt` of its authors)",
    )

    label: ClassVar[str] = "DISTS"
    higher_is_better: ClassVar[bool] = False
    bytes_per_value: ClassVar[int] = 600  # of its features, twice

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that the files are there."""
        yield from super().check(context)
        yield from check_weights(context, "vgg", "weights")

    def try_out(self) -> None:
        """Check that the files are whole."""
        check_heads(self.vgg, self.weights)

    @property
    def traced(self) -> dict[str, Any]:
        """See `Section`; the content of the files counts."""
        return {**super().traced, "digests": [sha256(path) for path in (self.vgg, self.weights)]}


def measure(
    target: Float[np.ndarray, "height width channel"],
    result: Float[np.ndarray, "height width channel"],
    settings: dict[str, Any],
) -> float:
    """Return the distance of Ding et al. (2020), "Image quality assessment: unifying structure and texture similarity".

    0 where both are equal, lower is better. Equations 4–7, as in the authors' code, but of the images as they are: that
    code can shrink them to 256 pixels first.

    Parameters
    ----------
    target, result : float arrays, (height, width, channel)
        One or three channels, 0–255; values outside are clipped.
    settings : dict
        `vgg` and `weights`, the files.
    """
    import torch

    vgg, alpha, beta = _weights(settings["vgg"], settings["weights"])

    def tensor(image: np.ndarray) -> torch.Tensor:
        channels = np.broadcast_to(image, (*image.shape[:2], 3)).transpose(2, 0, 1) / 255
        return torch.from_numpy(np.clip(channels, 0, 1).astype(np.float32))[None]

    with torch.inference_mode():
        pairs = zip(_features(tensor(result), vgg), _features(tensor(target), vgg), strict=True)
        return 1 - _similarity(pairs, alpha, beta)


def _similarity(pairs: Iterator[tuple[Tensor, Tensor]], alpha: Tensor, beta: Tensor) -> float:
    """Return the weighted sum of the similarities of texture (means) and structure (covariances) of all features."""
    total, first = 0.0, 0
    for x, y in pairs:
        last = first + x.shape[1]
        mean_x, mean_y = x.mean((2, 3)), y.mean((2, 3))
        texture = (2 * mean_x * mean_y + CONSTANT) / (mean_x**2 + mean_y**2 + CONSTANT)
        variances = [
            ((one - mean[..., None, None]) ** 2).mean((2, 3)) for one, mean in ((x, mean_x), (y, mean_y))
        ]
        covariance = (x * y).mean((2, 3)) - mean_x * mean_y
        structure = (2 * covariance + CONSTANT) / (sum(variances) + CONSTANT)
        total += float((alpha[first:last] * texture + beta[first:last] * structure).sum())
        first = last
    return total / float(alpha.sum() + beta.sum())


def _features(
    image: Float[Tensor, "1 3 height width"], vgg: dict[str, Tensor]
) -> Iterator[Float[Tensor, "1 feature high wide"]]:
    """Yield the image itself, then the features after each stage of VGG16, whose pooling is that of DISTS."""
    import torch
    from torch.nn import functional

    yield image
    mean, deviation = (torch.tensor(values)[None, :, None, None] for values in (MEAN, DEVIATION))
    x = (image - mean) / deviation
    hann = torch.tensor([0.5, 1.0, 0.5])
    window = torch.outer(hann, hann) / hann.sum() ** 2
    for stage, layers in enumerate(STAGES):
        if stage:
            kernel = window.expand(x.shape[1], 1, 3, 3)
            x = (functional.conv2d(x**2, kernel, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()
        for layer in layers:
            weight, bias = (vgg[f"features.{layer}.{name}"] for name in ("weight", "bias"))
            x = functional.conv2d(x, weight, bias, padding=1).relu()
        yield x


@cache
def _weights(vgg: str, weights: str) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Read the weights of VGG16's convolutions, and alpha and beta of all features.

    Raises
    ------
    InputError
        They are not there, or of other sizes.
    """
    names = [
        f"features.{layer}.{name}" for layers in STAGES for layer in layers for name in ("weight", "bias")
    ]
    network, mixed = read_weights(vgg), read_weights(weights)
    if missing := [name for name in names if name not in network]:
        raise InputError(f"{vgg}: is no VGG16 of torchvision's: it has no {missing[0]}")
    if missing := [name for name in ("alpha", "beta") if name not in mixed]:
        raise InputError(f"{weights}: holds no weights of DISTS: it has no {missing[0]}")
    features = 3 + sum(len(network[f"features.{layers[-1]}.bias"]) for layers in STAGES)
    alpha, beta = (mixed[name].detach().float().flatten() for name in ("alpha", "beta"))
    if not len(alpha) == len(beta) == features:
        raise InputError(f"{weights}: weighs {len(alpha)} features, and {vgg} with the image has {features}")
    return {name: network[name].detach().float() for name in names}, alpha, beta
