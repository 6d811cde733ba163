"""`ensir lut`: show LUTs, and exchange them with the published code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from ensir import registry
from ensir.cells import lut
from ensir.cells.lut import LUT
from ensir.cli.outputs import check_outputs
from ensir.errors import InputError
from ensir.scoring import leaving_out
from ensir.storage import fits
from ensir.storage.fits import Fit

app = typer.Typer(help="Show LUTs, and exchange them with the published code.", no_args_is_help=True)
Made = Annotated[
    Path,
    typer.Argument(
        exists=True,
        metavar="FILE",
        help="a LUT or a fit, made by `ensir fit`, the workflow or `ensir lut import`",
    ),
]


def describe(path: str) -> str:
    """Return what a LUT or a fit holds, one fact per line."""
    facts = _of_fit(fits.load(path)) if fits.is_fit(path) else _of_lut(lut.load(path))
    return "\n".join(f"{name + ':':26} {fact}" for name, fact in facts.items())


def _of_fit(fit: Fit) -> dict[str, str]:
    settings = fit.attributes["settings"]
    kind = settings.get("kind", "")
    module = registry.module("methods", kind) if kind in registry.kinds("methods") else None
    summary = getattr(module, "summary", None)
    return {
        "models": ", ".join(fit.models),
        "bits": str(fit.bits),
        "method": kind,
        "options": json.dumps({k: v for k, v in settings.items() if k != "kind"}, sort_keys=True),
        "reference": str(fit.attributes["reference"]),
        "reference images": str(len(fit.reference_images)),
        **(summary(fit) if summary else {}),
    }


def _of_lut(table: LUT) -> dict[str, str]:
    from ensir.report.tables import LUT_COLUMNS, lut_row

    recorded = [name for name in ("method", "options", "settled", "reference") if name in table.attributes]
    facts: dict[str, str] = {
        "models": ", ".join(table.models),
        "bits": str(table.bits),
        "channels": "joint" if table.channels == 1 else f"{table.channels}, separate",
        **{name: str(table.attributes[name]) for name in recorded},
        "reference images": str(len(table.reference_images) or "unknown"),
    }
    facts |= {} if table.gain is None else {"gain over the average": leaving_out.said(table.gain)}
    heads = [f"{group}, {head}" for group, heads in LUT_COLUMNS for head in heads]
    if table.count.any():  # nothing is known about the cells of an imported LUT
        row = dict(zip(heads, lut_row(table), strict=True))
        iterated = table.iterations.any()  # EM does; least squares does not
        facts |= {
            head: cell.text for head, cell in row.items() if iterated or not head.startswith("EM steps")
        }
    else:
        facts |= {"Bins, width": str(table.bin_width), "Cells, all": f"{table.cells:,}"}
    return facts


@app.command()
def show(path: Made) -> None:
    """Print what a LUT, or a fit, holds and where it comes from.

    Example: ensir lut show results/luts/sr_x4/ensir.lut
    """
    typer.echo(describe(str(path)))


@app.command("import")
def import_(
    path: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, metavar="FILE.pth", help="weights of the published code"),
    ],
    models: Annotated[
        list[str],
        typer.Option(
            "--model", metavar="NAME", help="names of the models, in the order of the weights; repeat"
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="LUT", help="the file to write")],
) -> None:
    """Make a LUT from the weights of the published code; nothing in the file is executed.

    Example: ensir lut import weight.pth --model MPRNet --model Restormer --model DGUNet -o deblur.lut
    """
    from ensir.cells import authors_format

    check_outputs({"--output": output}, {"FILE.pth": path})
    table = authors_format.read(path, models)
    lut.save(table, output)
    typer.echo(describe(str(output)))


@app.command()
def export(
    path: Made,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.pth",
            help="weights for the published code: every bin set, empty or not",
        ),
    ] = None,
    single: Annotated[
        bool,
        typer.Option("--single", help="-o: round the weights to float32, which the published code needs"),
    ] = False,
    onnx: Annotated[
        Path | None, typer.Option(metavar="FILE.onnx", help="a program of plain operators for ONNX Runtime")
    ] = None,
    pt2: Annotated[
        Path | None, typer.Option(metavar="FILE.pt2", help="a program of torch.export for PyTorch")
    ] = None,
    dtype: Annotated[
        Literal["float32", "uint8", "uint16"],
        typer.Option(help="--onnx, --pt2: dtype of the predictions, in code values (0–255, or 0–65535)"),
    ] = "float32",
) -> None:
    """Write a LUT as weights for the published code; or a LUT or local filters as a program that fuses predictions.

    Examples: ensir lut export my.lut --single -o weight.pth; ensir lut export my.lut --onnx my.onnx
    """
    programs = {"--onnx": onnx, "--pt2": pt2}
    if not (output or onnx or pt2):
        raise InputError("nothing to write; name a file: -o FILE.pth, --onnx FILE.onnx, or --pt2 FILE.pt2")
    check_outputs({"--output": output, **programs}, {"LUT": path})
    for option, file in programs.items():
        if file and file.suffix != f".{option[2:]}":
            raise InputError(
                f"{option} {file}: ends in {file.suffix or 'nothing'}; name it {file.stem}.{option[2:]}"
            )
    if output:
        _write_weights(path, output, single)
    for file in filter(None, programs.values()):
        _write_program(path, file, dtype)


def _write_weights(path: Path, output: Path, single: bool) -> None:
    """Write weights for the published code."""
    from ensir.cells import authors_format

    table = lut.load(str(path))
    written = authors_format.write(table, output, single)
    typer.echo(
        f"{output}: {table.bins}^{len(table.models)} bin sets in {written}, models {', '.join(table.models)}"
    )
    if written == "float64":
        typer.echo("exact; the published code reads float32 only: add --single", err=True)


def _write_program(path: Path, output: Path, dtype: str) -> None:
    """Write a program."""
    from ensir.deploy import programs
    from ensir.library.table import Lut

    table = Lut.load(path)
    programs.save(programs.table_program(table.to_torch(), dtype), output, ("x", "fused"))
    typer.echo(f"{output}: x ({', '.join(table.models)}; channel, height, width) in {dtype} → fused, float32")
