"""`ensir bundle`: base models and their table as one program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ensir.cli.folders import named
from ensir.cli.outputs import check_outputs
from ensir.errors import InputError


def bundle(
    lut: Annotated[
        Path,
        typer.Option(
            exists=True, metavar="FILE", help="a LUT, or a fit of local filters or of what best chose"
        ),
    ],
    models: Annotated[
        list[str],
        typer.Option("--model", metavar="NAME=FILE", help="a base model, .onnx or .pt2, of any size; repeat"),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="the program: .onnx, or .pt2 where all base models are .pt2",
        ),
    ],
    value_ranges: Annotated[
        list[str],
        typer.Option(
            "--value-range", metavar="NAME=BLACK,WHITE", help="of a model that does not take 0 to 1; repeat"
        ),
    ] = [],  # noqa: B006
    dtype: Annotated[
        Literal["uint8", "uint16", "float32"] | None,
        typer.Option(
            help="of the picture and the fused one: code values, rounded and clipped; or floats, 0 to 1, neither "
            "(default: uint8, or uint16 where the LUT is of 16 bits)"
        ),
    ] = None,
) -> None:
    """Join base models and their LUT into one program: a picture in, the fused picture out, of any size.

    Example: ensir bundle --lut my.lut --model IMDN=imdn.onnx --model CRAFT=craft.onnx -o both.onnx
    """
    files = {name: Path(file) for name, file in named(models, "--model", "NAME=FILE").items()}
    ranges = {
        name: _range(name, text)
        for name, text in named(value_ranges, "--value-range", "NAME=BLACK,WHITE").items()
    }
    inputs = {"--lut": lut, **{f"--model {name}": file for name, file in files.items()}}
    check_outputs({"--output": output}, inputs)
    from ensir.deploy.bundle import bundle as joined
    from ensir.library.table import Lut

    table = Lut.load(lut)
    if stray := sorted(ranges.keys() - files):
        raise InputError(f"--value-range {stray[0]}: no --model has this name")
    dtype = dtype or ("uint8" if table.bits == 8 else "uint16")
    joined(table.to_torch(), {name: str(file) for name, file in files.items()}, output, dtype, ranges)
    typer.echo(
        f"{output}: picture (1, channel, height, width) in {dtype} → {', '.join(table.models)} → {table.method} → fused"
    )


def _range(name: str, text: str) -> tuple[float, float]:
    """Return black and white."""
    try:
        black, white = map(float, text.split(","))
    except ValueError:
        black = white = 0.0
    if not black < white:
        raise InputError(f"--value-range {name}={text}: write black and white, such as {name}=0,255")
    return black, white
