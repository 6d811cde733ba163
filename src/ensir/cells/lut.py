"""The look-up table: the weights of every occupied cell, in one file that xarray opens."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.cells import fusing
from ensir.cells.key import bins, bins_of, key_tables
from ensir.cells.statistics import Statistics
from ensir.errors import InputError
from ensir.storage import fits, netcdf
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Shaped

FORMAT_VERSION = 1
DENSE_CELLS = 2**24  # up to this number of cells, a LUT is expanded to all cells; beyond, cells are looked up
NEAR_ONE = (
    2e-7  # what a sum of weights may be from one: of 255 levels, half of the 1e-4 that fusing may be off
)
FEWEST = 100  # values of a cell; with fewer, EM does not run
FEW, ESTIMATED, FAILED = 1, 2, 3  # status of a cell, as in `CellWeights`
CELL_COLUMNS = ("key", "channel", "count", "iterations", "status", "expected_squared_error")  # of the file


@dataclass(frozen=True)
class CellWeights:
    """The estimated weights of each cell.

    Attributes
    ----------
    weights : float64 array, (cell, model)
    iterations : int64 array, (cell,)
        Steps of EM; 0 where none ran.
    status : uint8 array, (cell,)
        1: fewer than 100 values, initial weights. 2: estimated. 3: failed, initial weights.
    """

    weights: Float[np.ndarray, "cell model"]
    iterations: Int[np.ndarray, " cell"]
    status: Int[np.ndarray, " cell"]


@dataclass(frozen=True)
class LUT:
    """Weights of the occupied cells, sorted by (key, channel).

    Attributes
    ----------
    models : tuple of str
        Names of the models, in the order of the weights.
    bin_width : int
        b, in levels of 0–255.
    bits : int
        8 or 16.
    channels : int
        Channel groups: 1 where all channels share a cell.
    key, channel : int64 arrays, (cell,)
    weights : float64 array, (cell, model)
    count : int64 array, (cell,)
        Reference values in the cell.
    iterations : int64 array, (cell,)
    status : uint8 array, (cell,)
        As in `CellWeights`.
    expected_squared_error : float64 array, (cell,)
        Mean of (y − Σ w_m x_m)² over the reference values of the cell, in squared code values.
    fill : str
        Weights of empty cells: "previous" (of the cell before, in the order of key and channel) or "constant".
    fill_weights : float64 array, (model,)
        The constant; with "previous", the weights where nothing precedes.
    reference_images, reference_digests : tuple of str
        Names of the reference images, and the digests of their targets.
    prediction_digests : tuple of tuple of str, (model, image)
        Digests of the predictions for them; empty where they are unknown.
    attributes : dict
        Method, options, reference, digests.
    """

    models: tuple[str, ...]
    bin_width: int
    bits: int
    channels: int
    key: Int[np.ndarray, " cell"]
    channel: Int[np.ndarray, " cell"]
    weights: Float[np.ndarray, "cell model"]
    count: Int[np.ndarray, " cell"]
    iterations: Int[np.ndarray, " cell"]
    status: Int[np.ndarray, " cell"]
    expected_squared_error: Float[np.ndarray, " cell"]
    fill: str
    fill_weights: Float[np.ndarray, " model"]
    reference_images: tuple[str, ...] = ()
    reference_digests: tuple[str, ...] = ()
    prediction_digests: tuple[tuple[str, ...], ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def bins(self) -> int:
        """T: bins per model."""
        return bins(self.bin_width)

    @property
    def gain(self) -> Float[np.ndarray, " fold"] | None:
        """Gain of each reference image over the average in dB, by choices on the others; None without choice."""
        return np.array(json.loads(self.attributes["gain"])) if "gain" in self.attributes else None

    @property
    def cells(self) -> int:
        """Number of all cells, occupied or not."""
        return self.bins ** len(self.models) * self.channels

    @cached_property
    def number(self) -> Int[np.ndarray, " cell"]:
        """Number of each occupied cell, in the order of key and channel."""
        return self.key * self.channels + self.channel

    def rows(self, number: Int[np.ndarray, "*shape"]) -> Int[np.ndarray, "*shape"]:
        """Return the row of each cell in `filled`; empty cells follow the fill rule."""
        at = np.searchsorted(self.number, number, side="right") - 1
        if self.fill == "previous":
            return at
        inside = np.maximum(at, 0)
        return np.where((at >= 0) & (self.number[inside] == number), at, -1)

    @cached_property
    def filled(self) -> Float[np.ndarray, "row model"]:
        """Weights of the occupied cells; the last row (-1) is the fill."""
        return np.concatenate([self.weights, self.fill_weights[None]])

    @cached_property
    def dense(self) -> Float[np.ndarray, "number model"]:
        """Weights of all cells, in the order of key and channel."""
        return np.ascontiguousarray(self.filled[self.rows(np.arange(self.cells))])

    def expected_errors(self, number: Int[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Return the expected squared error of each cell, float32; NaN for cells without reference values."""
        at = np.searchsorted(self.number, number, side="right") - 1
        return np.where(self.number[at] == number, self.expected_squared_error[at], np.nan).astype(np.float32)

    def counts(self, number: Int[np.ndarray, "*shape"]) -> Int[np.ndarray, "*shape"]:
        """Return how many reference values each cell holds, at most 100, uint8."""
        at = np.searchsorted(self.number, number, side="right") - 1
        return np.where(self.number[at] == number, np.minimum(self.count[at], FEWEST), 0).astype(np.uint8)

    @cached_property
    def dense_counts(self) -> Int[np.ndarray, " number"]:
        """`counts` of all cells, in the order of key and channel."""
        return self.counts(np.arange(self.cells))

    @property
    def perfect_models(self) -> list[str]:
        """The models whose predictions are the targets, bit for bit, in all reference images."""
        known = zip(self.models, self.prediction_digests, strict=False)
        return [model for model, digests in known if digests == self.reference_digests]

    @cached_property
    def dense_errors(self) -> Float[np.ndarray, " number"]:
        """Expected squared error of all cells, float32, in the order of key and channel."""
        return self.expected_errors(np.arange(self.cells))


def assemble(
    cells: Statistics,
    estimated: CellWeights,
    fill: tuple[str, Float[np.ndarray, " model"]],
    **origin: Any,
) -> LUT:
    """Make a LUT.

    Parameters
    ----------
    cells : Statistics
        Statistics of all occupied cells, with their folds added up.
    estimated : CellWeights
        Their weights.
    fill : (str, array)
        Rule and weights of empty cells.
    **origin
        `reference_images`, `reference_digests`, `prediction_digests` and `attributes` of the LUT.
    """
    return LUT(
        models=cells.models,
        bin_width=cells.bin_width,
        bits=cells.bits,
        channels=int(cells.channel.max(initial=0)) + 1,
        key=cells.key,
        channel=cells.channel,
        weights=estimated.weights,
        count=cells.count,
        iterations=estimated.iterations,
        status=estimated.status,
        expected_squared_error=cells.expected_squared_error(estimated.weights),
        fill=fill[0],
        fill_weights=fill[1],
        **origin,
    )


class LutMethod:
    """A method that weighs each value by the cell that its predictions fall into (Eqs. 14 and 15)."""

    def __init__(self, settings: dict[str, Any], lut: str | LUT | None):
        assert lut is not None
        self.lut = load(lut) if isinstance(lut, str) else lut
        self.tables = self.lut.channels * key_tables(len(self.lut.models), self.lut.bin_width, self.lut.bits)
        self.is_dense = self.lut.cells <= DENSE_CELLS

    def numbers(self, x: Shaped[np.ndarray, "model channel *pixels"]) -> Int[np.ndarray, " channel *pixels"]:
        """Return the number of the cell of each value."""
        number: np.ndarray = np.zeros(x.shape[1:], np.uint64)
        for table, prediction in zip(self.tables, x, strict=True):
            number += table[prediction]
        if self.lut.channels > 1:
            number += np.arange(self.lut.channels, dtype=np.uint64).reshape(-1, *[1] * (number.ndim - 1))
        return number.view(np.int64)

    def fuse(
        self, x: Shaped[np.ndarray, "model channel *pixels"], dtype: type = np.float32
    ) -> Float[np.ndarray, " channel *pixels"]:
        """Return the weighted sum of each value's predictions.

        Weights and sums are of the dtype of the result: in float32, within 1e-4 levels of 0–255.
        """
        fused: np.ndarray = np.empty(x.shape[1:], dtype)
        self._combine(x, fused)
        return fused

    def fuse_with_error(
        self, x: Shaped[np.ndarray, "model channel *pixels"]
    ) -> tuple[Float[np.ndarray, " channel *pixels"], Float[np.ndarray, " channel *pixels"]]:
        """Return the fused image and, in the same pass, the expected squared error of each of its values.

        Both are float32; the error is in squared code values, NaN in cells without reference values.
        """
        fused, expected = np.empty((2, *x.shape[1:]), np.float32)
        self._combine(x, fused, expected)
        return fused, expected

    def _combine(
        self,
        x: Shaped[np.ndarray, "model channel *pixels"],
        fused: Float[np.ndarray, " channel *pixels"],
        expected: Float[np.ndarray, " channel *pixels"] | None = None,
    ) -> None:
        """Write what `fuse` and `fuse_with_error` return."""
        lut, bits = self.lut, x.dtype.itemsize * 8
        fits.check_depth(lut.bits, bits)
        fits.check_channels(lut.channels, x.shape[1])
        if len(x) != len(lut.models):
            raise InputError(f"{len(x)} predictions do not fit a LUT of {len(lut.models)} models")
        if self.is_dense and fused.dtype == np.float32 and (bits, len(x)) in fusing.KERNELS:
            errors = None if expected is None else lut.dense_errors
            fusing.fuse(x, lut.bin_width, self.dense_weights, lut.channels, fused, errors, expected)
            return
        numbers = self.numbers(x)
        rows, weights = lut.rows(numbers), lut.filled.astype(fused.dtype)
        fused[...] = sum(weights[rows, m] * prediction for m, prediction in enumerate(x))
        if expected is not None:
            expected[...] = lut.expected_errors(numbers)

    @cached_property
    def dense_weights(self) -> Float[np.ndarray, "number column"]:
        """Weights of all cells, float32, in the order of key and channel.

        Without those of the last model, where they are what is missing to one.
        """
        dense = self.lut.dense
        sums_to_one = np.abs(dense.sum(axis=1) - 1).max(initial=0) <= NEAR_ONE
        return np.ascontiguousarray(dense[:, :-1] if sums_to_one else dense, np.float32)

    def counts(self, x: Shaped[np.ndarray, "model channel *pixels"]) -> Int[np.ndarray, " channel *pixels"]:
        """Return how many reference values are in the cell of each value, at most 100, uint8."""
        numbers = self.numbers(x)
        return self.lut.dense_counts[numbers] if self.is_dense else self.lut.counts(numbers)

    def weights(
        self, x: Shaped[np.ndarray, "model channel *pixels"]
    ) -> Float[np.ndarray, "model channel *pixels"]:
        """Return the weight of every predicted value."""
        return np.moveaxis(self.lut.filled[self.lut.rows(self.numbers(x))], -1, 0)


# ── on disk ─────────────────────────────────────────────────────────────────────────────────────────────────


def save(lut: LUT, place: Place | Path) -> None:
    """Write a LUT as one NetCDF-4 file, atomically; a path is that of a file outside a results folder."""
    arrays: dict[str, tuple[tuple[str, ...], Any]] = {
        "model": (("model",), lut.models),
        "image": (("image",), lut.reference_images),
        "reference_digest": (("image",), lut.reference_digests),
    }
    if lut.prediction_digests:
        arrays["prediction_digest"] = (("model", "image"), lut.prediction_digests)
    arrays |= {
        "weights": (("cell", "model"), lut.weights),
        "bin": (("cell", "model"), bins_of(lut.key, lut.bin_width, len(lut.models)).astype(np.int16)),
        **{name: (("cell",), getattr(lut, name)) for name in CELL_COLUMNS},
        "fill_weights": (("model",), lut.fill_weights),
    }
    dimensions = {"cell": len(lut.key), "model": len(lut.models), "image": len(lut.reference_images)}
    described = {name: getattr(lut, name) for name in ("bin_width", "bins", "bits", "channels", "fill")}
    netcdf.save(
        place,
        dimensions,
        arrays,
        {"kind": "lut", "format_version": FORMAT_VERSION} | described | lut.attributes,
        {"weights": "mixing weight of each model", "bin": "bin of each model: values from bin × bin_width"},
    )


def load(path: str) -> LUT:
    """Read a LUT.

    Raises
    ------
    InputError
        Not a LUT, damaged, or of another format version.
    """
    data, attributes = netcdf.load(path, "a LUT")
    if attributes.pop("kind", None) != "lut":
        raise InputError(f"{path}: is not a LUT")
    if (version := attributes.pop("format_version", None)) != FORMAT_VERSION:
        raise InputError(
            f"{path}: has LUT format {version}, and this version reads {FORMAT_VERSION} only; "
            "make it again, or use the version that wrote it"
        )
    try:
        base = attributes.pop("bins")
        columns: dict[str, Any] = {name: data[name] for name in CELL_COLUMNS}
        columns |= {name: attributes.pop(name) for name in ("bin_width", "bits", "channels", "fill")}
        lut = LUT(
            models=tuple(map(str, data["model"])),
            weights=data["weights"],
            fill_weights=data["fill_weights"],
            **columns,
            reference_images=tuple(map(str, data["image"])),
            reference_digests=tuple(map(str, data["reference_digest"])),
            prediction_digests=tuple(tuple(map(str, row)) for row in data.get("prediction_digest", ())),
            attributes=attributes,
        )
        bin_of = bins_of(lut.key, lut.bin_width, len(lut.models))
        sound = is_sound(lut) and base == lut.bins and np.array_equal(bin_of, data["bin"])
    except Exception as error:
        raise InputError(f"{path}: lacks what a LUT holds ({error}); make it again") from error
    if not sound:
        raise InputError(f"{path}: its parts do not fit each other; make it again")
    return lut


def is_sound(lut: LUT) -> bool:
    """Return whether fusing stays within the table: the parts of a LUT fit together, and every cell exists."""
    models = len(lut.models)
    return (
        (1 <= lut.bin_width <= 256 and lut.bits in (8, 16) and lut.channels >= 1)
        and lut.fill in ("previous", "constant")
        and lut.key.dtype == lut.channel.dtype == np.int64
        and lut.weights.shape == (len(lut.key), models)
        and lut.fill_weights.shape == (models,)
        and bool(np.isfinite(lut.weights).all() and np.isfinite(lut.fill_weights).all())
        and bool((np.diff(lut.number, prepend=-1) > 0).all() and (lut.number < lut.cells).all())
        and bool(((lut.channel >= 0) & (lut.channel < lut.channels)).all())
    )
