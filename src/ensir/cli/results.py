"""`ensir verify`, `gc` and `table`: check, clean up and print the results of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ensir.cli.check import Results
from ensir.errors import InputError
from ensir.storage.layout import Layout


def verify(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="a results folder, or the configuration that says which; a store, part or LUT in it; or the path or "
            "URL of a shared store",
        ),
    ] = "results",
    sources: Annotated[
        bool,
        typer.Option(
            "--sources", help="also compare the files that results were made from, as seen from here"
        ),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="remove what is damaged, with its digests; the next run makes it again"
        ),
    ] = False,
) -> None:
    """Compare results with their digests, byte by byte, and name what is missing, changed or unexpected.

    What must be there, seals say, and the record of the last run; given a configuration, all that it makes.

    Examples: ensir verify results/predictions/set5/IMDN.zarr; ensir verify mine.yaml --repair; ensir verify --sources
    """
    good = bad = 0
    for result, problems, fix in _verified(path, repair):
        good += not problems
        bad += bool(problems)
        for problem in problems:
            typer.echo(f"{result}: {problem}", err=True)
        if problems:
            typer.echo(f"  {fix}", err=True)
    typer.echo(f"{good + bad} results checked, {bad} damaged")
    if repair and bad:
        typer.echo("what was damaged is removed; run again, and that is made again")
    if not good + bad:
        typer.echo(f"{path}: there are no digests of anything here", err=True)
    sound = not sources or _verify_sources(results_folder(path))
    raise typer.Exit(1 if bad or not good or not sound else 0)


def _verify_sources(path: str) -> bool:
    """Print which results were made from other files than those of today; return whether all are up to date."""
    from ensir.storage import sources
    from ensir.storage.shared import is_url

    layout = None if is_url(path) else layout_of(Path(path))
    if layout is None:
        raise InputError(
            f"{path}: only what is in a results folder has records of the files it was made from"
        )
    good = bad = 0
    for result, problems in sources.verify(path, layout):
        good += not problems
        bad += bool(problems)
        for problem in problems:
            typer.echo(f"{result}: {problem}", err=True)
    typer.echo(f"the source files of {good + bad} results compared, those of {bad} differ")
    if bad:
        typer.echo("  fix: put the files back, or run the workflow again", err=True)
    if not good + bad:
        typer.echo(f"{path}: there are no records of source files here", err=True)
    return good > 0 and not bad


def _verified(path: str, repair: bool) -> Iterator[tuple[str, list[str], str]]:
    """Yield each result, or each part of a shared store, its problems, and what is done about them."""
    from ensir.storage.shared import ROOT, SharedStore, is_url

    folder = results_folder(path)
    layout = None if is_url(folder) else layout_of(Path(folder))
    if layout:
        yield from _verified_results(path, folder, layout, repair)
    elif is_url(folder) or Path(folder, ROOT).is_file():
        if repair:
            raise InputError(
                f"{path}: a shared store is repaired by whoever published it, by `ensir publish`"
            )
        shared = SharedStore(folder)
        for part in shared.parts:
            yield (
                f"{folder}: part {part}",
                shared.problems(part),
                "fix: whoever published it runs `ensir publish` again",
            )
    else:
        raise InputError(
            f"{path}: is no shared store, and belongs to no results folder (none above it has a folder `digests`)"
        )


def _verified_results(
    path: str, folder: str, layout: Layout, repair: bool
) -> Iterator[tuple[str, list[str], str]]:
    from ensir.storage import verification

    if repair:
        _refuse_while_running(layout)
    for finding in verification.verify(folder, layout, _planned(path) if folder != path else ()):
        if repair and finding.problems:
            finding.remove()
        if not finding.remains:
            fix = (
                "fix: run again"
                if finding.problems == [verification.GONE]
                else "fix: remove it, where nobody needs it"
            )
        elif repair:
            fix = "removed: " + ", ".join(map(str, finding.remains))
        else:
            fix = f"fix: ensir verify --repair {finding.result}, then run again"
        yield str(finding.result), finding.problems, fix


def _planned(config: str) -> list[str]:
    """Return the results that a configuration makes, without figures, which are drawn when they are asked for."""
    from ensir.config import reading
    from ensir.planning.jobs import jobs
    from ensir.planning.plan import Plan
    from ensir.planning.reads import Reads

    plan = Plan(reading.load(config))
    plan.check()
    figures = f"{plan.layout.root}/figures/"
    return [result for job in jobs(Reads(plan)) for result in job.results if not result.startswith(figures)]


def _refuse_while_running(layout: Layout) -> None:
    """Raise an InputError where a workflow is at work in a results folder."""
    folders = (Path.cwd(), Path(layout.root).absolute().parent)
    if any(lock for folder in folders for lock in (folder / ".snakemake/locks").glob("*")):
        raise InputError(
            f"{layout.root}: a workflow is running there, or was killed; end it, or type `ensir resume`"
        )


def results_folder(path: str) -> str:
    """Return the results folder of a configuration; any other path as it is."""
    if not path.endswith((".yaml", ".yml")):
        return path
    from ensir.config import reading

    return Layout(reading.load(path).results).root


def layout_of(path: Path) -> Layout | None:
    """Find the results folder that a path belongs to: the nearest one with digests."""
    folders = (folder for folder in (path, *path.absolute().parents) if (folder / "digests").is_dir())
    return next((Layout(str(folder)) for folder in folders), None)


def gc(
    configs: Annotated[
        list[Path],
        typer.Argument(
            exists=True, dir_okay=False, metavar="CONFIG...", help="configurations whose results are kept"
        ),
    ],
    results: Results = None,
    remove: Annotated[bool, typer.Option("--remove", help="delete what is listed")] = False,
) -> None:
    """List the results that none of the configurations needs; delete them on request.

    Example: ensir gc config/config.yaml mine.yaml --remove
    """
    from ensir.config import reading
    from ensir.planning import garbage
    from ensir.planning.plan import Plan

    given = None if results is None else Layout(results)
    plans = [Plan(reading.load(str(path)), given) for path in configs]
    layout, *others = dict.fromkeys(plan.layout for plan in plans)
    if others:
        raise InputError(
            f"{' and '.join(map(str, configs))} have different `results`: {layout.root}, {others[0].root}; give only "
            "those of one folder"
        )
    if results is not None and not Path(results).is_dir():
        raise InputError(f"--results {results}: no such folder; fix the path")
    for plan in plans:
        plan.check()
    paths = list(garbage.garbage(layout, plans))
    sizes = [garbage.size(path) for path in paths]
    for path, size in zip(paths, sizes, strict=True):
        typer.echo(f"{size / 1e6:10,.2f} MB  {path}")
    if remove:
        _refuse_while_running(layout)
        garbage.clear(paths)
    state = "deleted" if remove else "not needed; delete with --remove" if paths else "not needed"
    typer.echo(f"{len(paths)} results, {sum(sizes) / 1e6:,.2f} MB: {state}")


def table(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="summary.csv of a run, its results folder, or the configuration that says which",
        ),
    ] = Path("results"),
) -> None:
    """Print the result table, with units and how images were compared; best bold, second underlined.

    Example: ensir table results/summary.csv
    """
    summary = Path(results_folder(str(path)))
    if summary.suffix != ".csv":
        summary = Path(Layout(str(summary)).summary)
    from ensir.cli.score_table import show_run

    show_run(summary)
