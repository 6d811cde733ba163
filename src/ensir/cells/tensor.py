"""Fusing tensors by a LUT, inside your own inference code, on any device.

lut = ensir.tensor.TensorLUT("my.lut", device="cuda")
fused = ensir.tensor.fuse(torch.stack([model(picture) for model in models]) * 255, lut)
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ensir.cells.lut import DENSE_CELLS, LUT, load
from ensir.errors import InputError
from ensir.images import depth

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped


class TensorLUT:
    """A LUT on a device, expanded to all cells.

    Parameters
    ----------
    lut : LUT or str
        A LUT, or its file.
    device : torch.device or str
    dtype : torch.float32 or torch.float64
        Dtype of the weights, the sums and the result.

    Raises
    ------
    InputError
        The LUT has more than 2²⁴ cells, which are not expanded.
    """

    def __init__(
        self, lut: LUT | str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ):
        lut = load(lut) if isinstance(lut, str) else lut
        if lut.cells > DENSE_CELLS:
            raise InputError(f"a LUT of {lut.cells} cells is too large for tensors; widen the bins")
        self.models, self.channels, self.bins = len(lut.models), lut.channels, lut.bins
        self.largest = depth.white(lut.bits)
        self.step = lut.bin_width * depth.unit(lut.bits)
        self.weights = torch.as_tensor(lut.dense, device=device, dtype=dtype)


def fuse(x: Shaped[Tensor, "model *batch channel height width"], lut: TensorLUT) -> Tensor:
    """Return the weighted sum of each value's predictions, by the cell that they fall into.

    Parameters
    ----------
    x : uint8, uint16 or float tensor, (model, …, channel, height, width)
        Predictions in the order of the LUT's models, on its device, in code values: 0–255 or 0–65535. Floats are
        rounded and clipped to find the cell, but weighted as they are.
    lut : TensorLUT

    Returns
    -------
    tensor of the LUT's dtype, (…, channel, height, width)
        In code values, neither rounded nor clipped. On a GPU, torch.compile makes a kernel at the first call.

    Raises
    ------
    InputError
        The number of models or channels does not fit the LUT.
    """
    if x.ndim < 4 or len(x) != lut.models or lut.channels not in (1, x.shape[-3]):
        raise InputError(
            f"a tensor of shape {tuple(x.shape)} does not fit a LUT of {lut.models} models and {lut.channels} channel "
            "groups; it should be (model, …, channel, height, width)"
        )
    combine = _compiled() if x.is_cuda else _combine
    return combine(x, lut.weights, lut.channels, lut.bins, lut.step, lut.largest)


def _combine(
    x: Shaped[Tensor, "model *batch channel height width"],
    weights: Float[Tensor, "number model"],
    channels: int,
    bins: int,
    step: int,
    largest: int,
) -> Float[Tensor, "*batch channel height width"]:
    """Look up and add, in the order of the models; elementwise but for the look-up, so that it can be one kernel."""
    number = torch.zeros(x.shape[1:], dtype=torch.int64, device=x.device)
    for prediction in x:
        code = prediction.round().clamp(0, largest) if prediction.is_floating_point() else prediction
        number = number * bins + torch.div(code.int(), step, rounding_mode="floor")
    if channels > 1:
        number = number * channels + torch.arange(channels, device=x.device)[:, None, None]
    fused = torch.zeros(x.shape[1:], dtype=weights.dtype, device=x.device)
    for prediction, weight in zip(x, weights.unbind(1), strict=True):
        fused = fused + weight[number] * prediction.to(weights.dtype)
    return fused


@cache
def _compiled() -> Any:
    return torch.compile(_combine)
