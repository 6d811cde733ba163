"""`ensir lut`: look at LUTs, exchange them with the published code."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from ensir.cells import lut
from ensir.cells.lut import LUT
from ensir.cli.outputs import check_outputs
from ensir.storage.atomic import replaced
from ensir.storage.layout import Place

app = typer.Typer(help="Look at LUTs, exchange them with the published code.", no_args_is_help=True)
Lut = Annotated[
    Path,
    typer.Argument(
        exists=True,
        dir_okay=False,
        metavar="LUT",
        help="made by `ensir fit`, the workflow or `ensir lut import`",
    ),
]


def describe(found: LUT) -> str:
    """Return what a LUT holds, one fact per line."""
    from ensir.report.tables import LUT_COLUMNS, lut_row

    told = found.attributes
    facts: dict[str, str] = {
        "models": ", ".join(found.models),
        "bits": str(found.bits),
        "channels": "joint" if found.channels == 1 else f"{found.channels}, separate",
        **{name: str(told[name]) for name in ("method", "options", "settled", "reference") if name in told},
        "reference images": str(len(found.reference_images) or "unknown"),
    }
    heads = [f"{group}, {head}" for group, heads in LUT_COLUMNS for head in heads]
    if found.count.any():  # nothing is known of the cells of an imported LUT
        facts |= {head: cell.text for head, cell in zip(heads, lut_row(found), strict=True)}
    else:
        facts |= {"Bins, width": str(found.bin_width), "Cells, all": f"{found.cells:,}"}
    return "\n".join(f"{name + ':':26} {fact}" for name, fact in facts.items())


@app.command()
def show(path: Lut) -> None:
    """Print what a LUT holds and where it comes from.

    Example: ensir lut show results/luts/sr_x4/ensir.lut
    """
    typer.echo(describe(lut.load(str(path))))


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
    found = authors_format.read(path, models)
    with tempfile.TemporaryDirectory(prefix="ensir-") as folder, replaced(output) as partial:
        lut.save(found, Place.beside(Path(folder) / output.name))
        shutil.copyfile(Path(folder) / output.name, partial)
    typer.echo(describe(found))


@app.command()
def export(
    path: Lut,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE.pth", help="the file to write")],
    single: Annotated[
        bool, typer.Option("--single", help="round the weights to float32, which the published code needs")
    ] = False,
) -> None:
    """Write a LUT as weights for the published code: every bin set, empty or not.

    Example: ensir lut export my.lut --single -o weight.pth
    """
    from ensir.cells import authors_format

    check_outputs({"--output": output}, {"LUT": path})
    found = lut.load(str(path))
    written = authors_format.write(found, output, single)
    typer.echo(
        f"{output}: {found.bins}^{len(found.models)} bin sets in {written}, models {', '.join(found.models)}"
    )
    if written == "float64":
        typer.echo("exact; the published code reads float32 only: add --single", err=True)
