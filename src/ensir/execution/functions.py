"""Functions of the user's, named as ``package.module:name`` in the configuration."""

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
from ensir.execution import functions


def look_here() -> None:
    """Search the working directory first, as `python -m` does: its modules may import each other at any time."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


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
    look_here()
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:
        raise InputError(f"function {function}: cannot be imported ({error}); fix `function`") from error
    if not callable(found):
        raise InputError(f"function {function}: is no function; fix `function`")
    return found


@cache
def file_digest_of_module(module: str) -> str:
    """Return the digest of the file that a module of the user's is imported from; empty where there is none."""
    functions.look_here()
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return ""
    if found is None or not found.origin or not Path(found.origin).is_file():
        return ""
    return hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()[:16]
