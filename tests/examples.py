"""Small made-up data, statistics as their definition reads, and how tests fit a LUT."""

import numpy as np
from hypothesis import strategies as st

from ensir import registry
from ensir.cells import statistics
from ensir.cells.counting import count
from ensir.cells.lut import LUT, assemble
from ensir.cells.statistics import Statistics
from ensir.storage import packing

NAMES = ("a", "b", "c", "d", "e")
ARRAYS = (
    "fold", "key", "channel", "count", "sum", "gram", "cross", "target_square",
    "offset", "level", "level_count",
)  # fmt: skip
seeds = st.integers(0, 2**32 - 1)


def pixels(seed, models=3, bits=8, channels=3, size=200):
    """Draw targets and predictions scattered around them, some far off, some at the ends of the range."""
    random = np.random.default_rng(seed)
    unit = 1 if bits == 8 else 257
    y = random.choice(random.integers(0, 256, 4), (channels, size)) + random.normal(0, 12, (channels, size))
    x = (
        y
        + random.normal(0, 6, (models, 1, 1))
        + random.normal(0, random.choice([1, 40]), (models, channels, size))
    )
    rounded = [np.clip(np.round(value * unit), 0, 255 * unit) for value in (x, y)]
    return tuple(value.astype(np.uint8 if bits == 8 else np.uint16) for value in rounded)


def image(seed, height=24, width=30, bits=8):
    """Draw a smooth target of three channels, and predictions of three models around it; return these first."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    y = 120 + 90 * np.stack([np.sin(columns / 7 + rows / (9 + c) + seed) for c in range(3)])
    x = np.stack([y + random.normal(0, sigma, y.shape) for sigma in (4, 7, 11)])
    unit, dtype = (1, np.uint8) if bits == 8 else (257, np.uint16)
    return tuple(np.clip(np.rint(value * unit), 0, 255 * unit).astype(dtype) for value in (x, y))


def counted(x, y, bin_width, fold=0):
    """Compute statistics cell by cell, with masks."""
    bits, models = y.dtype.itemsize * 8, len(x)
    bins = -(-256 // bin_width)
    key = np.zeros(y.shape, np.int64)
    for prediction in x.astype(np.int64):
        key = key * bins + prediction // (bin_width * (1 if bits == 8 else 257))
    rows, levels = [], []
    for cell in sorted({(int(k), c) for c in range(len(y)) for k in key[c]}):
        inside = key[cell[1]] == cell[0]
        xc, yc = x[:, cell[1], inside].astype(np.int64), y[cell[1], inside].astype(np.int64)
        levels.append(np.unique(yc, return_counts=True))
        rows.append((fold, *cell, len(yc), xc.sum(axis=1), xc @ xc.T, xc @ yc, (yc**2).sum()))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Statistics(
        NAMES[:models], bin_width, bits, *columns,
        offset=np.cumsum([0] + [len(level) for level, _ in levels]),
        level=np.concatenate([level for level, _ in levels]),
        level_count=np.concatenate([count for _, count in levels]),
    )  # fmt: skip


def assert_same(found, expected):
    """Compare two statistics to the bit."""
    same = ("models", "bin_width", "bits")
    assert [getattr(found, n) for n in same] == [getattr(expected, n) for n in same]
    for name in ARRAYS:
        value = getattr(found, name)
        assert value.dtype == np.int64, name
        np.testing.assert_array_equal(value, getattr(expected, name), err_msg=name)


def silent(done, total):
    """Show no progress."""


def released(bin_width, **changes):
    """Return settings of EnsIR."""
    defaults = {"kind": "ensir", "channels": "joint", "arithmetic": "released", "precision": "float64"}
    return {"bin_width": bin_width, **defaults, "prior": None, "max_steps": 1000, **changes}


def fitted(reference, options) -> LUT:
    """Fit a LUT as the stages do."""
    module, everything = registry.module("methods", options["kind"]), statistics.cells_of(reference, options)
    cells = everything.without_folds()
    found = module.estimate_weights(cells, everything, options, "cpu", silent)
    return assemble(cells, found, module.fill(everything, options))


def made(seed, models=3, bits=8, channels="joint", arithmetic="released"):
    """Fit a LUT of b = 32 to made-up pixels."""
    options = released(32, channels=channels, arithmetic=arithmetic)
    return fitted(count(*pixels(seed, models, bits), NAMES[:models], 32), options)


def as_stored(value: np.ndarray, bits: int) -> np.ndarray:
    """Return the fused values (channel, pixel) of an image of 8 or 16 bit as a fused store holds them."""
    try:
        return packing.unpack(packing.pack(value)) if bits == 8 else value
    except packing.OutOfRange:
        return value
