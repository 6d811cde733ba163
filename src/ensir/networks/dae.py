"""Denoising autoencoders: networks that remove Gaussian noise of one σ from an image.

Trained for the least squared error, a DAE r of noise σ finds the local mean of the photographs around an image, so
that (r(x) − x) / σ² is the gradient of the logarithm of their smoothed density (Alain and Bengio 2014, Miyasawa 1961):
the prior of both mean-shift restorers. All networks here take and return RGB in 0–255.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ensir.errors import InputError
from ensir.networks import heads, named_weights

Images = Float[Tensor, "image 3 height width"]  # RGB, 0–255


@dataclass(frozen=True)
class Architecture:
    """Size of our own network.

    Attributes
    ----------
    width : int
        Channels of the hidden layers.
    blocks : int
        Residual blocks of two layers each.
    """

    width: int = 64
    blocks: int = 5


class HalfResolution(nn.Module):
    """Our own DAE: residual blocks on pixels folded 2×2 into channels, at a seventh of the cost of the published one.

    Parameters
    ----------
    architecture : Architecture
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        width = architecture.width
        self.architecture = architecture
        self.head = nn.Conv2d(12, width, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
            )
            for _ in range(architecture.blocks)
        )
        self.tail = nn.Conv2d(width, 12, 3, padding=1)
        for block in [*self.body, nn.Sequential(self.tail)]:  # each is the identity at the start
            for parameter in list(block.parameters())[-2:]:
                nn.init.zeros_(parameter)

    def forward(self, x: Images) -> Images:
        """Return the images with less noise; odd sides are extended by their last row or column."""
        height, width = x.shape[2:]
        even = functional.pad(x, (0, width % 2, 0, height % 2), mode="replicate")
        folded = self.head(functional.pixel_unshuffle(even / 255, 2))
        for block in self.body:
            folded = folded + block(folded)
        residual = functional.pixel_shuffle(self.tail(functional.relu(folded)), 2)
        return x + 255 * residual[:, :, :height, :width]


class Published(nn.Module):
    """The DAE of the DAEP and DMSP releases: 20 layers of 64 channels, batch normalisation folded into them.

    Receptive field 41 pixels. Its files are for BGR; `read` reverses the channels of the first and the last layer.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = [3, *[64] * 19, 3]
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(channels)
        )

    def forward(self, x: Images) -> Images:
        """Return the images with less noise."""
        value = x
        for layer in self.layers[:-1]:
            value = functional.relu(layer(value))
        return x + self.layers[-1](value)


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class DAE:
    """A network, and what its file says about it.

    Attributes
    ----------
    network : torch module
        Images of RGB in 0–255 → the same with less noise.
    architecture : str
    sigma : float or None
        Standard deviation of the noise that it was trained for, in levels of 0–255; None where the file has none.
    """

    network: nn.Module
    architecture: str
    sigma: float | None


def read(path: str | Path) -> DAE:
    """Read a DAE of our own, or of the DAEP and DMSP releases, from a ``.safetensors`` file.

    Raises
    ------
    InputError
        Damaged, or of neither kind.
    """
    sigma = heads.noise_of(str(path))
    weights, metadata = named_weights.read(path)
    try:
        if "ensir" in metadata:
            facts = json.loads(metadata["ensir"])
            network: nn.Module = HalfResolution(Architecture(**facts["architecture"]))
            dae = DAE(network, "half resolution", sigma)
        else:
            weights = _turned(weights)
            dae = DAE(Published(), "published", None)
        dae.network.load_state_dict(weights)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: {heads.NO_DAE} ({' '.join(str(error).split())[:200]})") from error
    return DAE(dae.network.eval().requires_grad_(False), dae.architecture, dae.sigma)


def denoiser(network: nn.Module, device: str, precision: str) -> Callable[[Images], Images]:
    """Put a network on its device; return it as a function of float32 images.

    Parameters
    ----------
    network : torch module
    device : "cpu" or "cuda"
    precision : "float32" or "bfloat16"
        Precision of the arithmetic; the output is float32.
    """
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def run(x: Images) -> Images:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            return network(x.contiguous(memory_format=torch.channels_last)).float()

    return run


def _turned(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the layers of a published file to ours, and convert them from BGR to RGB."""
    turned = {}
    for name, value in weights.items():
        layer = re.fullmatch(r"conv(\d+)\.(weight|bias)", name)
        if layer is None:
            raise KeyError(name)
        number, kind = layer.groups()
        turned[f"layers.{int(number) - 1}.{kind}"] = value
    turned["layers.0.weight"] = turned["layers.0.weight"].flip(1)
    for kind in ("weight", "bias"):
        turned[f"layers.19.{kind}"] = turned[f"layers.19.{kind}"].flip(0)
    return turned


def write(path: Path, network: HalfResolution, sigma: float, facts: dict[str, Any]) -> None:
    """Write a DAE of our own, atomically.

    Parameters
    ----------
    path : Path
    network : HalfResolution
    sigma : float
        In levels of 0–255.
    facts : dict
        What else the file shall say about it, as plain data.
    """
    architecture = asdict(network.architecture)
    named_weights.write(path, network, {"architecture": architecture, "sigma": sigma, **facts})
