"""`ensir restore`: one image by a mean-shift restorer, with a trace of its descent."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ensir.cli.outputs import check_outputs
from ensir.cli.progress import shown
from ensir.errors import InputError
from ensir.storage.layout import Place

if TYPE_CHECKING:
    import numpy as np

    from ensir.networks.descent import Row
    from ensir.networks.observation import Observation

Weights = Annotated[
    str | None,
    typer.Option(metavar="WEIGHTS", help="sigma11, sigma25 (ship with the package) or a .safetensors file"),
]
Kernel = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="blur kernel: .mat, .npy, or an image; the image was convolved with it"
    ),
]
Trace = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="squared residual, squared mean shift, σ and PSNR of every step"),
]


def restore(
    image: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, metavar="IMAGE", help="the degraded image")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PNG", help="the file to write")],
    method: Annotated[Literal["dmsp", "daep"], typer.Option(help="which restorer")] = "dmsp",
    dae: Weights = None,
    sigma: Annotated[float, typer.Option(min=0, help="of the noise, in levels of 0–255; 0: unknown")] = 0.0,
    kernel: Kernel = None,
    number: Annotated[int, typer.Option(min=1, help="which kernel of a .mat file")] = 1,
    mirrored: Annotated[bool, typer.Option("--mirrored", help="the kernel was correlated instead")] = False,
    kernel_size: Annotated[
        int | None, typer.Option(min=3, help="dmsp, experimental: estimate a kernel of this odd size")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="image that is black where pixels are missing"),
    ] = None,
    scale: Annotated[int, typer.Option(min=1, help="daep: factor by which to enlarge")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="of the descent")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="of the noise of the steps")] = 0,
    precision: Annotated[
        Literal["float32", "bfloat16"], typer.Option(help="of the network's arithmetic")
    ] = "float32",
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="where it runs")] = "auto",
    target: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="ground truth; adds the PSNR to the trace"),
    ] = None,
    trace: Trace = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="the same as a figure: .svg, .pdf or .png")
    ] = None,
) -> None:
    """Deblur, enlarge, fill in or denoise an image. An interrupted run resumes where it stopped.

    Noise of unknown strength (no --sigma) is estimated by dmsp at every step.

    Example: ensir restore blurred.png --kernel kernels.mat --sigma 2.55 --target sharp.png --trace trace.csv -o out.png
    """
    from ensir import registry
    from ensir.images import image_files
    from ensir.images.depth import to_integers
    from ensir.networks.observation import observe
    from ensir.networks.shipped import SHIPPED_DAES
    from ensir.restorers import Degraded

    _check_options(output, plot, sigma, kernel, kernel_size, mask, scale)
    check_outputs(
        {"--output": output, "--trace": trace, "--plot": plot},
        {"IMAGE": image, "--target": target, "--mask": mask, "--kernel": kernel}
        | {"--dae": SHIPPED_DAES.get(dae, dae) if dae else None},
    )
    degraded = image_files.read(str(image))
    options = {"steps": steps, "seed": seed, "precision": precision}
    settings = _settings(method, dae, sigma, kernel, kernel_size, options)
    settings |= {"device": device, "unfinished": str(output.absolute().parent / ".partial")}
    known = _degradation(sigma, kernel, number, mirrored, scale)
    shape = (degraded.shape[0] * scale, degraded.shape[1] * scale, degraded.shape[2])
    given = Degraded(image.stem, degraded, shape, degraded.dtype.itemsize * 8, scale, known)
    restorer = registry.module("restorers", method).Restorer(settings, [])
    observation = _masked(restorer.given(observe(given, restorer.device)), mask, image)
    truth = _truth(target, shape)
    state = restorer.state(observation, truth)
    with shown(f"{method} {image.name}") as progress:
        descent = restorer.descend(observation, state, truth, progress)
    restored = restorer.finish(observation, descent, degraded)
    image_files.write(output, to_integers(restored, degraded.dtype, str(image)))
    _write_trace(descent.rows, trace, plot)
    if state:
        state.remove()
    last = descent.rows[-1]
    psnr = "" if last.psnr is None else f", PSNR {last.psnr:.2f} dB"
    typer.echo(
        f"{output}: {len(descent.rows)} steps, residual {last.data**0.5:.3g}, σ {last.sigma:.3g}{psnr}"
    )


# ── what is checked ──────────────────────────────────────────────────────────────────────────────────────────


def _check_options(
    output: Path,
    plot: Path | None,
    sigma: float,
    kernel: str | None,
    kernel_size: int | None,
    mask: Path | None,
    scale: int,
) -> None:
    """Raise an InputError for options that are wrong, or that cannot be combined."""
    if kernel_size and kernel_size % 2 == 0:
        raise InputError(f"--kernel-size {kernel_size}: must be odd")
    if plot and plot.suffix not in (".svg", ".pdf", ".png"):
        raise InputError(f"--plot {plot}: must end in .svg, .pdf or .png")
    if output.suffix.lower() != ".png":
        raise InputError(f"--output {output}: must end in .png")
    for option, beside in (
        ("--scale", {"--kernel": kernel, "--mask": mask, "--sigma": sigma} if scale > 1 else {}),
        ("--kernel-size", {"--kernel": kernel, "--mask": mask} if kernel_size else {}),
    ):
        if others := [other for other, value in beside.items() if value]:
            raise InputError(f"{option}: not together with {' and '.join(others)}; remove one of them")


# ── what the restorer knows ──────────────────────────────────────────────────────────────────────────────────


def _settings(
    method: str,
    dae: str | None,
    sigma: float,
    kernel: str | None,
    kernel_size: int | None,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Return the section of a restorer, as plain data, with the file of its weights."""
    from ensir.networks.shipped import SHIPPED_DAES
    from ensir.restorers.daep import DaepModel
    from ensir.restorers.dmsp import DmspModel

    model: DaepModel | DmspModel
    if method == "dmsp":
        model = DmspModel(kind="dmsp", noise_blind=sigma == 0, kernel_size=kernel_size, **options)
    elif kernel_size or (sigma == 0 and kernel):
        raise InputError("--method daep: has to know the noise and the kernel; give --sigma and --kernel")
    else:
        model = DaepModel(kind="daep", **options)
    weights = dae or model.dae
    return model.model_dump() | {"path": SHIPPED_DAES.get(weights, weights)}


def _degradation(sigma: float, kernel: str | None, number: int, mirrored: bool, scale: int) -> dict[str, Any]:
    """Return how the image was degraded, as plain data."""
    from ensir.images import degradation_files

    known: dict[str, Any] = {"kind": "downscale"} if scale > 1 else {"kind": "noise", "sigma": sigma}
    if kernel:
        values = degradation_files.read_kernel(kernel, number, mirrored)
        known |= {"kind": "blur", "values": values.tolist()}
    return known


def _masked(observation: Observation, mask: Path | None, image: Path) -> Observation:
    """Return an observation without the pixels that a mask marks as missing."""
    import torch

    from ensir.images import degradation_files

    if mask is None:
        return observation
    known = degradation_files.read_mask(str(mask))
    if known.shape != observation.size:
        raise InputError(f"{mask}: is not of the size of {image}")
    return observation.masked(torch.from_numpy(known))


def _truth(target: Path | None, shape: tuple[int, int, int]) -> np.ndarray | None:
    """Return the ground truth, in 0–255."""

    from ensir.images import image_files
    from ensir.images.depth import unit

    if target is None:
        return None
    read = image_files.read(str(target))
    if read.shape != shape:
        raise InputError(
            f"{target}: is {read.shape[1]}×{read.shape[0]} with {read.shape[2]} channels, the restored image "
            f"{shape[1]}×{shape[0]} with {shape[2]}"
        )
    return read / unit(8 * read.itemsize)


# ── what is written ──────────────────────────────────────────────────────────────────────────────────────────


def _write_trace(rows: list[Row], trace: Path | None, plot: Path | None) -> None:
    """Write the trace of a descent as CSV, and as a figure, where wanted."""
    from ensir.drawing import style
    from ensir.networks.descent import write_trace
    from ensir.report import descent as figure

    if trace:
        write_trace(trace, rows)
    if plot:
        style.write(figure.drawing([astuple(row) for row in rows]), [Place.beside(plot)])
