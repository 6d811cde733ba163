"""Where the workflow is (Snakefile, rules, scripts, profiles, configurations): in an installed package or a clone."""

from __future__ import annotations

import os
from pathlib import Path

from ensir.errors import InputError

PACKAGE = Path(__file__).parents[1]


def folder() -> Path:
    """Return the folder with the Snakefile: inside the package, or the clone from which it is installed as editable.

    Raises
    ------
    InputError
        There is none.
    """
    embedded = PACKAGE / "embedded"
    found = embedded if embedded.is_dir() else PACKAGE.parents[1]
    if not (found / "Snakefile").is_file():
        raise InputError(f"{found}: no Snakefile here; install ensir-flow from a wheel or a whole clone")
    return found


def source_folder() -> Path | None:
    """Return the folder of the package's source, for other Pythons to find it in; None where it is installed."""
    return None if (PACKAGE / "embedded").is_dir() else PACKAGE.parent


def default_configuration() -> Path:
    """Return the configuration that runs where none is named."""
    return folder() / "config/config.yaml"


def profile(name: str) -> Path:
    """Return the folder of a profile, by its path or the name of one that ships with the workflow.

    Raises
    ------
    InputError
        There is no such profile.
    """
    shipped = folder() / "workflow/profiles"
    for found in (Path(name), shipped / name) if os.sep in name else (shipped / name, Path(name)):
        if (found / "config.yaml").is_file():
            return found
    names = ", ".join(sorted(path.name for path in shipped.iterdir() if path.is_dir()))
    raise InputError(f"--profile {name}: is no folder with a config.yaml, and none of {names}")
