"""LUTs in the format of the published code: a dict in a ``.pth`` file.

A key is the tuple of the M bin starts (0, b, 2b, …), its value the list of the weights for R, G and B, each a tensor
(M,). Every bin set has an entry, whether any reference pixel was in it or not.
"""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.cells.lut import LUT
from ensir.errors import InputError
from ensir.storage import digests
from ensir.storage.atomic import replaced

if TYPE_CHECKING:
    from jaxtyping import Float

CHANNELS = 3
MOST_WEIGHTS = 2**24  # of a file; beyond, a dict of tensors takes gigabytes
UNKNOWN = 0  # status of a cell whose weights come from elsewhere


def read(path: str | Path, models: Sequence[str]) -> LUT:
    """Import a LUT; nothing in the file is executed.

    What the format does not record stays unknown: every cell has count 0, iterations 0, status `UNKNOWN` and an
    expected squared error of NaN. Channels that share all their weights are joined.

    Parameters
    ----------
    path : path
    models : list of str
        Names of the models, in the order of the weights.

    Raises
    ------
    InputError
        Not such a file, incomplete, or with weights that are not finite.
    """
    try:
        weights, bin_width = _checked(_loaded(path), len(models))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    channels = 1 if (weights == weights[:, :1]).all() else CHANNELS
    cells = len(weights) * channels
    return LUT(
        models=tuple(models),
        bin_width=bin_width,
        bits=8,
        channels=channels,
        key=np.repeat(np.arange(len(weights)), channels),
        channel=np.tile(np.arange(channels), len(weights)),
        weights=weights[:, :channels].reshape(cells, len(models)),
        count=np.zeros(cells, np.int64),
        iterations=np.zeros(cells, np.int64),
        status=np.full(cells, UNKNOWN, np.uint8),
        expected_squared_error=np.full(cells, np.nan),
        fill="constant",
        fill_weights=np.full(len(models), 1 / len(models)),
        attributes={
            "method": "published",
            "options": json.dumps({"channels": "joint" if channels == 1 else "separate"}),
            "reference": "unknown",
            "source_digest": digests.sha256(path),
        },
    )


def write(lut: LUT, path: str | Path, single: bool = False) -> str:
    """Export a LUT, with all its bin sets.

    Parameters
    ----------
    lut : LUT
    path : path
    single : bool
        Round the weights to float32, which the published code needs. Otherwise they are float64, unless float32
        represents them exactly, so that an import gives the same LUT.

    Returns
    -------
    str
        The dtype that was written: "float32" or "float64".

    Raises
    ------
    InputError
        The LUT is for 16 bit, which the format does not support, or too large for it.
    """
    import torch

    if lut.bits != 8:
        raise InputError(f"the published format is for 8-bit images; this LUT is for {lut.bits} bit")
    models = len(lut.models)
    if lut.bins**models * CHANNELS * models > MOST_WEIGHTS:
        raise InputError(
            f"{lut.bins}^{models} bin sets are too many for the published format; widen the bins"
        )
    weights = np.repeat(lut.dense.reshape(-1, lut.channels, models), CHANNELS // lut.channels, axis=1)
    if single or (weights.astype(np.float32) == weights).all():
        weights = weights.astype(np.float32)
    keys = itertools.product(range(0, 256, lut.bin_width), repeat=models)
    rows = torch.from_numpy(weights)
    content = io.BytesIO()  # PyTorch does not report a full disk
    torch.save({key: list(channels) for key, channels in zip(keys, rows, strict=True)}, content)
    with replaced(path) as partial:
        partial.write_bytes(content.getbuffer())
    return str(weights.dtype)


def _loaded(path: str | Path) -> Any:
    """Load a file of tensors and plain values, once its stated size is known to be plausible."""
    import torch

    if not Path(path).is_file():
        raise InputError("no such file")
    try:
        if zipfile.is_zipfile(path) and _unpacked(path) > Path(path).stat().st_size:
            raise InputError("claims to hold more than its own size; not read")
        return torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            "is damaged, or holds more than tensors and plain values; nothing in it was executed"
        ) from error


def _unpacked(path: str | Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _checked(content: Any, models: int) -> tuple[Float[np.ndarray, "set 3 model"], int]:
    """Return the weights of all bin sets, in order, and the bin width."""
    import torch

    starts = _bin_starts(content, models)
    keys = list(itertools.product(starts, repeat=models))
    rows = []
    for key in keys:
        channels = content[key]
        if not isinstance(channels, list | tuple) or len(channels) != CHANNELS:
            raise InputError(f"bin set {key} does not hold three tensors, for R, G and B")
        if not all(_is_row(row, models) for row in channels):
            raise InputError(f"bin set {key} holds something else than tensors of {models} weights")
        rows += [row.detach().double() for row in channels]
    weights = torch.stack(rows).numpy().reshape(len(keys), CHANNELS, models)
    damaged = np.flatnonzero(~np.isfinite(weights).all(axis=(1, 2)))
    if len(damaged):
        raise InputError(f"bin set {keys[damaged[0]]} has weights that are no finite numbers")
    return weights, starts[1] if len(starts) > 1 else 256


def _bin_starts(content: Any, models: int) -> list[int]:
    """Return the starts of the bins, 0, b, 2b, …; every combination of them must be a key."""
    if not isinstance(content, dict) or not content:
        raise InputError("is no dict of bin sets")
    for key in content:
        if not isinstance(key, tuple) or not all(type(start) is int for start in key):
            raise InputError(f"key {_shown(key)} is no tuple of bin starts")
        if len(key) != models:
            raise InputError(f"holds weights of {len(key)} models, but {models} are named")
    starts = sorted({start for key in content for start in key})
    if starts[0] != 0 or starts != list(range(0, 256, starts[1] if len(starts) > 1 else 256)):
        raise InputError(f"bin starts {_shown(starts)} are not 0, b, 2b, … up to 255")
    if len(content) != len(starts) ** models:
        raise InputError(f"has {len(content)} bin sets; {len(starts)} bins need {len(starts)}^{models}")
    return starts


def _is_row(row: Any, models: int) -> bool:
    import torch

    return (
        isinstance(row, torch.Tensor)
        and row.layout == torch.strided
        and row.is_floating_point()
        and (row.shape == (models,) and not row.is_meta)
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
