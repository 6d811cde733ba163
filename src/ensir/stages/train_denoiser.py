"""Train denoiser: photographs → the weights of a denoising autoencoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensir.networks import dae_training
from ensir.storage.atomic import locked, vouch
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from ensir.storage.progress import Progress


def train_denoiser(
    place: Place,
    checkpoint: str,
    curve: Place,
    photographs: list[str],
    settings: dict[str, Any],
    device: str,
    progress: Progress,
) -> None:
    """Train a denoising autoencoder, or resume where a job with the same settings and code was stopped.

    Parameters
    ----------
    place : Place
        Where the weights go; locked against other processes that train them.
    checkpoint : str
        File of the state between two steps.
    curve : Place
        Where loss and PSNR go, step by step.
    photographs : list of str
        8-bit RGB images to learn from.
    settings : dict
        The section of the denoiser, as plain data.
    device : "auto", "cpu" or "cuda"
    progress : callable
    """
    with locked(place) as slug:
        dae_training.train(
            place.path,
            checkpoint=Path(checkpoint),
            curve=curve.path,
            photographs=photographs,
            course=dae_training.Training.of(settings),
            progress=progress,
            device=device,
            restart=True,
        )
        for made in (place, curve):
            vouch(made, slug)
