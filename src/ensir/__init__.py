"""EnsIR-flow: ensembles of image-restoration models over chunked Zarr stores.

`ensir.tensor`, for tensors inside somebody's own inference, is imported when it is first used.
"""

from types import ModuleType

__version__ = "0.1.0"


class InputError(ValueError):
    """Bad input from outside: the message names the file, the key and the mend."""


def __getattr__(name: str) -> ModuleType:
    if name == "tensor":
        from importlib import import_module

        return import_module("ensir.tensor")
    raise AttributeError(f"module 'ensir' has no attribute {name!r}")
