"""What kernels are compiled with: Numba, loaded without SciPy and CFFI.

Numba imports all of `scipy.linalg` to see whether its BLAS is there, and a parser of C to know functions of CFFI; no
kernel calls either. A job would wait 0.18 s for them, longer than for Numba itself. So they are hidden while it asks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast

import numba
from numba.core.compiler import Compiler
from numba.extending import overload

njit, prange = numba.njit, numba.prange
__all__ = ["native", "njit", "overload", "prange"]


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


class _Apart(Compiler):
    """Compiles functions whose arrays do not overlap, so that loops with look-ups are vectorized, too."""

    def define_pipelines(self) -> Any:
        """Return the steps of compiling."""
        self.state.flags.noalias = True
        return super().define_pipelines()


def native(function: Any, signature: str, vectorized: bool) -> tuple[str, str]:
    """Compile a function to be called from outside of Python; the arrays that it gets must not overlap.

    Returns
    -------
    str, str
        Its name, and the program in LLVM's language; not yet of vectors, unless `vectorized`.
    """
    config = cast(Any, numba.config)
    before = config.LOOP_VECTORIZE
    config.LOOP_VECTORIZE = before and vectorized
    try:
        compiled = numba.cfunc(signature, error_model="numpy", pipeline_class=_Apart)(function)
        return compiled.native_name, compiled.inspect_llvm()
    finally:
        config.LOOP_VECTORIZE = before


with _hidden("scipy.linalg"):
    import_module("numba.np.arraymath")  # which asks
with _hidden("cffi"):
    import_module("numba.core.typing.cffi_utils")
