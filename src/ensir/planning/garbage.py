"""Garbage: results that no configuration needs any longer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ensir.planning.jobs import jobs
from ensir.planning.plan import Plan
from ensir.planning.reads import Reads
from ensir.storage.atomic import remove
from ensir.storage.layout import DIGESTED, Layout

FOLDERS = ("denoisers", "refiners", "images", "scores", "seconds", "selections", "figures", "sources")


def needed(reads: Reads) -> set[Path]:
    """Return every result of a configuration that lasts, whether it exists or not, and the records that go with it."""
    layout, made = reads.layout, list(jobs(reads))
    results = {result for job in made for result in job.results}
    # Of what is removed once it has been used, it stays known how it was made.
    removed = {str(layout.origin_of(layout.digest(result))) for job in made for result in job.temporary}
    return {Path(path) for path in (*results, *removed, *map(layout.sources, results), layout.renewed)}


def garbage(layout: Layout, plans: list[Plan]) -> Iterator[Path]:
    """Yield what none of the configurations needs: whole folders where nothing in them is needed.

    Parameters
    ----------
    layout : Layout
        The results folder.
    plans : list of Plan
        The plans of all configurations whose results are to be kept.
    """
    kept = set[Path]().union(*(needed(Reads(plan)) for plan in plans))
    digests = {Path(layout.digest(str(path))) for path in kept}
    kept |= digests | {layout.origin_of(digest) for digest in digests}
    above = {parent for path in kept for parent in path.parents}
    kinds = (*DIGESTED, *FOLDERS)
    for folder in (*kinds, *(f"digests/{name}" for name in kinds)):
        yield from _unneeded(Path(layout.root) / folder, kept, above)


def _unneeded(path: Path, kept: set[Path], above: set[Path]) -> Iterator[Path]:
    if path in kept or not path.exists():
        return
    if path not in above:
        yield path
        return
    for name in sorted(os.listdir(path)):
        yield from _unneeded(path / name, kept, above)


def size(path: Path) -> int:
    """Return the size of a file or folder in bytes."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(os.lstat(Path(folder) / name).st_size for folder, _, names in os.walk(path) for name in names)


def clear(paths: list[Path]) -> None:
    """Delete results, but their digests first, so that none vouches for a result that is half deleted."""
    for path in sorted(paths, key=lambda path: "digests" not in path.parts):
        remove(path)
