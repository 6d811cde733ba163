"""Verification: what must be there, compared with its digests, byte by byte; what is damaged can be removed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ensir.errors import InputError
from ensir.storage import digests, known, origin
from ensir.storage.atomic import remove
from ensir.storage.layout import Layout

GONE, MISSING, CHANGED, UNEXPECTED = "missing", ": missing", ": changed", ": unexpected"
# What lies beside results: folders, and the report that Snakemake writes for `make workflow-report`.
NOT_RESULTS = ("digests", "sources", "logs", "benchmarks", ".partial", "workflow-report.html")


class Finding(NamedTuple):
    """What was found of one result.

    Attributes
    ----------
    result : Path
        Or a file that belongs to none.
    problems : list of str
        Empty where it is intact.
    remains : tuple of Path
        What has to be removed so that the next run makes it again: a digest before what it vouches for.
    """

    result: Path
    problems: list[str]
    remains: tuple[Path, ...] = ()

    def remove(self) -> None:
        """Remove what is damaged, with its digest."""
        for path in self.remains:
            remove(path)


def verify(path: str | Path, layout: Layout, expected: Iterable[str] = ()) -> Iterator[Finding]:
    """Compare results with their digests.

    Parameters
    ----------
    path : path
        A results folder, a store, a part, a LUT, or any folder in between.
    layout : Layout
        The results folder that holds it.
    expected : iterable of str
        Results that must be there, beside those that have digests, that seals name, and that the record of the last run
        lists.

    Yields
    ------
    Finding
        Of each result, and of each file that belongs to none.
    """
    asked = Path(os.path.abspath(path))
    root = Path(layout.root)
    sealed = {
        store / part: files for store in root.rglob("*.zarr") for part, files in known.sealed(store).items()
    }
    digested = {layout.result_of(digest) for digest in (root / "digests").rglob("*.sha256")}
    results = digested | set(map(Path, expected)) | set(sealed) | set(map(Path, known.recorded(layout)))

    def is_asked(result: Path) -> bool:
        place = Path(os.path.abspath(result))
        return asked == place or asked in place.parents or place in asked.parents

    for result in sorted(filter(is_asked, results)):
        yield _compared(result, Path(layout.digest(str(result))), sealed.get(result))
    for file in _files_of_none(root, results):
        if is_asked(file):
            yield Finding(file, ["has no digest: it belongs to no result that is known"])


def _compared(result: Path, digest: Path, sealed: dict[str, str] | None) -> Finding:
    """Compare one result with its digest, and with what the seal of its store says of it."""
    if not digest.exists():
        if not os.path.lexists(result):
            return Finding(result, [GONE])
        return Finding(result, ["has no digest"], (result,))
    problems = check(result, digest)
    unexpected = [problem for problem in problems if problem.endswith(UNEXPECTED)]
    if problems and problems == unexpected:
        return Finding(result, problems, tuple(result / p.removesuffix(UNEXPECTED) for p in unexpected))
    if not problems and sealed is not None and digests.read(digest) != sealed:
        problems = ["its digest is not the one that the seal of its store names"]
    if problems:
        return Finding(result, problems, (digest, result))
    if origin.is_damaged(digest):
        record = Layout.origin_of(digest)
        return Finding(result, [f"its record {record}: changed"], (record,))
    return Finding(result, [])


def check(result: Path, digest: Path) -> list[str]:
    """Return what differs between a result and its digest file."""
    if not result.exists():
        return [GONE]
    try:
        expected = digests.read(digest)
    except InputError as error:
        return [str(error)]
    folder = result if result.is_dir() else result.parent
    problems = [name + MISSING for name in expected if not (folder / name).is_file()]
    problems += [
        name + CHANGED
        for name, sha in expected.items()
        if (folder / name).is_file() and digests.sha256(folder / name) != sha
    ]
    if result.is_dir():
        known = {folder / name for name in expected}
        problems += [
            f"{file.relative_to(result)}{UNEXPECTED}" for file in digests.files(result) if file not in known
        ]
    return problems


def _files_of_none(root: Path, results: set[Path]) -> Iterator[Path]:
    """Yield the files in a results folder that belong to no known result, sorted."""
    for folder, below, names in os.walk(root):
        path = Path(folder)
        below[:] = sorted(
            name
            for name in below
            if path / name not in results and not (path == root and name in NOT_RESULTS)
        )
        for name in sorted(names):
            file, is_beside = path / name, path == root and name in NOT_RESULTS
            if file not in results and name != digests.TIMESTAMP and not is_beside:
                yield file
