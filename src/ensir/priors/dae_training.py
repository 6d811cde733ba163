"""Train a denoising autoencoder on a folder of photographs.

Step n draws its patches and its noise from the seed and n alone, so that a run that was stopped goes on as if it
had not been. The checkpoint holds float32 weights whatever the precision of the arithmetic, their moving average,
which is what is written out in the end, and the state of the optimiser.
"""

from __future__ import annotations

import copy
import csv
import hashlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from ensir import InputError, devices, images, metrics
from ensir.priors import dae
from ensir.priors.dae import Architecture, HalfResolution
from ensir.priors.operators import seeded
from ensir.publish import replaced

Progress = Callable[[int, int], None]
Photographs = dict[str, UInt8[np.ndarray, "height width 3"]]
VALIDATED = 256  # side of the middle of a validation image
CURVE = ("step", "seconds", "learning_rate", "loss", "psnr")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """How a DAE is trained.

    Attributes
    ----------
    sigma : float
        Standard deviation of the noise, in levels of 0–255.
    steps : int
        Steps in all; a finished training goes on where it is given more.
    architecture : Architecture
    patch, batch : int
        Side of a square patch, in pixels; patches of a step.
    learning_rate : float
        Of Adam; held, then lowered to zero along half a cosine over the last `cooldown` of all steps.
    cooldown : float
        Share of the steps.
    average : float
        Decay of the moving average of the weights.
    validation : int
        Images that are kept back to measure the PSNR.
    every : int
        Steps from one checkpoint and measurement to the next.
    precision : "float32" or "bfloat16"
        Of the arithmetic; the weights stay float32.
    seed : int
    """

    sigma: float
    steps: int
    architecture: Architecture = field(default_factory=Architecture)
    patch: int = 64
    batch: int = 8
    learning_rate: float = 1e-3
    cooldown: float = 0.3
    average: float = 0.998
    validation: int = 8
    every: int = 500
    precision: str = "float32"
    seed: int = 0

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Training:
        """Return the training that a section of `denoisers` asks for."""
        rest = dict(settings)
        return cls(architecture=Architecture(rest.pop("width"), rest.pop("blocks")), **rest)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        left = (self.steps - step) / max(self.cooldown * self.steps, 1)
        return self.learning_rate * 0.5 * (1 - math.cos(math.pi * min(left, 1.0)))


def train(
    output: Path,
    checkpoint: Path,
    curve: Path,
    photographs: Sequence[str],
    training: Training,
    progress: Progress,
    device: str = "auto",
) -> None:
    """Train, from the checkpoint on where there is one.

    Parameters
    ----------
    output : Path
        Where the weights go, as ``.safetensors``: their moving average.
    checkpoint : Path
        Written every so many steps.
    curve : Path
        CSV of the loss and of the PSNR on the validation images, both since the first step.
    photographs : list of str
        Image files, 8-bit RGB.
    training : Training
    progress : callable
    device : "auto", "cpu" or "cuda"

    Raises
    ------
    InputError
        Images too few, too small, or not 8-bit RGB; a checkpoint of another training.
    """
    device = devices.choose(device)
    learned, validated, digest = _read(photographs, training)
    state = _State(training, digest, device)
    if checkpoint.exists():
        state.load(checkpoint)
    started = time.monotonic() - state.seconds
    losses: list[Tensor] = []
    while state.step < training.steps:
        clean, noise = _patches(learned, training, state.step)
        losses.append(state.learn(clean.to(device), noise.to(device)))
        progress(state.step, training.steps)
        if state.step % training.every == 0 or state.step == training.steps:
            state.seconds = time.monotonic() - started
            loss = float(torch.stack(losses).mean())
            losses.clear()
            quality = psnr(state.average, validated, training.sigma)
            rate = training.rate(state.step - 1)
            state.curve.append((state.step, round(state.seconds, 1), rate, loss, quality))
            state.save(checkpoint)
            _write_curve(curve, state.curve)
            log.info("step %d: loss %.4g, PSNR %.3f dB", state.step, loss, quality)
    facts = {
        "training": asdict(training),
        "photographs": len(learned),
        "photographs_digest": digest,
        "validation": sorted(validated),
        "psnr": state.curve[-1][-1] if state.curve else None,
    }
    _write_curve(curve, state.curve)
    dae.write(output, state.average, training.sigma, facts)


class _State:
    """All that a checkpoint holds."""

    def __init__(self, training: Training, digest: str, device: str):
        torch.manual_seed(training.seed)
        self.training, self.digest, self.device = training, digest, device
        network = HalfResolution(training.architecture).to(device)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.network.parameters(), training.learning_rate, (0.9, 0.99))
        self.step, self.seconds = 0, 0.0
        self.curve: list[tuple[int, float, float, float, float]] = []

    def learn(self, clean: dae.Images, noise: dae.Images) -> Tensor:
        """Take one step; return the squared error per value, in units of 255²."""
        training = self.training
        self.optimiser.param_groups[0]["lr"] = training.rate(self.step)
        reduced = training.precision == "bfloat16"
        with torch.autocast(self.device, torch.bfloat16, enabled=reduced):
            restored = self.network(clean + noise)
        loss = functional.mse_loss(restored.float() / 255, clean / 255)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.step += 1
        decay = min(training.average, self.step / (self.step + 10))  # the first steps are soon forgotten
        with torch.no_grad():
            for kept, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)
        return loss.detach()

    def save(self, path: Path) -> None:
        with replaced(path) as partial:
            torch.save(self._held(), partial)

    def load(self, path: Path) -> None:
        try:
            held = torch.load(path, map_location=self.device, weights_only=True)
            same = held["identity"] == self._identity()
        except Exception as error:
            raise InputError(f"{path}: cannot be read as a checkpoint ({error}); remove it") from error
        if not same:
            raise InputError(
                f"{path}: is of another training (noise, network, patches, seed or photographs differ); "
                "remove it to start anew, or choose another output"
            )
        self.network.load_state_dict(held["network"])
        self.average.load_state_dict(held["average"])
        self.optimiser.load_state_dict(held["optimiser"])
        self.step, self.seconds, self.curve = held["step"], held["seconds"], held["curve"]
        log.info("goes on after step %d", self.step)

    def _held(self) -> dict[str, Any]:
        return {
            "identity": self._identity(),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "curve": self.curve,
        }

    def _identity(self) -> dict[str, Any]:
        """Return what must not change between two runs of one training."""
        fixed = ("sigma", "architecture", "seed", "validation")
        return {name: asdict(self.training)[name] for name in fixed} | {"photographs": self.digest}


# ── photographs ──────────────────────────────────────────────────────────────────────────────────────────────


def _read(paths: Sequence[str], training: Training) -> tuple[Photographs, Photographs, str]:
    """Return the photographs to learn from, those kept back (evenly spread by name), and a digest of all."""
    found = {}
    for path in sorted(paths):
        image = images.read(path)
        if image.dtype != np.uint8 or image.shape[2] != 3:
            raise InputError(f"{path}: is not 8-bit RGB; a DAE is trained on 8-bit colour photographs")
        if min(image.shape[:2]) < training.patch:
            raise InputError(f"{path}: is smaller than a patch of {training.patch} pixels; leave it out")
        found[Path(path).stem] = image
    if len(found) <= training.validation:
        raise InputError(f"{len(found)} photographs with different names; more than {training.validation} "
                         "are needed, which are kept back to measure the PSNR")  # fmt: skip
    names = sorted(found)
    digest = hashlib.sha256(b"".join(found[name].tobytes() for name in names)).hexdigest()
    kept = {names[i * len(names) // training.validation] for i in range(training.validation)}
    learned = {name: found[name] for name in names if name not in kept}
    return learned, {name: found[name] for name in sorted(kept)}, digest


def _patches(photographs: Photographs, training: Training, step: int) -> tuple[dae.Images, dae.Images]:
    """Draw patches, each pixel of a photograph with the same chance, turned and mirrored; and their noise."""
    random = np.random.default_rng([training.seed, step])
    pixels = np.array([image.shape[0] * image.shape[1] for image in photographs.values()], np.float64)
    held, side = list(photographs.values()), training.patch
    clean = np.empty((training.batch, 3, side, side), np.float32)
    for patch in clean:
        image = held[random.choice(len(held), p=pixels / pixels.sum())]
        top, left = (random.integers(length - side + 1) for length in image.shape[:2])
        piece = np.rot90(image[top : top + side, left : left + side], int(random.integers(4)))
        patch[:] = (piece[:, ::-1] if random.integers(2) else piece).transpose(2, 0, 1)
    noise = training.sigma * random.standard_normal(clean.shape, np.float32)
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
    found = []
    for name, image in photographs.items():
        target = _middle(image)
        noisy = target + seeded(0, name).normal(0, sigma, target.shape).astype(np.float32)
        with torch.inference_mode():
            restored = network(torch.from_numpy(noisy).permute(2, 0, 1)[None].to(device))
        found.append(metrics.psnr(target, restored[0].permute(1, 2, 0).cpu().numpy()))
    return float(np.mean(found))


def _middle(image: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "high wide 3"]:
    top, left = (max((side - VALIDATED) // 2, 0) for side in image.shape[:2])
    return image[top : top + VALIDATED, left : left + VALIDATED].astype(np.float32)


def _write_curve(path: Path, rows: Sequence[tuple[int, float, float, float, float]]) -> None:
    with replaced(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CURVE)
        writer.writerows((step, seconds, *(f"{v:.6g}" for v in rest)) for step, seconds, *rest in rows)
