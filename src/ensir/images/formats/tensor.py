"""PyTorch's `.pt`: a tensor, or a dictionary of tensors, loaded as weights only, so that nothing in it can run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.errors import InputError
from ensir.images.formats import arrays

if TYPE_CHECKING:
    from ensir.images.codes import Header, Values

NAME = "PyTorch"
SUFFIXES = (".pt",)
SIGNATURE = rb"PK\x03\x04.{26}[^\0]{0,200}?/data\.pkl"
READ = "a tensor, channels first or last, a batch of one; of a dictionary, the one that `array` names"
REFUSES = "anything but tensors, complex and quantized ones; several tensors without `array`; files of PyTorch < 1.6"


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    return _found(path, array)[1].header()


def values(path: str, array: str | None = None) -> Values:
    """See `Format`."""
    tensor, layout = _found(path, array)
    return layout.image(tensor.numpy())


def lossy(path: str) -> bool:
    """See `Format`."""
    return False


def _found(path: str, array: str | None) -> tuple[Any, arrays.Layout]:
    """Return a tensor, whose values are read when they are used, and its layout."""
    import torch

    held = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if isinstance(held, dict):
        named = {str(name): one for name, one in held.items() if isinstance(one, torch.Tensor)}
        held = named[arrays.chosen(path, list(named), array)]
    if not isinstance(held, torch.Tensor):
        raise InputError(f"{path}: holds no tensor, but a {type(held).__name__}; save a tensor")
    tensor = held.detach()
    if tensor.is_sparse or tensor.is_quantized or tensor.is_complex():
        raise InputError(f"{path}: holds a sparse, quantized or complex tensor; save a plain one")
    if tensor.dtype == torch.bfloat16:
        dtype = np.dtype(np.float32)
    else:
        dtype = np.dtype(str(tensor.dtype).removeprefix("torch."))
    layout = arrays.layout(path, tensor.shape, dtype, channels_first=True)
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor, layout
