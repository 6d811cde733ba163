"""Finds the kinds: the modules of five folders, and those that other packages add through entry points.

A kind is one module of the same name; the class in it that extends `Section` is its section of the configuration.
Another package adds a kind through an entry point of that name in the group `ensir.datasets`, `ensir.restorers`,
`ensir.methods`, `ensir.metrics` or `ensir.figures`.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Annotated, Any, Literal, Union, cast, get_args

from pydantic import Field

from ensir.errors import InputError
from ensir.section import Section

Folder = Literal["datasets", "restorers", "methods", "metrics", "figures"]


@cache
def kinds(folder: Folder) -> list[str]:
    """Return the names of the kinds, our own first."""
    return [*_own(folder), *sorted(_added(folder).keys() - set(_own(folder)))]


def module_name(folder: Folder, kind: str) -> str:
    """Return the name of the module of a kind."""
    return f"ensir.{folder}.{kind}" if kind in _own(folder) else _added(folder)[kind].module


def module(folder: Folder, kind: str) -> ModuleType:
    """Return the module of a kind.

    Raises
    ------
    InputError
        The module of another package cannot be imported.
    """
    name = module_name(folder, kind)
    try:
        return importlib.import_module(name)
    except Exception as error:
        if kind in _own(folder):
            raise
        raise InputError(
            f"{name}: cannot be imported ({error}), but {_owner(folder, kind)} names it; fix or uninstall that"
        ) from error


@cache
def section(folder: Folder, kind: str) -> Any:
    """Return the section of a kind: the last class of its module that extends `Section`.

    Raises
    ------
    InputError
        The module of another package has no section, or one of another kind.
    """
    source = module(folder, kind)
    classes = [
        value
        for value in vars(source).values()
        if isinstance(value, type) and issubclass(value, Section) and value.__module__ == source.__name__
    ]
    if not classes:
        raise InputError(
            f"{source.__name__}: has no class that extends Section, but {_owner(folder, kind)} names it as a kind"
        )
    last = classes[-1]
    field = last.model_fields.get("kind")
    if field and kind not in get_args(field.annotation):
        raise InputError(
            f"{source.__name__}: {last.__name__} is not of kind {kind!r}, as {_owner(folder, kind)} says; fix its "
            "`kind`"
        )
    return last


def sections(folder: Folder) -> dict[str, Any]:
    """Return the sections of all kinds, by kind."""
    return {kind: section(folder, kind) for kind in kinds(folder)}


def any_of(folder: Folder) -> Any:
    """Return the type of a section of any kind, which its key `kind` selects."""
    choices = cast(Any, Union)[tuple(sections(folder).values())]
    return Annotated[choices, Field(discriminator="kind")]


@cache
def _own(folder: Folder) -> list[str]:
    """Return the kinds of this package, sorted."""
    package = importlib.import_module(f"ensir.{folder}")
    return sorted(info.name for info in pkgutil.iter_modules(package.__path__) if info.name[0] != "_")


@cache
def _added(folder: Folder) -> dict[str, EntryPoint]:
    """Return the entry points of other packages, by kind."""
    return {point.name: point for point in entry_points(group=f"ensir.{folder}")}


def _owner(folder: Folder, kind: str) -> str:
    """Return the package that names a kind, for error messages."""
    added = _added(folder).get(kind)
    return f"the package {added.dist.name}" if added and added.dist else "ensir"
