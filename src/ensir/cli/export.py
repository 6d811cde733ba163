"""`ensir export`: the images of a test set as one archive, such as the servers of challenges take."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ensir.cli.check import Results
from ensir.cli.outputs import check_outputs
from ensir.cli.progress import shown
from ensir.errors import InputError
from ensir.section import unknown

if TYPE_CHECKING:
    from ensir.planning.plan import Plan
    from ensir.storage.progress import Progress

ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that an archive can hold; no file says when it was made
READABLE = 0o100644 << 16


def export(
    config: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, metavar="CONFIG", help="configuration of a run")
    ],
    archive: Annotated[
        Path, typer.Option("--zip", metavar="FILE", help="the archive: PNG files, named as the inputs")
    ],
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="a method or base model; needed where there are several"),
    ] = None,
    test: Annotated[
        str | None, typer.Option(metavar="NAME", help="a test set; needed where there are several")
    ] = None,
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="an experiment; needed where there are several")
    ] = None,
    results: Results = None,
) -> None:
    """Write the images of a test set, fused by one method, into a zip archive: a challenge's submission.

    The same images make the same bytes, whenever and wherever.

    Example: ensir export mine.yaml --test hidden --method best --zip submission.zip
    """
    from ensir.config import reading
    from ensir.planning.plan import Plan
    from ensir.storage.layout import Layout

    plan = Plan(reading.load(str(config)), None if results is None else Layout(results))
    experiments = plan.config.experiments
    name = _chosen("--experiment", experiment, list(experiments), str(config))
    dataset = _chosen("--test", test, experiments[name].tests, f"experiment {name}")
    methods, models = list(experiments[name].methods), experiments[name].models
    method = _chosen("--method", method, methods, f"experiment {name}", models)
    check_outputs({"--zip": archive}, {"CONFIG": config})
    called = file_names(plan, dataset)
    with shown(f"export {dataset}") as progress:
        write_zip(
            archive, ((called[image], png) for image, png in _pngs(plan, name, dataset, method, progress))
        )
    typer.echo(f"wrote {len(called)} images of {dataset}, made by {method}, to {archive}")


def _chosen(option: str, given: str | None, names: list[str], where: str, also: Iterable[str] = ()) -> str:
    """Return the name that an option gives, or the only one there is."""
    if given is None:
        if len(names) > 1:
            raise InputError(f"{option}: {where} has {', '.join(names)}; name one of them")
        return names[0]
    if given not in (everything := [*names, *also]):
        raise InputError(f"{option}: {unknown(f'{where} has no {given!r}', given, everything)}")
    return given


def file_names(plan: Plan, dataset: str) -> dict[str, str]:
    """Return how the file of each image of a dataset is called in an archive: as its input, but a PNG."""
    section, key = plan.config.datasets[dataset], f"datasets.{dataset}"
    inputs, matched = section.inputs(key), plan.inputs(dataset)
    folder = getattr(inputs, "folder", "")
    return {
        image: os.path.splitext(os.path.relpath(matched[image], folder or "."))[0] + ".png"
        if matched
        else f"{image}.png"
        for image in plan.targets(dataset)
    }


def _pngs(
    plan: Plan, experiment: str, dataset: str, method: str, progress: Progress
) -> Iterator[tuple[str, bytes]]:
    """Yield name and PNG file of each image of a test set."""
    from ensir.images import image_files
    from ensir.planning.reads import Reads
    from ensir.stages.write_images import rounded
    from ensir.storage.reading import Part

    layout, section = plan.layout, plan.config.experiments[experiment]
    names = list(plan.targets(dataset))
    if method in section.methods and section.fused == "temporary":
        folder = Path(layout.images(experiment, dataset, method))
        if missing := [name for name in names if not (folder / f"{name}.png").is_file()]:
            fix = "run it first" if section.png else "set `png: true` or `fused: keep`, and run it"
            raise InputError(
                f"{folder}/{missing[0]}.png: is not there, and fused images are temporary; {fix}"
            )
        for done, name in enumerate(names, 1):
            yield name, (folder / f"{name}.png").read_bytes()
            progress(done, len(names))
        return
    store = Reads(plan).result(experiment, dataset, method)
    if not Path(layout.seal(store)).is_file():
        raise InputError(f"{store}: is not complete; run the configuration to its end first")
    parts = {name: layout.part(store, part) for part, held in plan.parts(dataset).items() for name in held}
    opened = cache(Part)
    for done, name in enumerate(names, 1):  # in their order, however they are divided into parts
        part = opened(parts[name])
        yield name, image_files.as_png(rounded(part, part.names.index(name)))
        progress(done, len(names))


def write_zip(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write files into a zip archive, atomically; nothing in it depends on time or machine."""
    from ensir.storage.atomic import replaced

    with replaced(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as opened:
        for name, content in files:  # PNG files are compressed
            entry = zipfile.ZipInfo(name, ZIP_EPOCH)
            entry.create_system, entry.external_attr = 3, READABLE  # as Unix would, everywhere
            opened.writestr(entry, content)
