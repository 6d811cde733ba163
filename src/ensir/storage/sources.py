"""Source files: what they were when a result was made, so that a replaced file is noticed, whatever its date.

A record beside the results holds the size, inode, time and SHA-256 of each of the user's files that a result was made
from, and its generation: how often the result was made again because their content had changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ensir.errors import InputError
from ensir.storage.atomic import replaced
from ensir.storage.digests import sha256

Stamp = tuple[int, int, int]  # size in bytes, inode, time of the last change in nanoseconds


class Record(NamedTuple):
    """What a result was made from.

    Attributes
    ----------
    generation : int
    files : dict
        Stamp and SHA-256 of each file, by path.
    """

    generation: int
    files: dict[str, tuple[Stamp, str]]


class State(NamedTuple):
    """Whether the sources of a result have changed since it was made.

    Attributes
    ----------
    generation : int
        The generation that the result should have.
    settled : bool
        Whether stamps alone show it; where content had to be compared, the record can be renewed.
    """

    generation: int
    settled: bool


def stamp(file: str | Path) -> Stamp:
    """Return what distinguishes a file from one that replaces it, without reading it."""
    status = os.stat(file)
    return status.st_size, status.st_ino, status.st_mtime_ns


def read(record: str | Path) -> Record | None:
    """Read a record; None where there is none, or it is damaged, in which case content is compared."""
    try:
        held = json.loads(Path(record).read_text(encoding="utf-8"))
        files = {path: ((size, inode, time), sha) for path, (size, inode, time, sha) in held["files"].items()}
        return Record(int(held["generation"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write(record: str | Path, made: Record) -> None:
    """Write a record, atomically."""
    files = {path: [*mark, sha] for path, (mark, sha) in made.files.items()}
    with replaced(record) as partial:
        partial.write_text(json.dumps({"generation": made.generation, "files": files}), encoding="utf-8")


@contextmanager
def recorded(record: str | Path, generation: int, files: Sequence[str]) -> Iterator[None]:
    """Record the files that a result is made from in the body.

    Raises
    ------
    InputError
        A file has changed meanwhile.
    """
    before = {file: stamp(file) for file in files}
    yield
    made = Record(generation, {file: (mark, sha256(file)) for file, mark in before.items()})
    for file, mark in before.items():
        if stamp(file) != mark:
            raise InputError(f"{file}: changed while it was read; run again once nothing writes to it")
    write(record, made)


def state(record: str | Path, files: Sequence[str], known: Sequence[str] | None) -> State:
    """Compare files with those that a result was made from: by their stamps and, where these differ, by content.

    Parameters
    ----------
    record : path
    files : list of str
    known : callable
        Returns the SHA-256 of its sources that the result itself holds, in case there is no record; None where there
        is no result yet.
    """
    held = read(record)
    if held is None:
        digests = known()
        if digests is None:
            return State(0, True)
        return State(0 if {sha256(file) for file in files}.issuperset(digests) else 1, False)
    if held.files.keys() != set(files):
        return State(held.generation, True)  # the list of inputs has changed, which Snakemake sees
    changed = [file for file in files if stamp(file) != held.files[file][0]]
    same = all(sha256(file) == held.files[file][1] for file in changed)
    return State(held.generation + (not same), not changed)


def renew(record: str | Path) -> None:
    """Update the stamps of a record whose files have the same content."""
    held = read(record)
    if held is None:
        return
    stamps = {file: stamp(file) for file in held.files}
    if all(sha256(file) == sha for file, (_, sha) in held.files.items()):
        write(record, Record(held.generation, {file: (stamps[file], held.files[file][1]) for file in stamps}))
