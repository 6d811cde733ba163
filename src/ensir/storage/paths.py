"""Paths that a configuration names: there, and readable by Snakemake."""

from __future__ import annotations

from pathlib import Path

from ensir.errors import InputError


def existing(path: str, key: str, fix: str = "fix the path") -> str:
    """Return the path of a file that is there, and that Snakemake can read.

    Raises
    ------
    InputError
        It is not; the key names the place in the configuration.
    """
    if not Path(path).is_file():
        raise InputError(f"{key}: {path}: no such file; {fix}")
    return readable(path, key)


def readable(path: str, key: str) -> str:
    """Return a path, unless Snakemake would take it for one with wildcards or variables."""
    if set(path) & set("{}<>"):
        raise InputError(f"{key}: {path}: Snakemake reads no path with one of {{ }} < > in it; rename it")
    return path
