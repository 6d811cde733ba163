"""Train a denoising autoencoder on a folder of photographs, for the least squared error on random patches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from ensir.execution import devices
from ensir.images import image_files, similarity
from ensir.images.degradations import seeded
from ensir.networks import dae, examples, training
from ensir.networks.dae import Architecture, HalfResolution
from ensir.networks.training import VALIDATED, Course

if TYPE_CHECKING:
    from ensir.storage.progress import Progress

Photographs = dict[str, UInt8[np.ndarray, "height width 3"]]


@dataclass(frozen=True, kw_only=True)
class Training(Course):
    """How a DAE is trained.

    Attributes
    ----------
    sigma : float
        Standard deviation of the noise, in levels of 0–255.
    architecture : Architecture
    """

    sigma: float
    architecture: Architecture = field(default_factory=Architecture)

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Training:
        """Return the training that a section of `denoisers` asks for."""
        rest = dict(settings)
        return cls(architecture=Architecture(rest.pop("width"), rest.pop("blocks")), **rest)


def train(
    output: Path,
    checkpoint: Path,
    curve: Path,
    photographs: Sequence[str],
    course: Training,
    progress: Progress,
    device: str = "auto",
    restart: bool = False,
) -> None:
    """Train a DAE, resuming from the checkpoint where there is one.

    Parameters
    ----------
    output : Path
        Where the moving average of the weights goes, as ``.safetensors``.
    checkpoint, curve : Path
        See `training.train`.
    photographs : list of str
        Image files, 8-bit RGB.
    course : Training
    progress : callable
    device : "auto", "cpu" or "cuda"
    restart : bool
        See `training.train`.

    Raises
    ------
    InputError
        Too few or too small images, or not 8-bit RGB; a checkpoint of another training.
    """
    device = devices.for_network(device)
    learned, validated, digest = _read(photographs, course)

    def objective(network: Callable[..., Tensor], step: int) -> Tensor:
        clean, noise = (value.to(device) for value in _patches(learned, course, step))
        return functional.mse_loss(network(clean + noise) / 255, clean / 255)

    network, rows = training.train(
        lambda: HalfResolution(course.architecture),
        course,
        objective,
        lambda network: psnr(network, validated, course.sigma),
        training.fixed(course, __name__, restart) | {"photographs": digest},
        checkpoint,
        curve,
        progress,
        device,
        restart,
    )
    facts = {
        "training": asdict(course),
        "photographs": len(learned),
        "photographs_digest": digest,
        "validation": sorted(validated),
        "psnr": rows[-1].psnr if rows else None,
    }
    assert isinstance(network, HalfResolution)
    dae.write(output, network, course.sigma, facts)


# ── photographs ──────────────────────────────────────────────────────────────────────────────────────────────


def _read(paths: Sequence[str], course: Training) -> tuple[Photographs, Photographs, str]:
    """Return the photographs to learn from, those held out (evenly spread by name), and a digest of all."""
    named, photographs = examples.named(paths), {}
    kept = examples.kept_back(list(named), course.validation)
    digest = hashlib.sha256()
    for name, path in named.items():
        photographs[name] = image = image_files.read(path)
        examples.check_photograph(path, image.shape[:2], image.shape[2], 8 * image.itemsize, course.patch)
        digest.update(image.data)
    learned = {name: image for name, image in photographs.items() if name not in kept}
    return learned, {name: photographs[name] for name in kept}, digest.hexdigest()


def _patches(photographs: Photographs, course: Training, step: int) -> tuple[dae.Images, dae.Images]:
    """Draw patches, every pixel equally likely, rotated and mirrored at random, and their noise."""
    random = np.random.default_rng([course.seed, step])
    pixels = np.array([image.shape[0] * image.shape[1] for image in photographs.values()], np.float64)
    held, side = list(photographs.values()), course.patch
    clean = np.empty((course.batch, 3, side, side), np.float32)
    for patch in clean:
        image = held[random.choice(len(held), p=pixels / pixels.sum())]
        top, left = (random.integers(length - side + 1) for length in image.shape[:2])
        piece = np.rot90(image[top : top + side, left : left + side], int(random.integers(4)))
        patch[:] = (piece[:, ::-1] if random.integers(2) else piece).transpose(2, 0, 1)
    noise = course.sigma * random.standard_normal(clean.shape, np.float32)
    return torch.from_numpy(clean), torch.from_numpy(noise)


def psnr(network: nn.Module, photographs: Photographs, sigma: float) -> float:
    """Return the mean PSNR in dB of the denoised middle of photographs, neither rounded nor clipped.

    Parameters
    ----------
    network : torch module
    photographs : dict of uint8 arrays, (height, width, 3)
        By name: the noise is drawn from it.
    sigma : float
        Standard deviation of the noise, in levels of 0–255.
    """
    device = next(network.parameters()).device
    values = []
    for name, image in photographs.items():
        target = _middle(image)
        noisy = target + seeded(0, name).normal(0, sigma, target.shape).astype(np.float32)
        with torch.inference_mode():
            restored = network(torch.from_numpy(noisy).permute(2, 0, 1)[None].to(device))
        values.append(similarity.psnr(target, restored[0].permute(1, 2, 0).cpu().numpy()))
    return float(np.mean(values))


def _middle(image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "high wide 3"]:
    top, left = (max((side - VALIDATED) // 2, 0) for side in image.shape[:2])
    return image[top : top + VALIDATED, left : left + VALIDATED].astype(np.float32)
