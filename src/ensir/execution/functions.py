"""The user's functions, named as ``package.module:name`` in the configuration."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
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


def _search_working_directory() -> None:
    """Search the working directory first, as `python -m` does, so that its modules can import each other."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
