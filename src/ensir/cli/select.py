"""`ensir select`: which models are worth running."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ensir import registry
from ensir.cli.outputs import check_outputs
from ensir.cli.progress import shown
from ensir.cli.results import layout_of, results_folder
from ensir.errors import InputError
from ensir.scoring.rows import write_csv
from ensir.storage.atomic import replaced
from ensir.storage.layout import Layout

if TYPE_CHECKING:
    from ensir.scoring.selection import Selection


def select(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="the LUT of a method such as least_squares, in its results folder; or a results folder, or the "
            "configuration that says which: what its run found",
        ),
    ] = Path("results"),
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="DIR", help="folder for tables of every subset, gain and image"),
    ] = None,
) -> None:
    """Print which models are worth running: PSNR of held-out reference images, by every subset of the models.

    Nothing but stored statistics is read. Of a LUT, subsets are compared anew, with the seconds that its models took
    in that results folder.

    Examples: ensir select results; ensir select results/luts/sr_x4/least_squares.lut --csv subsets
    """
    found = _of_lut(path) if path.suffix == ".lut" else _of_results(Path(results_folder(str(path))))
    folders = {name: csv / name if len(found) > 1 else csv for name in found} if csv else {}
    check_outputs({}, {}, folders={"--csv": csv})
    for name, selection in found.items():
        _show(name, selection)
        if name in folders:
            for table, content in selection.tables().items():
                with replaced(folders[name] / f"{table}.csv") as partial:
                    write_csv(partial, *content)
            typer.echo(f"wrote {folders[name]}/{{{','.join(selection.tables())}}}.csv")


def _show(name: str, found: Selection) -> None:
    """Print the models and the subsets of one selection."""
    from rich.markup import escape
    from rich.table import Table

    from ensir.cli.score_table import MARKS, print_table
    from ensir.report.selection import NOTES, models_table, subsets_table

    if not found.subsets:
        typer.echo(f"{name}: the reference is a single image, so that none can be held out")
        return
    images = len({row.image for row in found.images})
    typer.echo(
        f"{name}: PSNR of {images} reference images, each held out in turn; all channels, whole images"
    )
    for content, first in ((subsets_table(found), "models"), (models_table(found), "model")):
        table = Table(first)
        for group, labels in content.groups:
            for label in labels:
                table.add_column(escape(f"{group}\n{label}"), justify="right")
        for _, row, cells in content.rows:
            table.add_row(escape(row), *(MARKS[cell.mark].format(escape(cell.text)) for cell in cells))
        print_table(table)
    for note in NOTES:
        typer.echo(note)


def _of_results(folder: Path) -> dict[str, Selection]:
    """Read what a run found."""
    from ensir.scoring.selection import Selection

    selections = sorted(Path(Layout(str(folder)).root, "selections").glob("*/*/subsets.csv"))
    if not selections:
        raise InputError(
            f"{folder}: holds no selection of models; run a configuration with the method least_squares there, or give "
            "a LUT of that method"
        )
    return {"/".join(file.parts[-3:-1]): Selection.load(str(file.parent)) for file in selections}


def _of_lut(path: Path) -> dict[str, Selection]:
    """Compare the subsets of the models of a LUT by the statistics that it was made from."""
    from ensir.cells import lut
    from ensir.stages.select import selected

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    table = lut.load(str(path))
    settings = json.loads(table.attributes.get("options", "{}"))
    kind = registry.sections("methods").get(settings.get("kind", ""))
    if kind is None or not kind.selects or kind.statistics is None:
        method = f"a LUT of {settings['kind']}" if "kind" in settings else "an imported LUT"
        able = [name for name, section in registry.sections("methods").items() if section.selects]
        raise InputError(
            f"{path}: is {method}; subsets of the models can be compared by {', '.join(able)}; give a LUT of that"
        )
    layout, experiment = layout_of(path), path.absolute().parent.name
    if layout is None:
        raise InputError(
            f"{path}: lies in no results folder, and holds no statistics itself; give a LUT where a run has made it"
        )
    statistics = layout.statistics(experiment, kind.statistics.name)
    if not Path(statistics).is_dir():
        raise InputError(f"{statistics}: is missing, which {path} was made from; run the workflow again")
    reference = table.attributes["reference"]
    predictions = {model: _parts(layout, reference, model) for model in table.models}
    with shown("compare subsets") as progress:
        found = selected(
            layout,
            settings,
            (kind.statistics.module, statistics),
            predictions,
            {},
            os.cpu_count() or 1,
            progress,
        )
    if not found.subsets:
        raise InputError(f"{path}: the reference is a single image, so that none can be held out")
    return {f"{experiment}/{path.stem}": found}


def _parts(layout: Layout, dataset: str, model: str) -> list[str]:
    """Return the parts of a model's predictions."""
    store = layout.predictions(dataset, model)
    return [str(file.parent) for file in sorted(Path(store).glob("*/zarr.json"))]
