"""`ensir ptgrm`: train refiners on the stores of a run, and show what a file holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ensir.cli.outputs import check_outputs
from ensir.cli.progress import shown
from ensir.errors import InputError
from ensir.execution.stopping import keeping
from ensir.networks.sections import CLIP_FILES, LEARNING_RATE

app = typer.Typer(help="Train refiners (PTG-RM) on the stores of a run, and show them.", no_args_is_help=True)
Base = Annotated[
    Path,
    typer.Argument(
        metavar="BASE",
        help="what is refined: predictions or fused images, e.g. results/predictions/train/IMDN.zarr",
    ),
]
Prior = Annotated[
    str,
    typer.Option(
        metavar="NETWORK",
        help="what guides it: none, sigma11, sigma25, a checkpoint, or the folder of a CLIP",
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(metavar="COMPONENT", help="leave out: sve, channel, spatial or position"),
]


@app.command()
def train(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="e.g. results/datasets/train.zarr")],
    base: Base,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="SAFETENSORS", help="the file to write")],
    steps: Annotated[int, typer.Option(min=1, help="in all; with more steps, a finished training continues")],
    prior: Prior = "sigma25",
    spatial: Annotated[
        bool | None,
        typer.Option("--2d/--1d", help="features of pixels or of the image [default: 2-D, of CLIP 1-D]"),
    ] = None,
    without: Without = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="a plain network of the same size; needs --prior none")
    ] = False,
    patch: Annotated[int, typer.Option(min=16, help="side of a patch in pixels, a multiple of 4")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="patches of a step")] = 8,
    learning_rate: Annotated[float, typer.Option(min=0, help="of Adam")] = LEARNING_RATE,
    validation: Annotated[int, typer.Option(min=1, help="images held out to measure the PSNR")] = 8,
    patience: Annotated[
        int | None, typer.Option(min=1, help="measurements without a better PSNR after which it stops")
    ] = None,
    perceptual: Annotated[
        str | None,
        typer.Option(metavar="NETWORK", help="sigma11, sigma25 or a checkpoint: compare its features, too"),
    ] = None,
    precision: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="of the arithmetic; weights stay float32")
    ] = "float32",
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="where it is trained")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="of the first weights and the patches")] = 0,
) -> None:
    """Train a refiner. Next to the output go a checkpoint, from which an interrupted run resumes, and a curve as CSV.

    Example: ensir ptgrm train datasets/train.zarr predictions/train/IMDN.zarr --steps 20000 -o mine.safetensors
    """
    from ensir.networks import refiner_training
    from ensir.networks.shipped import SHIPPED_DAES

    _check_options(without or [], patch, plain, prior)
    guide, files = _guide(prior, spatial)
    course = refiner_training.Training(
        steps=steps,
        patch=patch,
        batch=batch,
        learning_rate=learning_rate,
        validation=validation,
        patience=patience,
        precision=precision,
        seed=seed,
    )
    checkpoint, curve = output.with_suffix(".checkpoint"), output.with_suffix(".csv")
    compared = SHIPPED_DAES.get(perceptual, perceptual) if perceptual else None
    check_outputs(
        {"--output": output, "the checkpoint": checkpoint, "the curve": curve},
        {"DATASET": dataset, "BASE": base, "--perceptual": compared}
        | {f"--prior's {file}": file for file in files},
    )
    names = parts(dataset)
    examples = refiner_training.Examples([str(dataset / n) for n in names], [str(base / n) for n in names])
    with keeping(checkpoint), shown(f"train a refiner of {base.stem}") as progress:
        refiner_training.train(
            output,
            checkpoint,
            curve,
            examples,
            guide,
            files,
            {"without": without or [], "plain": plain},
            course,
            compared,
            progress,
            device,
        )


@app.command()
def show(path: Annotated[Path, typer.Argument(metavar="SAFETENSORS", help="a refiner")]) -> None:
    """Print what a refiner is and how it was trained, as JSON."""
    from ensir.networks import refiner

    trained = refiner.read(path)
    parameters = sum(value.numel() for value in trained.network.parameters())
    facts = {name: value for name, value in trained.facts.items() if name != "image_digests"}
    typer.echo(json.dumps({"parameters": parameters, **facts}, indent=2, ensure_ascii=False))


def _check_options(without: list[str], patch: int, plain: bool, prior: str) -> None:
    """Raise an InputError for options that are wrong, or that cannot be combined."""
    from ensir.networks.refiner import COMPONENTS

    for component in set(without) - set(COMPONENTS):
        raise InputError(f"--without {component}: must be one of {', '.join(COMPONENTS)}")
    if patch % 4:
        raise InputError(f"--patch {patch}: must be a multiple of 4")
    if plain and prior != "none":
        raise InputError(f"--prior {prior}: a plain network uses none; give --prior none")


def _guide(prior: str, spatial: bool | None) -> tuple[dict[str, Any], list[str]]:
    """Return what guides a refiner, as the section `prior` of a configuration, and the files of its network."""
    from ensir.networks.shipped import SHIPPED_DAES

    if prior == "none":
        return {"kind": "none"}, []
    if Path(prior).is_dir():
        files = [str(Path(prior) / name) for name in CLIP_FILES]
        return {"kind": "clip", "spatial": bool(spatial)}, files
    return {"kind": "restoration", "spatial": spatial is not False}, [SHIPPED_DAES.get(prior, prior)]


def parts(store: Path) -> list[str]:
    """Return the names of the parts of a store on disk, sorted."""
    names = sorted(path.parent.name for path in store.glob("*/zarr.json"))
    if not names:
        raise InputError(f"{store}: holds no parts of a store; give one such as results/datasets/train.zarr")
    return names
