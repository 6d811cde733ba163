"""PTG-RM: a refiner of restored images, guided by what another, pre-trained network sees in the degraded ones.

Xu, Kong, Hu, Liu and Bao (CVPR 2024). With the degraded image I_d, the base model's Î_c = F(I_d) and the guide
g = G(I_d), the refined image is I_d + (Î_c − I_d)·I_m + I_r: the mask I_m reverts the base model's change where it did
harm, and I_r adds what it missed. All images are RGB in [0, 1]; both sides are multiples of 4, and at least 8.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Shaped
from torch import Tensor, nn
from torch.nn import functional

from ensir.errors import InputError
from ensir.images import degradations
from ensir.networks import named_weights
from ensir.networks.heads import NO_REFINER

Images = Float[Tensor, "image 3 height width"]  # RGB, [0, 1]
Position = Float[Tensor, "image 2 height width"]  # rows and columns, each from −1 to 1 over the whole picture
Guide = Float[Tensor, "image guide high wide"]  # of any size; one pixel for a whole picture is a 1-D prior
Features = Float[Tensor, "image feature quarter_height quarter_width"]
CodeValues = Shaped[np.ndarray, "height width channel"]
Picture = Float32[np.ndarray, "height width 3"]  # RGB, [0, 1]

WIDTH = 16  # features, at a quarter of the resolution
GUIDED, POSITION = 64, 16  # channels of T(g) and of the position embedding
KERNEL = 3  # side of the kernels of the spatial attention
COMPONENTS = ("sve", "channel", "spatial", "position")  # what an ablation may leave out
TRUSTED = 4.0  # of I_m before the sigmoid, at the start: 98 % of the base model's change


@dataclass(frozen=True)
class Architecture:
    """Size of a refiner, and the components that it lacks.

    Attributes
    ----------
    guide : int
        Channels of the prior g; zero without a prior.
    without : tuple of str
        Some of `COMPONENTS`: spatial-varying enhancement, channel attention, spatial attention, position embedding.
    plain : bool
        Instead of all that, a plain convolutional network of the same size, for comparison.
    """

    guide: int
    without: tuple[str, ...] = ()
    plain: bool = False

    def make(self) -> Refiner | Plain:
        """Return a network with its first weights, with which it returns (nearly) the base model's image."""
        return Plain() if self.plain else Refiner(self)


def convolution(before: int, after: int, side: int = 3, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the size, apart from its stride."""
    return nn.Conv2d(before, after, side, stride, side // 2)


# ── the module ───────────────────────────────────────────────────────────────────────────────────────────────


class Refiner(nn.Module):
    """R: encodes both images, enhances and attends to their features, guided by the prior, and decodes them.

    Parameters
    ----------
    architecture : Architecture
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        guided = GUIDED if architecture.guide else 0
        position = 0 if "position" in architecture.without else POSITION
        has = {component: component not in architecture.without for component in COMPONENTS}
        self.encoder = Encoder()
        self.enhancement = Enhancement(architecture.guide, guided, position) if has["sve"] else None
        self.attention = Attention(architecture.guide, guided, position, has["channel"], has["spatial"])
        self.decoder = Decoder()

    def forward(self, base: Images, degraded: Images, position: Position, guide: Guide | None) -> Images:
        """Return the refined images, not clipped."""
        features = self.encoder(torch.cat([base, degraded], 1))
        place = functional.interpolate(position, features.shape[2:], mode="bilinear", align_corners=False)
        if self.enhancement is not None:
            features = self.enhancement(features, place, guide)
        features = self.attention(features, place, guide)
        mask, residual = self.decoder(features)
        return degraded + (base - degraded) * mask + residual


class Encoder(nn.Sequential):
    """R_e: f, at a quarter of the resolution."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for before, stride in ((6, 1), (WIDTH, 2), (WIDTH, 2)):
            layers += [convolution(before, WIDTH, 3, stride), nn.InstanceNorm2d(WIDTH), nn.LeakyReLU(0.2)]
        super().__init__(*layers)


class Decoder(nn.Module):
    """R_d: the mask I_m and the residual I_r, at full resolution."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [convolution(WIDTH, 4 * WIDTH), nn.PixelShuffle(2), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, convolution(WIDTH, WIDTH), nn.LeakyReLU(0.2))
        self.mask, self.residual = convolution(WIDTH, 3), convolution(WIDTH, 3)
        nn.init.zeros_(self.mask.weight)
        nn.init.constant_(self.mask.bias, TRUSTED)  # type: ignore[arg-type]
        for parameter in self.residual.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Features) -> tuple[Images, Images]:
        """Return I_m and I_r."""
        value = self.body(features)
        return torch.sigmoid(self.mask(value)), self.residual(value)


# ── what guides it ───────────────────────────────────────────────────────────────────────────────────────────


class Transform(nn.Module):
    """T: two linear maps of the prior, which is the same for every pixel (1-D), or resized to the features (2-D)."""

    def __init__(self, guide: int):
        super().__init__()
        self.first, self.second = nn.Conv2d(guide, 256, 1), nn.Conv2d(256, GUIDED, 1)

    def forward(self, guide: Guide, size: tuple[int, int]) -> Features:
        """Return T(g), of the size of the features."""
        one = guide.shape[2:] == (1, 1)
        if not one:
            guide = functional.interpolate(guide, size, mode="bilinear", antialias=True)
        value = self.second(functional.leaky_relu(self.first(guide), 0.2))
        return value.expand(-1, -1, *size) if one else value


class Guidance(nn.Module):
    """What is concatenated with the features: T(g) and the position embedding S, where there are any."""

    def __init__(self, guide: int, position: int):
        super().__init__()
        self.transform = Transform(guide) if guide else None
        self.embedding = (
            nn.Sequential(convolution(2, POSITION), nn.LeakyReLU(0.2), convolution(POSITION, POSITION, 1))
            if position
            else None
        )

    def forward(self, size: tuple[int, int], place: Position, guide: Guide | None) -> list[Features]:
        """Return T(g) and S, as far as there are any."""
        beside = []
        if self.transform is not None:
            beside.append(self.transform(guide, size))
        if self.embedding is not None:
            beside.append(self.embedding(place))
        return beside


# ── A: spatial-varying enhancement ───────────────────────────────────────────────────────────────────────────


class Enhancement(nn.Module):
    """PTG-SVE: f̂ = M·R_s(f) + (1 − M)·R_l(f), short or long range as the prior suggests, pixel by pixel."""

    def __init__(self, guide: int, guided: int, position: int):
        super().__init__()
        self.guidance = Guidance(guide, position)
        self.mask = nn.Sequential(
            convolution(WIDTH + guided + position, WIDTH), nn.LeakyReLU(0.2), convolution(WIDTH, 1)
        )
        self.short = Residual(WIDTH)
        self.long = nn.Sequential(*(Transformer(WIDTH) for _ in range(4)))

    def forward(self, features: Features, place: Position, guide: Guide | None) -> Features:
        """Return f̂."""
        beside = self.guidance(features.shape[2:], place, guide)
        mask = torch.sigmoid(self.mask(torch.cat([features, *beside], 1)))
        return mask * self.short(features) + (1 - mask) * self.long(features)


class Residual(nn.Module):
    """A residual block without normalisation."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(convolution(width, width), nn.ReLU(), convolution(width, width))

    def forward(self, value: Features) -> Features:
        """Return the value plus what the block adds."""
        return value + self.body(value)


class Transformer(nn.Module):
    """A block of Restormer (Zamir 2022): attention between channels (MDTA, one head), a gated network (GDFN)."""

    def __init__(self, width: int):
        super().__init__()
        hidden = int(2.66 * width)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.scale = nn.Parameter(torch.ones(1))
        self.query_key_value = nn.Sequential(
            nn.Conv2d(width, 3 * width, 1, bias=False),
            nn.Conv2d(3 * width, 3 * width, 3, padding=1, groups=3 * width, bias=False),
        )
        self.attended = nn.Conv2d(width, width, 1, bias=False)
        self.gates = nn.Sequential(
            nn.Conv2d(width, 2 * hidden, 1, bias=False),
            nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False),
        )
        self.gated = nn.Conv2d(hidden, width, 1, bias=False)

    def forward(self, value: Features) -> Features:
        """Return the value plus what both halves add."""
        value = value + self._attend(self._normal(value, 0))
        gate, passed = self.gates(self._normal(value, 1)).chunk(2, 1)
        return value + self.gated(functional.gelu(gate) * passed)

    def _normal(self, value: Features, number: int) -> Features:
        return self.norms[number](value.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _attend(self, value: Features) -> Features:
        query, key, content = self.query_key_value(value).flatten(2).chunk(3, 1)
        query, key = functional.normalize(query, dim=2), functional.normalize(key, dim=2)
        weights = torch.softmax(query @ key.transpose(1, 2) * self.scale, 2)
        return self.attended((weights @ content).view_as(value))


# ── C: channel and spatial attention ─────────────────────────────────────────────────────────────────────────


class Attention(nn.Module):
    """PTG-CSA: f̄ = R_f(f̂_c ⊕ f̂_s) + f̂."""

    def __init__(self, guide: int, guided: int, position: int, channel: bool, spatial: bool):
        super().__init__()
        self.guidance = Guidance(guide, position if spatial else 0)
        self.channel = (
            nn.Sequential(nn.Linear(WIDTH + guided, WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, WIDTH))
            if channel
            else None
        )
        hidden = KERNEL**2 * WIDTH
        self.kernels = (
            nn.Sequential(
                convolution(WIDTH + guided + position, hidden), nn.LeakyReLU(0.2), convolution(hidden, hidden)
            )
            if spatial
            else None
        )
        self.spatial = convolution(WIDTH, 1)
        self.fusion = nn.Conv2d((channel + spatial) * WIDTH, WIDTH, 1) if channel or spatial else None

    def forward(self, features: Features, place: Position, guide: Guide | None) -> Features:
        """Return f̄."""
        if self.fusion is None:
            return features
        beside = self.guidance(features.shape[2:], place, guide)
        attended = []
        if self.channel is not None:
            pooled = torch.cat([features, *beside[: self.guidance.transform is not None]], 1).mean((2, 3))
            attended.append(features * torch.sigmoid(self.channel(pooled))[:, :, None, None])
        if self.kernels is not None:
            kernels = self.kernels(torch.cat([features, *beside], 1))
            attended.append(features * torch.sigmoid(self.spatial(filtered(features, kernels))))
        return self.fusion(torch.cat(attended, 1)) + features


def filtered(
    features: Features, kernels: Float[Tensor, "image feature_tap quarter_height quarter_width"]
) -> Features:
    """Return f̂ ∗ C_p: every pixel of every channel, filtered by a 3×3 kernel of its own."""
    images, channels, height, width = features.shape
    around = functional.unfold(features, KERNEL, padding=KERNEL // 2)
    taps = around.view(images, channels, KERNEL**2, height, width)
    return (taps * kernels.view(images, channels, KERNEL**2, height, width)).sum(2)


# ── a plain network, for comparison ──────────────────────────────────────────────────────────────────────────


class Plain(nn.Module):
    """Residual blocks of 64 channels on pixels folded 4×4: as many parameters, at the same resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.head = convolution(6 * 16, 64)
        self.body = nn.Sequential(*(Residual(64) for _ in range(8)))
        self.tail = convolution(64, 3 * 16)
        for parameter in self.tail.parameters():
            nn.init.zeros_(parameter)

    def forward(self, base: Images, degraded: Images, position: Position, guide: Guide | None) -> Images:
        """Return the refined images, not clipped; position and guide are not used."""
        folded = functional.pixel_unshuffle(torch.cat([base, degraded], 1), 4)
        return base + functional.pixel_shuffle(self.tail(self.body(self.head(folded))), 4)


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Trained:
    """A refiner, and what its file says about it.

    Attributes
    ----------
    network : torch module
    architecture : Architecture
    facts : dict
        How it was trained, as plain data.
    """

    network: nn.Module
    architecture: Architecture
    facts: dict[str, Any]


def read(path: str | Path) -> Trained:
    """Read a refiner from the ``.safetensors`` file that its training wrote.

    Raises
    ------
    InputError
        Damaged, or no refiner.
    """
    weights, metadata = named_weights.read(path)
    try:
        facts = json.loads(metadata["ensir"])
        own = facts["refiner"]
        architecture = Architecture(own["guide"], tuple(own["without"]), own["plain"])
        network = architecture.make()
        network.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path}: {NO_REFINER} ({' '.join(str(error).split())[:200]})") from error
    return Trained(network.eval().requires_grad_(False), architecture, facts)


def write(path: Path, network: nn.Module, architecture: Architecture, facts: dict[str, Any]) -> None:
    """Write a refiner, atomically."""
    named_weights.write(path, network, {"refiner": asdict(architecture), **facts})


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────────────


def picture(image: CodeValues, white: int) -> Picture:
    """Return code values as float32 in [0, 1] with three channels."""
    return np.repeat(image / white, 3 // image.shape[2], axis=2).astype(np.float32)


def enlarged(degraded: CodeValues, scale: int) -> CodeValues:
    """Return a degraded input at the size of its target: bicubic as MATLAB's, rounded as in an image file."""
    return degraded if scale == 1 else degradations.imresize(degraded, scale).astype(np.float32)


def position(height: int, width: int) -> Float32[np.ndarray, "height width 2"]:
    """Return the position of each pixel of a picture: row and column, from −1 to 1."""
    rows, columns = (
        np.linspace(-1, 1, side, dtype=np.float32) if side > 1 else np.zeros(1, np.float32)
        for side in (height, width)
    )
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=2)
