"""Functions of the user's, named as ``package.module:name`` in the configuration."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from ensir import InputError


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
        return getattr(importlib.import_module(module), name)
    except Exception as error:
        raise InputError(f"function {function}: cannot be imported ({error}); mend `function`") from error
