"""What kernels are compiled with: Numba, loaded without SciPy and CFFI.

Numba imports all of `scipy.linalg` to see whether its BLAS is there, and a parser of C to know functions of CFFI; no
kernel calls either. A job would wait 0.18 s for them, longer than for Numba itself. So they are hidden while Numba asks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast

import numba
from numba.extending import overload

njit, prange = numba.njit, numba.prange
__all__ = ["njit", "overload", "prange"]


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Let imports of a module fail that is not loaded yet."""
    modules = cast(dict[str, Any], sys.modules)  # None stands for what cannot be imported
    if module in modules:
        yield
        return
    modules[module] = None
    try:
        yield
    finally:
        del modules[module]


with _hidden("scipy.linalg"):
    import_module("numba.np.arraymath")  # which asks
with _hidden("cffi"):
    import_module("numba.core.typing.cffi_utils")
