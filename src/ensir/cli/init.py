"""`ensir init`: a first configuration for folders of images."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from ensir.cli.outputs import check_outputs
from ensir.errors import InputError


def init(
    folders: Annotated[
        list[str],
        typer.Argument(metavar="FOLDER...", help="where targets, inputs and predictions are, or above"),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="the configuration to write")
    ] = Path("mine.yaml"),
    target: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="name of the folders that hold the targets, where it is not found"),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(metavar="SET", help="the set that methods are fitted to")
    ] = None,
) -> None:
    """Look at folders of images; write a configuration for them, and print what was found and what is not certain.

    Example: ensir init images/ && ensir check mine.yaml
    """
    from ensir.planning import check, file_names, first_configuration
    from ensir.planning.proposal import propose

    for folder in folders:
        if not os.path.isdir(folder):
            raise InputError(f"{folder}: no such folder; fix the path")
    if output.exists():
        raise InputError(
            f"--output {output}: exists, and is not overwritten; give another name, or remove it"
        )
    check_outputs({"--output": output}, {})
    proposal = propose(folders, target, reference)
    proposal.experiment = file_names.as_name(output.stem)
    options = [
        word
        for option, value in (("--target", target), ("--reference", reference))
        if value
        for word in (option, value)
    ]
    text = first_configuration.as_yaml(proposal, shlex.join(["ensir", "init", *folders, *options]))
    with open(output, "x", encoding="utf-8") as file:
        file.write(text)
    typer.echo(first_configuration.table(proposal))
    try:
        check.check(str(output))
    except InputError as error:
        raise InputError(f"{output} is written, but cannot run yet:\n{error}") from None
    typer.echo(f"{output}: written; `ensir check {output}` finds no mistake in it")
