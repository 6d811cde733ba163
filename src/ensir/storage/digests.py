"""Digests: a sha256sum-style file beside every result, and the check of results against them."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from ensir.errors import InputError
from ensir.storage import origin
from ensir.storage.layout import Layout

LINE = re.compile(r"[0-9a-f]{64}  .+")
CHUNK = re.compile(r"(^|/)c(/\d+)*$")  # the key of a chunk, in Zarr's version 3
TOUCHED = 2 * 10**9  # nanoseconds within which Snakemake gives a file that a job has made a new date
CHECKSUM = 4  # bytes: the CRC-32C that each of our chunks ends with
TIMESTAMP = ".snakemake_timestamp"  # Snakemake's own, inside every directory output


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files(path: Path) -> list[Path]:
    """List the files below a folder that belong to the store, sorted; links are followed."""
    paths = []
    for folder, _, names in os.walk(path, followlinks=True):
        paths += [Path(folder) / name for name in names if name != TIMESTAMP]
    return sorted(paths)


def digests(path: Path, name: str = "") -> str:
    """Return the digest of each file of a result, as ``sha256sum`` writes them, relative to the result."""
    if path.is_dir():
        return "".join(f"{sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files(path))
    return f"{sha256(path)}  {name or path.name}\n"


def checksums(path: Path) -> dict[str, str]:
    """Return the checksum that each chunk of a result ends with, by name, in hexadecimal; of a single file, nothing."""
    found = {}
    for file in files(path):
        name = file.relative_to(path).as_posix()
        if CHUNK.search(name):
            with open(file, "rb") as opened:
                opened.seek(-CHECKSUM, os.SEEK_END)
                found[name] = opened.read().hex()
    return found


def check_before_reading(result: str | Path) -> Chunks | None:
    """Compare a result's file, or the metadata of a store, with its digest; chunks are compared when they are read.

    Parameters
    ----------
    result : path
        Outside a results folder, it has no digest and is not compared.

    Returns
    -------
    Chunks or None
        What the chunks of a store must be; None where that is not known.

    Raises
    ------
    InputError
        Names the file that is missing or has changed.
    """
    result = Path(os.path.abspath(result))
    digest = _digest_of(result)
    if digest is None:
        return None
    store, listed = result.is_dir(), read(digest)
    for name, sha in listed.items():
        if store and not name.endswith("zarr.json"):
            continue
        file = (result if store else result.parent) / name
        if not file.is_file() or sha256(file) != sha:
            raise InputError(f"{file}: is not what was written there (its digest differs); {fix(result)}")
    return Chunks(listed, origin.read(digest).get(origin.CHECKSUMS, {})) if store else None


class Chunks:
    """What the chunks of a store must be, so that none is read that was written elsewhere, or at another time.

    A chunk that ends with the recorded checksum is the one that was written there, if that checksum is the chunk's own,
    which decoding finds out. Where none is recorded, or it differs, the digest of the chunk decides.

    Parameters
    ----------
    digests, checksums : dict
        SHA-256 and checksum of each file, by name.
    """

    def __init__(self, digests: dict[str, str], checksums: dict[str, str]):
        self.digests, self.checksums = digests, checksums
        self._sound = set[str]()  # by their digests, which need not be computed again

    def check(self, name: str, content: memoryview) -> None:
        """Compare a chunk.

        Raises
        ------
        ValueError
            It is not what was written there.
        """
        if content[-CHECKSUM:].hex() == self.checksums.get(name) or name in self._sound:
            return
        if hashlib.sha256(content).hexdigest() != self.digests.get(name):
            raise ValueError(f"{name} is not what was written there (its digest differs)")
        self._sound.add(name)


def _digest_of(result: Path) -> Path | None:
    """Find the digest file of a result; None where it is in no results folder."""
    candidates = (Path(Layout(str(folder)).digest(str(result))) for folder in result.parents)
    return next(filter(Path.is_file, candidates), None)


def read(digest: str | Path) -> dict[str, str]:
    """Return the SHA-256 of each file that a digest file lists, by name.

    Raises
    ------
    InputError
        It is empty or no digest file, as may happen in a power cut.
    """
    lines = Path(digest).read_text(errors="replace").splitlines()
    if not lines or not all(LINE.fullmatch(line) for line in lines):
        result = Path(digest).name.removesuffix(".sha256")
        raise InputError(f"{digest}: is no digest file; {fix(f'PATH/{result}')}")
    return {name: sha for sha, name in (line.split("  ", 1) for line in lines)}


def suspects(result: str, digest: str) -> list[str] | None:
    """Return the files of a result that may not be what was written, by their dates alone; None where any is missing.

    Raises
    ------
    FileNotFoundError
        There is no digest.
    """
    vouched = os.stat(digest).st_mtime_ns
    try:
        if not os.path.isdir(result):
            return [result] if os.stat(result).st_mtime_ns > vouched + TOUCHED else []
        files = [f"{result}/{name}" for name in read(digest)]
        return [file for file in files if os.stat(file).st_mtime_ns > vouched]
    except (FileNotFoundError, NotADirectoryError, InputError):
        return None


def fix(result: str | Path) -> str:
    """Say how a damaged result is made again."""
    return f"type `ensir verify --repair {result}`, then run again"


def are_as_written(result: str, digest: str, files: list[str]) -> bool:
    """Compare some files of a result with its digest."""
    try:
        expected, folder = read(digest), result if os.path.isdir(result) else os.path.dirname(result)
        return all(sha256(file) == expected.get(os.path.relpath(file, folder)) for file in files)
    except (OSError, InputError):
        return False
