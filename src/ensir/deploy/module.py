"""A table as a module of PyTorch: what `torch.export`, `torch.compile` and your own networks take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ensir.cells.filters import FilterMethod
from ensir.cells.lut import LUT
from ensir.cells.tensor import TensorFilters, TensorLUT, check_dtype, combined, filtered
from ensir.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

    Predictions = Shaped[Tensor, "model *batch channel height width"]
    Fused = Float[Tensor, "*batch channel height width"]

STATE = ("names", "bits", "channels", "step")  # of a table, beside its buffers


class TableModule(nn.Module):
    """What modules have in common.

    Attributes
    ----------
    names : tuple of str
        Of the models.
    bits : int
        8 or 16.
    models : int
    channels : int or None
        None: any number.
    step : int
        Code values per bin, or per level of the context.
    """

    names: tuple[str, ...]
    bits: int
    models: int
    channels: int | None
    step: int

    def get_extra_state(self) -> Tensor:
        """Return what tells tables apart whose buffers are alike, as the bytes of JSON; it is in the `state_dict`."""
        told = json.dumps({name: getattr(self, name) for name in STATE})
        return torch.tensor(list(told.encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Check that the state is that of this table: only weights can be loaded.

        Raises
        ------
        InputError
            It is of a table of other models, bins or another depth.
        """
        own, other = (bytes(told.tolist()).decode() for told in (self.get_extra_state(), state))
        if own != other:
            raise InputError(f"the state is that of another table, {other}, not {own}; load it into its own")


class LutModule(TableModule):
    """Weighs each value by the cell that its predictions fall into.

    Parameters
    ----------
    lut : LUT
    dtype : torch.float32 or torch.float64
        Dtype of the weights, the sums and the result.

    Raises
    ------
    InputError
        The LUT has more than 2²⁴ cells, which are not expanded.
    """

    weights: Tensor

    def __init__(self, lut: LUT, dtype: torch.dtype = torch.float32):
        super().__init__()
        table = TensorLUT(lut, dtype=dtype)
        self.names = lut.models
        self.bits, self.models, self.channels = (
            lut.bits,
            table.models,
            lut.channels if lut.channels > 1 else None,
        )
        self.groups, self.bins, self.step, self.largest = (
            table.channels,
            table.bins,
            table.step,
            table.largest,
        )
        self.register_buffer("weights", table.weights)

    def forward(self, x: Predictions) -> Fused:
        """Return the weighted sum of predictions in code values, neither rounded nor clipped.

        Parameters
        ----------
        x : uint8, uint16 or float tensor, (model, …, channel, height, width)
            Floats are rounded and clipped to find the cell, but weighted as they are; other integers are clipped
            likewise. What NaN is weighted in is NaN.

        Raises
        ------
        InputError
            The number of models or channels, or the dtype, does not fit the table.
        """
        _check(x, self.models, self.channels, self.largest)
        return combined(x, self.weights, self.groups, self.bins, 1 / self.step, self.largest)


class FilterModule(TableModule):
    """Filters the predictions at a value and around it, by its cell of context.

    Parameters
    ----------
    method : FilterMethod
    dtype : torch.float32 or torch.float64
        Dtype of the filters, the sums and the result.
    """

    filters: Tensor
    disagreement: Tensor
    change: Tensor

    def __init__(self, method: FilterMethod, dtype: torch.dtype = torch.float32):
        super().__init__()
        table = TensorFilters(method.fit, dtype=dtype)
        self.names = method.fit.models
        self.bits, self.models, self.channels = table.bits, table.models, 1 if table.grey else 3
        self.step, self.largest = table.step, table.largest
        self.register_buffer("filters", table.filters)
        for name, limits in zip(("disagreement", "change"), table.thresholds(self.channels), strict=True):
            self.register_buffer(name, limits)

    def forward(self, x: Predictions) -> Fused:
        """Return the filtered predictions of whole images in code values; see `LutModule.forward`."""
        _check(x, self.models, self.channels, self.largest)
        return filtered(x, self.filters, self.disagreement, self.change, self.step, self.largest)


def _check(x: Predictions, models: int, channels: int | None, largest: int) -> None:
    """Raise an InputError where predictions do not fit a table; None stands for any number of channels."""
    check_dtype(x, largest)
    if x.ndim < 4 or x.shape[0] != models or (channels is not None and x.shape[-3] != channels):
        raise InputError(
            f"a tensor of shape {tuple(x.shape)} does not fit a table of {models} models and {channels or 'any'} "
            "channels; it should be (model, …, channel, height, width)"
        )


def module_of(
    content: LUT | FilterMethod | None, where: str, dtype: torch.dtype | None = None
) -> LutModule | FilterModule:
    """Return the module of a LUT or of filters; float32 where nothing else is asked for.

    Raises
    ------
    InputError
        It is neither, or a LUT that is too large.
    """
    if isinstance(content, LUT):
        return LutModule(content, dtype or torch.float32)
    if isinstance(content, FilterMethod):
        return FilterModule(content, dtype or torch.float32)
    raise InputError(f"{where}: holds neither weights of cells nor filters, of which alone there are modules")
