"""`ensir dae`: train denoising autoencoders, and measure them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ensir.cli.outputs import check_outputs
from ensir.cli.progress import shown
from ensir.errors import InputError
from ensir.execution.stopping import keeping
from ensir.networks.sections import LEARNING_RATE

app = typer.Typer(help="Train denoising autoencoders, and measure them.", no_args_is_help=True)


@app.command()
def train(
    images: Annotated[str, typer.Argument(metavar="GLOB", help="photographs, 8-bit RGB, e.g. 'train/*.jpg'")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="SAFETENSORS", help="the file to write")],
    sigma: Annotated[float, typer.Option(min=0.1, help="of the noise, in levels of 0–255")],
    steps: Annotated[int, typer.Option(min=1, help="in all; with more steps, a finished training continues")],
    patch: Annotated[int, typer.Option(min=16, help="side of a patch in pixels")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="patches of a step")] = 8,
    learning_rate: Annotated[float, typer.Option(min=0, help="of Adam")] = LEARNING_RATE,
    validation: Annotated[int, typer.Option(min=1, help="images held out to measure the PSNR")] = 8,
    precision: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="of the arithmetic; weights stay float32")
    ] = "float32",
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="where it is trained")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="of the first weights, the patches and the noise")] = 0,
) -> None:
    """Train a DAE. Next to the output go a checkpoint, from which an interrupted run resumes, and a curve as CSV.

    Example: ensir dae train 'photos/*.jpg' --sigma 25 --steps 20000 -o dae_sigma25.safetensors
    """
    from ensir.images import listing
    from ensir.networks import dae_training

    training = dae_training.Training(
        sigma=sigma,
        steps=steps,
        patch=patch,
        batch=batch,
        learning_rate=learning_rate,
        validation=validation,
        precision=precision,
        seed=seed,
    )
    photographs = list(listing.find(images, "GLOB").values())
    checkpoint, curve = output.with_suffix(".checkpoint"), output.with_suffix(".csv")
    check_outputs(
        {"--output": output, "the checkpoint": checkpoint, "the curve": curve},
        {f"GLOB's {path}": path for path in photographs},
    )
    with keeping(checkpoint), shown(f"train a DAE for σ = {sigma:g}") as progress:
        dae_training.train(output, checkpoint, curve, photographs, training, progress, device)


@app.command()
def measure(
    weights: Annotated[list[str], typer.Argument(metavar="WEIGHTS...", help="sigma11, sigma25, or files")],
    images: Annotated[
        str, typer.Option(metavar="GLOB", help="8-bit images; the middle 256×256 of each counts")
    ],
    sigma: Annotated[float, typer.Option(min=0.1, help="of the noise, in levels of 0–255")],
) -> None:
    """Print the mean PSNR of images that networks have denoised.

    Example: ensir dae measure sigma25 mine.safetensors --images 'Set14/*.png' --sigma 25
    """
    import numpy as np

    from ensir.images import image_files, listing
    from ensir.networks import dae, dae_training
    from ensir.networks.shipped import SHIPPED_DAES

    coloured = {}
    for name, path in listing.find(images, "--images").items():
        image = image_files.read(path)
        if image.dtype != np.uint8:
            raise InputError(f"{path}: holds {image.dtype} values; convert it to 8 bits")
        coloured[name] = np.repeat(image, 3 // image.shape[2], axis=2)
    for name in weights:
        network = dae.read(SHIPPED_DAES.get(name, name)).network
        typer.echo(f"{name}: {dae_training.psnr(network, coloured, sigma):.2f} dB")
