"""Write atomically: a result appears in its place whole, with its digest, or not at all."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ensir.errors import InputError
from ensir.storage import digests, failures, origin, stop_request
from ensir.storage.layout import Place

LONGEST = 160  # bytes of a file name: with host (64), process number and `.old` they are fewer than 255
NOTHING: Mapping[str, Any] = MappingProxyType({})
log = logging.getLogger(__name__)


@contextmanager
def written(place: Place, size: int = 0, measured: Mapping[str, Any] = NOTHING) -> Iterator[Path]:
    """Write a result under a partial name, then rename it to its place.

    Holds a lock on the place meanwhile: another process that writes the same result waits. What killed writers left
    behind for this place is removed. The digest file is written last.

    Parameters
    ----------
    place : Place
    size : int
        Estimated size in bytes; checked against the free space before anything is written.
    measured : mapping
        For the record beside the digest; may be filled while the result is written.

    Yields
    ------
    Path
        Where to write the file or folder.

    Raises
    ------
    InputError
        Too little disk space.
    """
    with locked(place) as slug:
        for stale in place.partial.glob(f"{glob.escape(slug)}.*"):
            if not stale.name.endswith(".lock"):
                remove(stale)
        ensure_space(place, size)
        partial = place.partial / _own(slug)
        with failures.naming(place.path, partial):
            try:
                yield partial
                stop_request.check()
                _swap_in(partial, place, measured)
            finally:
                remove(partial)


@contextmanager
def locked(place: Place) -> Iterator[str]:
    """Wait for the lock on a place and hold it; yields the name for its work in progress."""
    from filelock import FileLock, Timeout

    slug = os.path.relpath(place.path).replace("../", "").strip("/").replace("/", "~")
    slug = _short(slug)
    place.partial.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place.partial / f"{slug}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:  # flock: the holder is alive, since a process that dies releases its lock
        log.warning("waiting: another process is writing %s", place.path)
        lock.acquire()
    try:
        yield slug
    finally:
        lock.release()


@contextmanager
def replaced(path: str | Path) -> Iterator[Path]:
    """Write a single file outside a results folder: under a hidden name, then renamed to its place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{_short(path.name)}.{os.getpid()}")
    with failures.naming(path, partial):
        try:
            yield partial
            stop_request.check()
            os.replace(partial, path)
        finally:
            remove(partial)


def _short(name: str) -> str:
    """Return a name that leaves room for more in the 255 bytes of a file name: itself, or its digest."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= LONGEST else hashlib.sha256(encoded).hexdigest()


def _swap_in(partial: Path, place: Place, measured: Mapping[str, Any]) -> None:
    text = digests.digests(partial, name=place.path.name)
    if partial.is_file():
        _to_disk(partial)
    checksums = digests.checksums(partial)
    place.path.parent.mkdir(parents=True, exist_ok=True)
    if place.digest:  # an old digest must not vouch for the new content
        place.digest.unlink(missing_ok=True)
    if place.path.is_dir():
        old = partial.with_name(f"{partial.name}.old")
        os.rename(place.path, old)
        os.rename(partial, place.path)
        remove(old)
    else:
        os.replace(partial, place.path)
    _vouch(place, partial.name, text, checksums, measured)


def vouch(place: Place, slug: str) -> None:
    """Write the digest of a result that is in its place already, under the name that `locked` gives."""
    made = digests.digests(place.path), digests.checksums(place.path)
    _vouch(place, _own(slug), *made, NOTHING)


def _vouch(
    place: Place, partial: str, text: str, checksums: dict[str, str], measured: Mapping[str, Any]
) -> None:
    if place.digest:
        place.digest.parent.mkdir(parents=True, exist_ok=True)
        unfinished = place.partial / f"{partial}.sha256"
        unfinished.write_text(text)
        _to_disk(unfinished)  # a store's chunks carry checksums, and its metadata a digest: this one
        origin.write(place.digest, checksums, measured)
        os.replace(unfinished, place.digest)


def _own(slug: str) -> str:
    """Return the name of this process's work in progress."""
    return f"{slug}.{socket.gethostname()}.{os.getpid()}"


def _to_disk(file: Path) -> None:
    """Flush a file to disk: after a power cut, a rename could otherwise survive without the file's content."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def remove(path: Path) -> None:
    """Delete a file or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def ensure_space(place: Place, size: int) -> None:
    """Raise an InputError where fewer bytes are free than a result may need."""
    free = shutil.disk_usage(place.partial).free
    if size > free:
        raise InputError(
            f"{place.path}: needs up to {size / 1e6:,.1f} MB, but only {free / 1e6:,.1f} MB are free on this "
            "disk; free some space or choose another with --results"
        )
