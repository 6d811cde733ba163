"""Fusing tensors by a LUT or by local filters, inside your own inference code, on any device.

Examples
--------
>>> table = ensir.tensor.load("my.lut", device="cuda")  # doctest: +SKIP
>>> fused = ensir.tensor.fuse(torch.stack([model(picture) for model in models]) * 255, table)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ensir.cells import context, key
from ensir.cells.filters import FilterMethod
from ensir.cells.held_luts import lut_of
from ensir.cells.lut import DENSE_CELLS, LUT
from ensir.cells.lut import load as load_lut
from ensir.errors import InputError
from ensir.images import depth
from ensir.storage import fits
from ensir.storage.fits import Fit

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Shaped

SIGNED = (torch.int16, torch.int32, torch.int64)  # int8 cannot hold white, nor int16 that of 16 bits


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
        lut = load_lut(lut) if isinstance(lut, str) else lut
        if lut.cells > DENSE_CELLS:
            raise InputError(f"a LUT of {lut.cells} cells is too large for tensors; widen the bins")
        self.models, self.channels, self.bins = len(lut.models), lut.channels, lut.bins
        self.largest = depth.white(lut.bits)
        self.step = lut.bin_width * depth.unit(lut.bits)
        # A tensor, since torch.compile makes a slower kernel of every number that a second table has otherwise.
        self.per_step = torch.tensor(1 / self.step, device=device, dtype=torch.float32)
        self.weights = torch.as_tensor(lut.dense, device=device, dtype=dtype)


class TensorFilters:
    """Local filters on a device.

    Parameters
    ----------
    fit : Fit or str
        A fit of local filters, or where it is.
    device : torch.device or str
    dtype : torch.float32 or torch.float64
        Dtype of the filters, the sums and the result.
    """

    def __init__(
        self, fit: Fit | str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ):
        method = FilterMethod({}, fit)
        self.models, self.bits = len(method.fit.models), method.fit.bits
        self.grey, self.largest = method.grey, depth.white(self.bits)
        self.filters = torch.as_tensor(method.filter, device=device, dtype=dtype)
        self.step = context.step(self.models, self.bits)

    def thresholds(self, channels: int) -> list[Tensor]:
        """Return the thresholds of the levels of disagreement and of change, for images of so many channels."""
        levels = context.thresholds(self.models, channels, self.bits)
        return [torch.as_tensor(values, device=self.filters.device) for values in levels]


def load(
    path: str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> TensorLUT | TensorFilters:
    """Return what a file holds, on a device: a LUT, a fit of local filters, or that of what `best` chose.

    Raises
    ------
    InputError
        It holds neither, or a LUT that is too large.
    """
    if not fits.is_fit(path):
        return TensorLUT(path, device, dtype)
    fit = fits.load(path)
    return (
        TensorFilters(fit, device, dtype)
        if "filter" in fit.arrays
        else TensorLUT(lut_of(fit, path), device, dtype)
    )


def fuse(x: Shaped[Tensor, "model *batch channel height width"], table: TensorLUT | TensorFilters) -> Tensor:
    """Fuse predictions: their weighted sum by the cells of a LUT, or filtered by those of context.

    Parameters
    ----------
    x : uint8, uint16 or float tensor, (model, …, channel, height, width)
        Predictions in the order of the table's models, on its device, in code values: 0–255 or 0–65535. Floats are
        rounded and clipped to find the cell, but weighted as they are; other integers are clipped likewise. What NaN
        is weighted in is NaN. For filters, whole images.
    table : TensorLUT or TensorFilters

    Returns
    -------
    tensor of the table's dtype, (…, channel, height, width)
        In code values, neither rounded nor clipped. On a GPU, torch.compile makes a kernel at the first call.

    Raises
    ------
    InputError
        The number of models or channels, or the dtype, does not fit the table.
    """
    check_dtype(x, table.largest)
    shape = tuple(x.shape)
    if isinstance(table, TensorFilters):
        if x.ndim < 4 or len(x) != table.models or (x.shape[-3] == 1) != table.grey:
            raise InputError(
                f"a tensor of shape {shape} does not fit filters of {table.models} models and "
                f"{'grey' if table.grey else 'colour'} images; it should be (model, …, channel, height, width)"
            )
        run = _compiled(filtered) if x.is_cuda else filtered
        disagreement, change = table.thresholds(x.shape[-3])
        return run(x, table.filters, disagreement, change, table.step, table.largest)
    if x.ndim < 4 or len(x) != table.models or table.channels not in (1, x.shape[-3]):
        raise InputError(
            f"a tensor of shape {shape} does not fit a LUT of {table.models} models and {table.channels} channel "
            "groups; it should be (model, …, channel, height, width)"
        )
    run = _compiled(combined) if x.is_cuda else combined
    return run(x, table.weights, table.channels, table.bins, table.per_step, table.largest)


def check_dtype(x: Tensor, largest: int) -> None:
    """Raise an InputError where a tensor is of another depth than a table, or holds no numbers that can be read."""
    own, signed = (torch.uint8, SIGNED) if largest == depth.white(8) else (torch.uint16, SIGNED[1:])
    if not x.is_floating_point() and x.dtype not in (own, *signed):
        bits = torch.iinfo(own).bits
        raise InputError(
            f"a tensor of {x.dtype} does not fit a table of {bits} bits; convert it to {own}, or to floats"
        )


def codes_of(x: Tensor, largest: int) -> Tensor:
    """Return integer code values; 0 for NaN, so that a cell is found."""
    if x.is_floating_point():
        x = x.float() if x.itemsize < 4 else x  # half precision cannot hold every largest value
        x = torch.where(x.isnan(), 0, x).round().clamp(0, largest)
    elif x.dtype in SIGNED:
        x = x.long().clamp(0, largest)
    return x.int()


def bin_of(codes: Int[Tensor, "*axes"], per_step: float | Tensor) -> Int[Tensor, "*axes"]:
    """Return the bins of code values, whose width is 1 / `per_step`: (code + ½) / width, rounded down.

    Exact in float32. On a GPU, a division of integers takes a hundred instructions.
    """
    return ((codes.float() + 0.5) * per_step).int()


def combined(
    x: Shaped[Tensor, "model *batch channel height width"],
    weights: Float[Tensor, "number model"],
    channels: int,
    bins: int,
    per_step: float | Tensor,
    largest: int,
) -> Float[Tensor, "*batch channel height width"]:
    """Look up and add, in the order of the models; elementwise but for the look-up, so that it can be one kernel."""
    number = torch.zeros(x.shape[1:], dtype=torch.int32, device=x.device)
    for prediction in x:
        number = number * bins + bin_of(codes_of(prediction, largest), per_step)
    if channels > 1:
        number = number * channels + torch.arange(channels, dtype=torch.int32, device=x.device)[:, None, None]
    number = number.long()  # ONNX Runtime looks up nothing else
    fused = torch.zeros(x.shape[1:], dtype=weights.dtype, device=x.device)
    for prediction, weight in zip(x, weights.unbind(1), strict=True):
        fused = fused + weight[number] * prediction.to(weights.dtype)
    return fused


def filtered(
    x: Shaped[Tensor, "model *batch channel height width"],
    filters: Float[Tensor, "cell feature"],
    disagreement: Int[Tensor, " level"],
    change: Int[Tensor, " level"],
    step: int,
    largest: int,
) -> Float[Tensor, "*batch channel height width"]:
    """Return m + Wᵀf; see `context`, which has the same for arrays, without what makes features whole."""
    models, channels = len(x), x.shape[-3]
    codes = codes_of(x, largest)
    total = codes.sum(0, dtype=torch.int32)
    differing = torch.zeros_like(total)
    for m in range(models):
        for n in range(m):
            differing = differing + (codes[m] - codes[n]).abs()
    grey = total.sum(-3, dtype=torch.int32)
    changing = _across(grey, -1) + _across(grey, -2)
    levels = [
        torch.bucketize(_box(sums), limits, right=True)
        for sums, limits in ((differing.sum(-3, dtype=torch.int32), disagreement), (changing, change))
    ]
    pixel = (levels[0] * context.LEVELS + levels[1]) * context.LEVELS
    cell = pixel.unsqueeze(-3) + torch.div(total, step, rounding_mode="floor")

    half = (largest + 1) // 2
    x = x.to(filters.dtype) - half  # so that float32 rounds less
    mean = x.mean(0)
    axial, diagonal = _rings(x)
    features = [*(x[:-1] - mean), *(axial - mean), *(diagonal - mean)]
    if channels > 1:
        rings = [ring.mean(0) - mean for ring in (axial, diagonal)]
        features += [_of_others(feature) for feature in (*(x[:-1] - mean), *rings)]
    middle = (torch.div(total, step, rounding_mode="floor") + 0.5) * (step / models) - half
    one = step / (models * key.LEVELS // context.LEVELS)
    features += [mean - middle, torch.full_like(mean, one)]
    fused = mean
    for feature, weight in zip(features, filters.unbind(1), strict=True):
        fused = fused + weight[cell] * feature
    return fused + half


def _shifted(values: Tensor, dim: int, by: int) -> Tensor:
    """Return values some steps further on; beyond the edge, the last one goes on."""
    size = values.shape[dim]
    at = (torch.arange(size, device=values.device) + by).clamp(0, size - 1)
    return values.index_select(dim, at)


def _box(values: Int[Tensor, "*batch height width"]) -> Int[Tensor, "*batch height width"]:
    """Return sums over 5×5 pixels."""
    rows = sum((_shifted(values, -1, by) for by in range(-2, 3)), torch.zeros_like(values))
    return sum((_shifted(rows, -2, by) for by in range(-2, 3)), torch.zeros_like(values))


def _across(values: Int[Tensor, "*batch height width"], dim: int) -> Int[Tensor, "*batch height width"]:
    """Return by how much the two neighbours of a pixel differ; 0 at the border."""
    size = values.shape[dim]
    inside = torch.arange(size, device=values.device)
    inside = ((inside > 0) & (inside < size - 1)).int()
    difference = (_shifted(values, dim, 1) - _shifted(values, dim, -1)).abs()
    return difference * (inside if dim == -1 else inside[:, None])


def _rings(x: Float[Tensor, "*batch height width"]) -> tuple[Tensor, Tensor]:
    """Return the means of the four axial and of the four diagonal neighbours."""
    beside = _shifted(x, -2, -1) + _shifted(x, -2, 1)
    axial = beside + _shifted(x, -1, -1) + _shifted(x, -1, 1)
    return axial / 4, (_shifted(beside, -1, -1) + _shifted(beside, -1, 1)) / 4


def _of_others(
    values: Float[Tensor, "*batch channel height width"],
) -> Float[Tensor, "*batch channel height width"]:
    """Return, for each channel, the mean over the others."""
    return (values.sum(-3, keepdim=True) - values) / (values.shape[-3] - 1)


@cache
def _compiled(function: Callable) -> Any:
    return torch.compile(function)
