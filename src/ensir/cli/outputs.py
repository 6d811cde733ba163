"""Check what a command will write before it reads anything: that it can be written, and that it destroys no input."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import combinations
from pathlib import Path

from ensir.errors import InputError
from ensir.images.formats import SUFFIXES
from ensir.storage import failures

Paths = Mapping[str, Path | str | None]


def check_outputs(outputs: Paths, inputs: Paths, folders: Paths | None = None) -> None:
    """Check the outputs of a command against its inputs, each other and the disk.

    Parameters
    ----------
    outputs : dict
        Files that the command writes, by the option that names them; None where that is not given. Folders above them
        are created.
    inputs : dict
        Files and folders that it reads, by their options.
    folders : dict or None
        Folders that it writes into, by their options.

    Raises
    ------
    InputError
        An output is an input or another output, is in a folder that is read as a whole, or cannot be written.
    """
    files, into = _given(outputs), _given(folders or {})
    read = {option: _real(path) for option, path in _given(inputs).items()}
    for option, path in files.items():
        if os.path.isdir(path):
            raise InputError(f"{option} {path}: is a folder; give the name of a file")
    for option, path in into.items():
        if os.path.isfile(path):
            raise InputError(f"{option} {path}: is a file; give the name of a folder")
    for (option, path), (other, beside) in combinations((files | into).items(), 2):
        if _real(path) == _real(beside):
            raise InputError(f"{option} {path}: is the same as {other}; give another path")
    for option, path in (files | into).items():
        real = _real(path)
        for other, source in read.items():
            if real == source:
                raise InputError(f"{option} {path}: is the same as {other}; give another path")
            if source in real.parents and (option in into or _is_content(source, real)):
                raise InputError(f"{option} {path}: lies in {other}, which is read whole; give another path")
        _check_writable(option, path, option in into)


def check_files(option: str, outputs: Iterable[Path], inputs: Iterable[str]) -> None:
    """Check that none of many files in a folder is an input.

    Raises
    ------
    InputError
        Names the first one.
    """
    read = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        if os.path.realpath(path) in read:
            raise InputError(f"{option}: would overwrite {path}, which is read; choose another folder")


def others_in(folder: Path, outputs: Iterable[Path]) -> list[str]:
    """Return the images in a folder, and below it, that a command has not written there, as of an earlier run."""
    written = {os.path.realpath(path) for path in outputs}
    found = (str(path) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in found if os.path.realpath(path) not in written)


def _given(paths: Paths) -> dict[str, Path]:
    return {option: Path(path) for option, path in paths.items() if path}


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _is_content(folder: Path, path: Path) -> bool:
    """Return whether a file in a folder would be read as an image, or as a part of a store."""
    return path.suffix.lower() in SUFFIXES or (folder / "zarr.json").exists()


def _check_writable(option: str, path: Path, is_folder: bool) -> None:
    above = (path.absolute(), *path.absolute().parents) if is_folder else path.absolute().parents
    try:
        folder = next(parent for parent in above if os.path.lexists(parent))
        if not folder.is_dir():
            raise InputError(f"{option} {path}: {folder} is a file, not a folder; give another path")
        with suppress(FileNotFoundError):
            os.stat(
                folder / f".{path.name}.{os.getpid()}"
            )  # the name that `replaced` uses: fails if it is too long
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        fix = failures.fix(error, "give another path")
        raise InputError(f"{option} {path}: cannot be written ({error.strerror}); {fix}") from error
