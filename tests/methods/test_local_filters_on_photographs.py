"""What docs/local-filters.md says that local filters bring, on predictions of published networks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ensir.cells import context, filter_statistics
from ensir.images import image_files
from ensir.methods import local_filters


def pairs(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the predictions and the target of every image, channels first."""
    models = sorted((folder / "pred").iterdir())
    for path in sorted((folder / "gt").iterdir()):
        files = [path, *(next(model.glob(f"{path.stem}.*")) for model in models)]
        target, *predictions = (np.moveaxis(image_files.read(str(file)), 2, 0) for file in files)
        yield np.ascontiguousarray(predictions), target


def psnr(fused: np.ndarray, target: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((fused.astype(np.float64) - target) ** 2))


@pytest.mark.parametrize(
    ("reference", "test", "average", "filtered"),
    [
        ("derain/rain100h_ref", "derain/rain100h_test", 29.66, 29.92),
        ("sr_x4/bsds12", "sr_x4/set5", 30.41, 30.39),
    ],
)
def test_gain(data: Path, reference: str, test: str, average: float, filtered: float):
    counter = filter_statistics.counter("abc", 8, 3, {})
    for fold, (x, y) in enumerate(pairs(data / "images" / reference)):
        counter.add(list(x), y, fold, slice(0, y.shape[1]))
    filters = local_filters.fit(counter.statistics(), {}, lambda done, total: None)["filter"]
    found = [
        (psnr(x.mean(0), y), psnr(context.filtered(x, filters), y)) for x, y in pairs(data / "images" / test)
    ]
    np.testing.assert_allclose(np.mean(found, axis=0), (average, filtered), rtol=0, atol=0.006)
