"""`ensir fuse` goes through images some rows at a time, to the bits of whole images."""

from __future__ import annotations

import numpy as np
import pytest
from examples import as_stored, made

from ensir.cells import context
from ensir.cells.filters import FilterMethod
from ensir.cells.lut import LutMethod
from ensir.cli import fusing_by_rows
from ensir.storage.fits import Fit

HEIGHT, WIDTH = 211, 337


def smooth(seed: int) -> np.ndarray:
    """Draw a smooth image: context depends on what is around a value."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    waves = [np.sin(a * y + b * x) for a, b in random.uniform(0.02, 0.6, (3, 2))]
    noisy = 128 + 90 * np.stack(waves, axis=2) + random.normal(0, 8, (HEIGHT, WIDTH, 3))
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def filters(size: float) -> FilterMethod:
    """Return local filters of two models with random weights."""
    random, features = np.random.default_rng(5), context.number_of_features(2, 3)
    arrays = {
        "filter": random.normal(0, size, (context.KEYS, features)),
        "count": random.integers(0, 2, context.KEYS),
        "expected_squared_error": random.uniform(1, 9, context.KEYS),
    }
    return FilterMethod({}, Fit(("a", "b"), 8, arrays, (), (), {}))


METHODS = {
    "filters": lambda: filters(0.01),
    "filters far outside 0–255, which are not packed": lambda: filters(1.0),
    "lut": lambda: LutMethod({}, made(3, models=2)),
}


@pytest.mark.parametrize("name", METHODS)
def test_rows_have_the_bits_of_the_whole_image(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setattr(fusing_by_rows, "PIXELS", 5000)  # 14 rows
    monkeypatch.setattr(fusing_by_rows, "HALOS", 1)
    method, images = METHODS[name](), [smooth(1), smooth(2)]
    x = np.stack([np.moveaxis(image, 2, 0) for image in images])
    whole, errors = method.fuse_with_error(x)
    stored = as_stored(whole.reshape(3, -1), 8).T.reshape(images[0].shape)
    halo = fusing_by_rows.halo_of(method, None)
    assert halo == (0 if name == "lut" else context.HALO)
    result, expected = fusing_by_rows.fused(method, images, halo, "x", True)
    np.testing.assert_array_equal(result, np.clip(np.rint(stored), 0, 255))
    np.testing.assert_array_equal(expected, errors)
    assert (whole.max() > 291) == ("far" in name)
    result, none = fusing_by_rows.fused(method, images, None, "x", False)
    np.testing.assert_array_equal(result, np.clip(np.rint(stored), 0, 255))
    assert none is None
