"""Checks that the files named in a configuration exist, and that Snakemake can read their paths."""

from __future__ import annotations

from pathlib import Path

from ensir.errors import InputError


def existing(path: str, key: str, fix: str = "fix the path") -> str:
    """Return the path of a file, if the file exists and Snakemake can read the path.

    Raises
    ------
    InputError
        It does not, or cannot; the message names the key in the configuration.
    """
    if not Path(path).is_file():
        raise InputError(f"{key}: {path}: no such file; {fix}")
    return readable(path, key)


def readable(path: str, key: str) -> str:
    """Return a path, unless Snakemake would find wildcards or variables in it."""
    if set(path) & set("{}<>"):
        raise InputError(f"{key}: {path}: Snakemake reads no path with one of {{ }} < > in it; rename it")
    return path
