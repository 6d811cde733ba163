"""Train refiner: a training set with what is refined there → the weights of a refiner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensir.networks import refiner_training
from ensir.storage.atomic import locked, vouch
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from ensir.storage.progress import Progress


def train_refiner(
    place: Place,
    checkpoint: str,
    curve: Place,
    dataset_parts: list[str],
    base_parts: list[str],
    prior_files: list[str],
    perceptual: str | None,
    prior: dict[str, Any],
    architecture: dict[str, Any],
    course: dict[str, Any],
    device: str,
    progress: Progress,
) -> None:
    """Train a refiner, or resume where a job with the same settings and code was stopped.

    Parameters
    ----------
    place : Place
        Where the weights go; locked against other processes that train them.
    checkpoint : str
        File of the state between two steps.
    curve : Place
        Where loss and PSNR go, step by step.
    dataset_parts, base_parts : list of str
        All parts of the training set, and of the predictions that are refined there.
    prior_files : list of str
        Files of the network that guides it.
    perceptual : str or None
        File of the network whose features of output and target are compared.
    prior, architecture, course : dict
        How it is guided, built and trained, from its section, as plain data.
    device : "auto", "cpu" or "cuda"
    progress : callable
    """
    with locked(place) as slug:
        refiner_training.train(
            place.path,
            checkpoint=Path(checkpoint),
            curve=curve.path,
            examples=refiner_training.Examples(dataset_parts, base_parts),
            prior_files=prior_files,
            perceptual=perceptual,
            prior=prior,
            architecture=architecture,
            course=refiner_training.Training(**course),
            progress=progress,
            device=device,
            restart=True,
        )
        for made in (place, curve):
            vouch(made, slug)
