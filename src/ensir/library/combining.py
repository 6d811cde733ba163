"""Fusing arrays by whatever combines predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from ensir import registry
from ensir.cells.lut import LutMethod
from ensir.errors import InputError
from ensir.images import depth
from ensir.library.arrays import Images, are_named, check_names, ordered, predictions, several, stacked
from ensir.library.loading import check_labels, is_array
from ensir.library.meaning import Meaning


class Combines(Protocol):
    """What fuses: a `Lut`, or a method that needs nothing of a reference."""

    @property
    def models(self) -> tuple[str, ...] | None:
        """Names of the models; None where any will do."""

    @property
    def bits(self) -> int | None:
        """8 or 16: depth of the predictions; None where any will do."""

    @property
    def method(self) -> str:
        """Kind of the method."""

    @property
    def combiner(self) -> Any:
        """The method, ready to run."""


def combined(by: Combines, x: Images, meaning: Meaning, expected: bool) -> Any:
    """Fuse one image, or several; return the expected squared errors in place of the fused images if these are asked.

    Raises
    ------
    InputError
        Predictions do not fit the table, or what they mean is not known.
    """
    if is_array(x) or (isinstance(x, Mapping) and all(map(is_array, x.values()))):
        return _one(by, x, meaning, expected, "x")
    if are_named(x):
        names = list(next(iter(x.values())))
        check_names(x, names, f"model {next(iter(x))}")
        return {
            name: _one(
                by, {model: held[name] for model, held in x.items()}, meaning, expected, f"image {name!r}: x"
            )
            for name in names
        }
    results = (_one(by, image, meaning, expected, f"image {i + 1}: x") for i, image in enumerate(several(x)))
    return results if isinstance(x, Iterator) else list(results)


def _one(by: Combines, x: Images, meaning: Meaning, expected: bool, what: str) -> Any:
    """Fuse one image."""
    if by.models is not None:
        x = ordered(x, by.models, what, "the table is of")
    check_labels(x.values() if isinstance(x, Mapping) else [], what)
    values = predictions(x, what)
    if by.bits and meaning.bits not in (None, by.bits):
        raise InputError(f"bits: is {meaning.bits}, but the table is of {by.bits} bits; leave it out")
    bits = by.bits or meaning.bits_of(values, what)
    codes = stacked(values, meaning, bits, what)
    if by.models is not None and len(codes) != len(by.models):
        raise InputError(
            f"{what}: holds {len(codes)} models, but the table is of {len(by.models)}: {', '.join(by.models)}"
        )
    if codes.ndim == 3 and not _is_pointwise(by):
        raise InputError(
            f"{what}: is a run of pixels, but this method looks at the neighbours of each; give (model, channel, "
            "height, width)"
        )
    result = by.combiner.fuse_with_error(codes)[1] if expected else by.combiner.fuse(codes)
    floats = [value for value in values if value.dtype.kind == "f"]
    if floats:
        black, white = meaning.range_of(floats[0], what)
        scale = (white - black) / depth.white(bits)
        result = result * np.float32(scale**2) if expected else result * np.float32(scale) + np.float32(black)
    return _like(result, x)


def _is_pointwise(by: Combines) -> bool:
    """Return whether a method needs no neighbours: `best` does where it chose a LUT."""
    return isinstance(by.combiner, LutMethod) or registry.section("methods", by.method).pointwise


def _like(result: np.ndarray, x: Images) -> Any:
    """Return a result as an array of the library that predictions came in: of PyTorch, or of NumPy."""
    first = next(iter(x.values())) if isinstance(x, Mapping) else x
    if not hasattr(first, "detach"):
        return result
    import torch

    return torch.from_numpy(result).to(first.device)
