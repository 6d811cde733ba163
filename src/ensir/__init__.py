"""EnsIR-flow: ensembles of image-restoration models over chunked Zarr stores.

lut = ensir.fit(x, y, method="least_squares", bin_width=16)  # x (model, channel, height, width), y without model
fused = lut.fuse(x_test)
ensir.score(y_test, fused, value_range=(0, 255))

What is imported here is loaded when it is first used.
"""

from typing import TYPE_CHECKING, Any

from ensir.errors import InputError

if TYPE_CHECKING:
    from ensir.cells import tensor
    from ensir.library.fitting import fit
    from ensir.library.fusing import fuse
    from ensir.library.reading import read
    from ensir.library.scores import score
    from ensir.library.selecting import Selection, select
    from ensir.library.statistics import Statistics, count
    from ensir.library.table import Lut

__all__ = [
    "InputError", "Lut", "Selection", "Statistics", "__version__", "count", "fit", "fuse", "read", "score",
    "select", "tensor",
]  # fmt: skip

__version__ = "0.2.0"

MODULES = {  # that hold what is loaded later
    "Lut": "library.table",
    "Selection": "library.selecting",
    "Statistics": "library.statistics",
    "count": "library.statistics",
    "fit": "library.fitting",
    "fuse": "library.fusing",
    "read": "library.reading",
    "score": "library.scores",
    "select": "library.selecting",
    "tensor": "cells.tensor",
}


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module 'ensir' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"ensir.{MODULES[name]}")
    return module if name == "tensor" else getattr(module, name)


def __dir__() -> list[str]:
    return __all__
