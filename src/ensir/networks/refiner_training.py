"""Train a refiner on a base model's predictions, their inputs and the targets, all from stores.

The loss is Charbonnier's on the refined image, plus that of a network's features where one is given. The base model is
not trained: the loss of its own output, which the paper adds where both are trained, would be a constant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from ensir.errors import InputError
from ensir.execution import devices
from ensir.images import depth, similarity
from ensir.networks import features, refiner, training
from ensir.networks.examples import check_size, kept_back
from ensir.networks.refiner import Architecture, CodeValues, enlarged, picture, position
from ensir.networks.training import VALIDATED, Course
from ensir.storage import digests, reading

if TYPE_CHECKING:
    from ensir.storage.progress import Progress

HELD = 128  # images of the training set kept in memory
CHARBONNIER = 1e-3  # its ε
PERCEPTUAL = 0.1  # weight of the features' loss


@dataclass(frozen=True, kw_only=True)
class Training(Course):
    """How a refiner is trained: on patches whose side is a multiple of 4."""

    cooldown: float = 1.0  # the learning rate falls from the first step


class Triple(NamedTuple):
    """One image: the target, the base model's prediction and the degraded input, all of one size, in code values."""

    target: CodeValues
    base: CodeValues
    degraded: CodeValues


class Examples:
    """The images of a training set.

    Parameters
    ----------
    dataset_parts, base_parts : list of str
        Parts of the dataset, and of the base model's predictions or of fused images.

    Raises
    ------
    InputError
        No inputs, or stores that do not belong together.
    """

    def __init__(self, dataset_parts: Sequence[str], base_parts: Sequence[str]):
        self.parts = []
        for paths in zip(dataset_parts, base_parts, strict=True):
            part, base = map(reading.Part, paths)
            reading.aligned([part, base])
            if part.input(0) is None:
                raise InputError(
                    f"{part.path}: holds no degraded inputs, which a refiner needs; give the dataset `input` or "
                    "`degradation`"
                )
            self.parts.append((part, base))
        self.places = {
            name: (i, j) for i, (part, _) in enumerate(self.parts) for j, name in enumerate(part.names)
        }
        self.sizes = {
            name: shape[:2]
            for part, _ in self.parts
            for name, shape in zip(part.names, part.shapes, strict=True)
        }
        self.digests = {
            name: str(digest)
            for part, _ in self.parts
            for name, digest in zip(part.names, part.column("digest"), strict=True)
        }
        self.dataset = str(self.parts[0][0].attributes["dataset"])
        self.get = lru_cache(HELD)(self._get)

    def _get(self, name: str) -> Triple:
        index, number = self.places[name]
        part, base = self.parts[index]
        degraded = part.input(number)
        assert degraded is not None
        return Triple(part.image(name), base.image(name), enlarged(degraded, part.attributes["scale"]))

    @property
    def white(self) -> int:
        """The code value of white."""
        return depth.white(self.parts[0][0].bits)

    def digest(self) -> str:
        """Return a digest of all images to learn from."""
        columns = [
            store.column(name)
            for part, base in self.parts
            for store, name in ((part, "digest"), (part, "input_digest"), (base, "digest"))
        ]
        text = "\n".join(str(digest) for column in columns for digest in column)
        return hashlib.sha256(text.encode()).hexdigest()


def train(
    output: Path,
    checkpoint: Path,
    curve: Path,
    examples: Examples,
    prior: dict[str, Any],
    prior_files: Sequence[str],
    architecture: dict[str, Any],
    course: Training,
    perceptual: str | None,
    progress: Progress,
    device: str = "auto",
    restart: bool = False,
) -> None:
    """Train a refiner, resuming from the checkpoint where there is one.

    Parameters
    ----------
    output : Path
        Where the moving average of the weights goes, as ``.safetensors``.
    checkpoint, curve : Path
        See `training.train`.
    examples : Examples
    prior : dict
        ``kind`` and ``spatial`` of the prior.
    prior_files : list of str
        Files of its network.
    architecture : dict
        ``without`` and ``plain`` of `refiner.Architecture`.
    course : Training
    perceptual : str or None
        File of a network whose features are compared, too.
    progress : callable
    device : "auto", "cpu" or "cuda"
    restart : bool
        See `training.train`.

    Raises
    ------
    InputError
        Too few or too small images; a network that cannot be read; a checkpoint of another training.
    """
    device = devices.for_network(device)
    guide = features.Prior(prior, prior_files, device)
    made = Architecture(guide.channels, tuple(architecture["without"]), architecture["plain"])
    compared = features.Penultimate(perceptual, device) if perceptual else None
    kept = kept_back(list(examples.places), course.validation)
    for name, size in examples.sizes.items():
        check_size(f"image {name!r} of {examples.dataset}", size, course.patch)
    learned = sorted(examples.places.keys() - set(kept))
    identity = {
        "architecture": asdict(made) | {"without": list(made.without)},
        "prior": guide.identity,
        "examples": examples.digest(),
        "perceptual": digests.sha256(perceptual) if perceptual else None,
        **training.fixed(course, __name__, restart),
    }
    network, rows = training.train(
        made.make,
        course,
        _objective(examples, learned, course, guide, compared, device),
        lambda network: psnr(network, guide, examples, kept, device),
        identity,
        checkpoint,
        curve,
        progress,
        device,
        restart,
    )
    facts = {
        "prior": guide.identity,
        "training": asdict(course),
        "dataset": examples.dataset,
        "images": list(examples.digests),
        "image_digests": list(examples.digests.values()),
        "validation": kept,
        "psnr": max(row.psnr for row in rows) if course.patience else rows[-1].psnr,
    }
    refiner.write(output, network, made, facts)


def _objective(
    examples: Examples,
    learned: Sequence[str],
    course: Training,
    guide: features.Prior,
    compared: features.Penultimate | None,
    device: str,
) -> training.Objective:
    """Return the loss of a step: on its patches, with the features of a network where one is given."""

    def objective(network: Callable[..., Tensor], step: int) -> Tensor:
        target, base, degraded, place = (
            value.to(device) for value in patches(examples, learned, course, step)
        )
        refined = network(base, degraded, place, guide(degraded))
        loss = charbonnier(refined, target)
        if compared is not None:
            loss = loss + PERCEPTUAL * functional.l1_loss(compared(refined), compared(target))
        return loss

    return objective


def charbonnier(x: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Return the mean of √((x − y)² + ε²) (Charbonnier 1994), ε = 1e-3."""
    return torch.sqrt((x - y) ** 2 + CHARBONNIER**2).mean()


def patches(
    examples: Examples, names: Sequence[str], course: Training, step: int
) -> tuple[Float[Tensor, "image channel patch patch"], ...]:
    """Draw patches of target, base, input and position, every pixel of an image equally likely.

    The image is rotated and mirrored, then cut: positions are those in the rotated image.
    """
    random = np.random.default_rng([course.seed, step])
    pixels = np.array([np.prod(examples.sizes[name]) for name in names], np.float64)
    side, drawn = course.patch, []
    for _ in range(course.batch):
        triple = examples.get(names[random.choice(len(names), p=pixels / pixels.sum())])
        turns, mirrored = int(random.integers(4)), bool(random.integers(2))
        turned = [np.rot90(image, turns)[:, :: -1 if mirrored else 1] for image in triple]
        height, width = turned[0].shape[:2]
        top, left = (int(random.integers(length - side + 1)) for length in (height, width))
        cut = np.s_[top : top + side, left : left + side]
        drawn.append(
            [*(picture(image[cut], examples.white) for image in turned), position(height, width)[cut]]
        )
    return tuple(_tensor(np.stack(images)) for images in zip(*drawn, strict=True))


def _tensor(images: Float32[np.ndarray, "image height width channel"]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def psnr(
    network: nn.Module, guide: features.Prior, examples: Examples, names: Sequence[str], device: str
) -> float:
    """Return the mean PSNR in dB of the refined middle of images, neither rounded nor clipped."""
    values = []
    for name in names:
        triple = examples.get(name)
        height, width = triple.target.shape[:2]
        window = tuple(
            slice(start := max((side - VALIDATED) // 2, 0), start + min(side, VALIDATED) // 4 * 4)
            for side in (height, width)
        )
        target, base, degraded, place = (
            _tensor(image[None])
            for image in (
                *(picture(image[window], examples.white) for image in triple),
                position(height, width)[window],
            )
        )
        base, degraded, place = base.to(device), degraded.to(device), place.to(device)
        with torch.inference_mode():
            refined = network(base, degraded, place, guide(degraded)).cpu()
        y, x = (255 * image[0].permute(1, 2, 0).numpy() for image in (target, refined))
        values.append(similarity.psnr(y, x))
    return float(np.mean(values))
