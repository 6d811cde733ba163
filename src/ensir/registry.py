"""Finds the kinds: the modules of five folders, and those that other packages add by entry points.

A kind is one module, named as the kind; the class in it that extends `Section` is its part of the configuration. Another
package adds one by an entry point of its name in the group `ensir.datasets`, `ensir.restorers`, `ensir.methods`,
`ensir.metrics` or `ensir.figures`.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from types import ModuleType
from typing import Annotated, Any, Literal, Union, cast

from pydantic import Field

from ensir.section import Section

Folder = Literal["datasets", "restorers", "methods", "metrics", "figures"]


@cache
def kinds(folder: Folder) -> list[str]:
    """Return the names of the kinds, our own first."""
    package = importlib.import_module(f"ensir.{folder}")
    own = sorted(found.name for found in pkgutil.iter_modules(package.__path__) if found.name[0] != "_")
    return [*own, *sorted(_added(folder).keys() - set(own))]


@cache
def _added(folder: Folder) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"ensir.{folder}")}


def module_name(folder: Folder, kind: str) -> str:
    """Return the name of the module of a kind."""
    own = f"ensir.{folder}.{kind}"
    return own if find_spec(own) else _added(folder)[kind].module


def module(folder: Folder, kind: str) -> ModuleType:
    """Return the module of a kind."""
    return importlib.import_module(module_name(folder, kind))


@cache
def section(folder: Folder, kind: str) -> Any:
    """Return the section of a kind: the last class of its module that extends `Section`."""
    found = module(folder, kind)
    *_, last = (
        value
        for value in vars(found).values()
        if isinstance(value, type) and issubclass(value, Section) and value.__module__ == found.__name__
    )
    return last


def sections(folder: Folder) -> dict[str, Any]:
    """Return the sections of all kinds, by kind."""
    return {kind: section(folder, kind) for kind in kinds(folder)}


def any_of(folder: Folder) -> Any:
    """Return the type of a section that may be of any kind: its `kind` decides."""
    choices = cast(Any, Union)[tuple(sections(folder).values())]
    return Annotated[choices, Field(discriminator="kind")]
