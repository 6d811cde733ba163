"""Packages that are there where an extra of this package was installed."""

from __future__ import annotations

from importlib.util import find_spec

from ensir.errors import InputError


def lacking(what: str, extra: str, error: object) -> InputError:
    """Return what is raised where something needs packages that cannot be imported."""
    return InputError(f"{what} ({error}); pip install 'ensir-flow[{extra}]'")


def check(what: str, extra: str, *packages: str) -> None:
    """Check that packages are installed, without importing them.

    Raises
    ------
    InputError
        One of them is not.
    """
    for package in packages:
        if find_spec(package) is None:
            raise lacking(what, extra, f"No module named {package!r}")
