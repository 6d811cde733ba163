"""Source files: what they were when a result was made, so that a replaced file is noticed, whatever its date.

A record beside the results holds the stamp and the SHA-256 of each of the user's files that a result was made from, and
its generation, which differs for every content that the files had. Planning compares stamps; content is compared, and
the record renewed, where these differ.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ensir.errors import InputError
from ensir.storage.atomic import replaced
from ensir.storage.digests import sha256
from ensir.storage.layout import Layout

Stamp = tuple[
    int, int, int, int
]  # size in bytes, inode, last change of the content and of the inode in nanoseconds
Seen = dict[str, tuple[Stamp, str]]  # stamp and SHA-256 of each file, by path
NEVER: Stamp = (-1, -1, -1, -1)


class Record(NamedTuple):
    """What a result was made from.

    Attributes
    ----------
    generation : int or str
        0, or a digest of the content for which the result was made again.
    files : dict
        The files that the result was made from.
    found : dict
        Those that have changed since, as they were when they were last compared.
    """

    generation: int | str
    files: Seen
    found: Seen

    @property
    def wanted(self) -> int | str:
        """The generation that the result should have."""
        if not self.found:
            return self.generation
        now = {path: sha for path, (_, sha) in (self.files | self.found).items()}
        return hashlib.sha256(json.dumps(sorted(now.items())).encode()).hexdigest()[:16]


class Known(NamedTuple):
    """The SHA-256 of its sources that a result itself holds: of the first, in order, and of the others."""

    first: list[str]
    others: list[str]


def stamp(file: str | Path) -> Stamp:
    """Return what distinguishes a file from one that replaces it, without reading it."""
    status = os.stat(file)
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def read(record: str | Path) -> Record | None:
    """Read a record; None where there is none, or it is damaged, in which case content is compared."""
    try:
        with open(record, "rb") as file:
            held = json.load(file)
        files, found = (
            {path: (tuple(mark), sha) for path, (*mark, sha) in held[name].items()}
            for name in ("files", "found")
        )
        if not all(len(mark) == len(NEVER) for mark, _ in (*files.values(), *found.values())):
            return None
        return Record(held["generation"], files, found)  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write(record: str | Path, made: Record) -> None:
    """Write a record, atomically."""
    files, found = (
        {path: [*mark, sha] for path, (mark, sha) in seen.items()} for seen in (made.files, made.found)
    )
    with replaced(record) as partial:
        text = json.dumps({"generation": made.generation, "files": files, "found": found})
        partial.write_text(text, encoding="utf-8")


@contextmanager
def recorded(record: str | Path, generation: int | str, files: Sequence[str]) -> Iterator[None]:
    """Record the files that a result is made from in the body; nothing where it is made from none.

    Raises
    ------
    InputError
        A file has changed meanwhile.
    """
    before = {file: stamp(file) for file in files}
    yield
    made = Record(generation, {file: (mark, sha256(file)) for file, mark in before.items()}, {})
    for file, mark in before.items():
        if stamp(file) != mark:
            raise InputError(f"{file}: changed while it was read; run again once nothing writes to it")
    if files:
        write(record, made)


def unread(held: Record | None, files: Sequence[str]) -> list[str]:
    """Return the files whose stamps do not show whether they have changed: those whose content has to be compared.

    Parameters
    ----------
    held : Record or None
        What the result was made from; None where that is not recorded.
    files : list of str
        What it is made from now. Where these are other files, Snakemake sees that, and no content is compared.
    """
    if held is None:
        return list(files)
    if held.files.keys() != set(files):
        return []
    return [
        file
        for file in files
        if (mark := stamp(file)) != held.files[file][0]
        and (file not in held.found or mark != held.found[file][0])
    ]


def compared(held: Record | None, files: Sequence[str], known: Callable[[], Known | None]) -> Record:
    """Compare the content of files with those that a result was made from, reading only those with other stamps.

    Parameters
    ----------
    held : Record or None
    files : list of str
    known : callable
        Returns what the result itself holds, in case there is no record; None where it holds no digests, in which case
        it counts as made from the files of today.

    Returns
    -------
    Record
        With the stamps of today; where content differs, it is in `found`.
    """
    seen = held.files | held.found if held else {}
    now: Seen = {}
    for file in files:
        mark = stamp(file)
        same = file in seen and seen[file][0] == mark
        now[file] = (mark, seen[file][1] if same else sha256(file))
    if held is None:
        same = _is_made_from(known(), [now[file][1] for file in files])
        held = Record(0, now if same else dict.fromkeys(files, (NEVER, "")), {})
    changed = {file: new for file, new in now.items() if new[1] != held.files[file][1]}
    return Record(held.generation, now if not changed else held.files, changed)


def _is_made_from(known: Known | None, digests: list[str]) -> bool:
    """Return whether a result may have been made from files of these digests."""
    if known is None:
        return True
    first = len(known.first)
    return digests[:first] == known.first and set(digests[first:]) <= set(known.others)


def verify(path: str | Path, layout: Layout) -> Iterator[tuple[str, list[str]]]:
    """Compare the content of all files that results were made from with the records.

    Parameters
    ----------
    path : path
        A results folder, a store, a part, or any folder in between.
    layout : Layout
        The results folder that holds it. Paths of files start at the current folder, as in the run.

    Yields
    ------
    (str, list of str)
        Each result, and what is wrong with its files; an empty list where they are what it was made from.
    """
    digest = cache(sha256)
    asked = Path(os.path.abspath(path))
    for result in layout.made_from_sources():
        place = Path(os.path.abspath(result))
        if asked == place or asked in place.parents or place in asked.parents:
            held = read(layout.sources(result))
            files = held.files.items() if held else ()
            problems = [] if held else [f"{layout.sources(result)}: is damaged"]
            for file, (_, sha) in files:
                if not Path(file).is_file():
                    problems.append(f"{file}: is missing")
                elif digest(file) != sha:
                    problems.append(f"{file}: is not what it was made from")
            yield result, problems
