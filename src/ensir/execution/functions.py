"""The user's functions, named as ``package.module:name`` in the configuration."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ensir.errors import InputError


@cache
def load(function: str) -> Callable[..., Any]:
    """Import a function of a package, or of a module in the working directory.

    Parameters
    ----------
    function : str
        Such as ``"package.module:name"``.

    Raises
    ------
    InputError
        There is no such module or function, or its module fails.
    """
    module, _, name = function.partition(":")
    _search_working_directory()
    try:
        loaded: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:
        raise InputError(f"function {function}: cannot be imported ({error}); fix `function`") from error
    if not callable(loaded):
        raise InputError(f"function {function}: is no function; fix `function`")
    return loaded


def check_arguments(function: str, images: int, options: dict[str, Any]) -> None:
    """Check that a function takes a number of images, then options by name.

    Raises
    ------
    InputError
        It cannot be imported, or does not take them.
    """
    try:
        signature = inspect.signature(load(function))
    except ValueError:  # of a function in C, which does not tell
        return
    try:
        signature.bind(*[None] * images, **options)
    except TypeError as error:
        given = ", ".join([f"{images} image{'s' * (images > 1)}", *(f"{name}=…" for name in options)])
        raise InputError(
            f"function {function}: is called with {given}, and takes {signature} ({error}); fix `options`, or the "
            "function"
        ) from error


@cache
def file_digest_of_module(module: str) -> str:
    """Return the digest of the file that one of the user's modules is imported from; empty where there is none."""
    _search_working_directory()
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return ""
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        return ""
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()[:16]


@cache
def digests_of_own_files(module: str) -> dict[str, str]:
    """Return the digest of the file of one of the user's modules, and of each of theirs that it imports, by module.

    Theirs are the modules in the working directory and those of its own package; imports are followed, also inside
    functions, without running anything.
    """
    _search_working_directory()
    digests: dict[str, str] = {}
    waiting = [module]
    while waiting:
        parts = waiting.pop().split(".")
        for name in (".".join(parts[: i + 1]) for i in range(len(parts))):
            path = _own_file(name, module.partition(".")[0])
            if path and name not in digests:
                content = path.read_bytes()
                digests[name] = hashlib.sha256(content).hexdigest()[:16]
                waiting += _imports(content, name if path.name == "__init__.py" else name.rpartition(".")[0])
    return digests


def _own_file(name: str, package: str) -> Path | None:
    """Return the source file of a module that is in the working directory, or of a package that is installed."""
    bases = [Path(os.getcwd(), *name.split("."))]
    if name.partition(".")[0] == package:
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            spec = None
        if spec and spec.origin:
            folder = Path(spec.origin).parent
            root = folder.parent if spec.submodule_search_locations else folder
            bases.append(root.joinpath(*name.split(".")))
    files = [path for base in bases for path in (base / "__init__.py", base.with_suffix(".py"))]
    return next(filter(Path.is_file, files), None)


def _imports(source: bytes, package: str) -> list[str]:
    """Return the names that a module of a package imports, each of which may be a module."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # reported when the function is loaded
        return []
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names += [f"{origin}.{alias.name}" if origin else alias.name for alias in node.names]
    return names


def _search_working_directory() -> None:
    """Search the working directory first, as `python -m` does, so that its modules can import each other."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
