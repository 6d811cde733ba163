"""EnsIR-flow: ensembles of image-restoration models over chunked Zarr stores.

`ensir.tensor`, for tensors inside your own inference code, is imported when it is first used.
"""

from types import ModuleType

from ensir.errors import InputError

__all__ = ["InputError", "__version__", "tensor"]

__version__ = "0.1.0"


def __getattr__(name: str) -> ModuleType:
    if name == "tensor":
        from importlib import import_module

        return import_module("ensir.cells.tensor")
    raise AttributeError(f"module 'ensir' has no attribute {name!r}")
