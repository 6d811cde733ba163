"""Checks that what a configuration names exists, and that Snakemake can read its paths."""

from __future__ import annotations

from pathlib import Path

from ensir.errors import InputError
from ensir.storage.shared import ROOT, is_url

LOCATION = r"^(s3://|https?://)[^?#@]+$|^[^:?#]+$"
LOCATION_TITLE = "path, s3:// or http(s):// URL without user and query"


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


def ignores_case(folder: str) -> bool:
    """Return whether the disk of a folder takes names that differ in case only for one, as disks of macOS often do.

    Parameters
    ----------
    folder : str
        Where it does not exist, the nearest one above it counts.
    """
    path = Path(folder).absolute()
    for place in (path, *path.parents):
        other = place.with_name(place.name.swapcase()) if place.name else place
        if place.exists() and other.name != place.name:
            return other.exists() and other.samefile(place)
    return False


def readable(path: str, key: str) -> str:
    """Return a path, unless Snakemake would find wildcards or variables in it."""
    if set(path) & set("{}<>"):
        raise InputError(f"{key}: {path}: Snakemake reads no path with one of {{ }} < > in it; rename it")
    return path


def located(key: str, path: str, dataset: str) -> str:
    """Return where the shared store of a dataset is; requests no URL.

    Raises
    ------
    InputError
        There is no sealed store at a path; names the key of the configuration.
    """
    location = path.replace("{dataset}", dataset).rstrip("/")
    if not is_url(location) and not Path(location, ROOT).is_file():
        raise InputError(f"{key}: {location}/{ROOT}: no such file; fix the path, or seal the store")
    return location
