"""Images that are together too dark for their range: 12 bits in files of 16, floats of 0–255 declared as 0–1023."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ensir.errors import InputError
from ensir.images import image_files


def images(folder: Path, *values: np.ndarray) -> list[str]:
    for i, value in enumerate(values):
        np.save(folder / f"{i}.npy", value)
    return [str(folder / f"{i}.npy") for i in range(len(values))]


def uniform(most: float, dtype: str) -> np.ndarray:
    value = np.linspace(0, most, 300).reshape(10, 10, 3)
    return (np.rint(value) if dtype[0] == "u" else value).astype(dtype)


@pytest.mark.parametrize(
    ("most", "dtype", "declared", "message"),
    [
        (
            4095,
            "uint16",
            None,
            "0.npy: no value of it and 1 other images is above 4095, where white is 65535: perhaps",
        ),
        (
            4095,
            "uint16",
            None,
            r"\[0, 4095\]; set the dataset's `value_range`, or declare \[0, 65535\] where this is intended",
        ),
        (4095, "uint16", (0, 1), r"perhaps \[0, 4095\]"),
        (16383, "uint16", None, r"perhaps \[0, 16383\]"),
        (255, "uint16", None, r"perhaps \[0, 255\]; write uint8"),
        (255, "uint16", (0, 4095), r"where white is 4095: perhaps \[0, 255\]; fix"),
        (
            258,
            "float32",
            (0, 1023),
            r"above 258, where white is 1023: perhaps \[0, 255\]; .* or write uint8 or uint16",
        ),
        (255, "int32", (0, 4095), r"perhaps \[0, 255\]"),
        (1, "float64", (0, 65535), r"perhaps \[0, 1\]"),
        (
            1,
            "float32",
            (-1, 1),
            r"of it and 1 other images lie in the upper half of \[-1, 1\]: perhaps \[0, 1\]",
        ),
    ],
)
def test_all_are_dark(tmp_path: Path, most: float, dtype: str, declared, message: str):
    files = images(tmp_path, *(np.tile(uniform(largest, dtype), (2, 2, 1)) for largest in (most / 2, most)))
    with pytest.raises(InputError, match=message):
        image_files.check_brightness(files, value_range=declared)


@pytest.mark.parametrize(
    ("most", "dtype", "declared"),
    [
        (16384, "uint16", None),
        (4095, "uint16", (0, 65535)),
        (4095, "uint16", (0, 4095)),
        (0, "uint16", None),
        (4, "uint8", None),
        (0.1, "float32", (0, 1)),
        (60, "float32", (0, 255)),
        (300, "float32", (0, 1023)),
        (4095, "float32", None),
    ],
)
def test_one_is_bright_or_all_may_be_dark(tmp_path: Path, most: float, dtype: str, declared):
    dark = uniform(min(most, 1), dtype)
    image_files.check_brightness(images(tmp_path, dark, uniform(most, dtype)), value_range=declared)


def test_one_has_dark_values_or_is_alone(tmp_path: Path):
    bright = np.tile(uniform(1, "float32"), (2, 2, 1))
    for values in ((bright,), (bright, 2 * bright - 1)):
        image_files.check_brightness(images(tmp_path, *values), value_range=(-1, 1))


@pytest.mark.parametrize("most", [1023, 4095, 16383])
def test_fewer_bits_in_uint16_are_scaled_to_16(tmp_path: Path, most: int):
    """Every code becomes the nearest one, as those of files that state their bits."""
    codes = np.arange(most + 1, dtype=np.uint16)[None]
    (file,) = images(tmp_path, codes)
    expected = (codes.astype(np.int64) * 65535 * 2 + most) // (2 * most)
    found = image_files.read(file, value_range=(0, most))
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[..., 0], expected)
    np.testing.assert_array_equal(image_files.read(file, value_range=(0.0, 65535.0))[..., 0], codes)


def test_values_beyond_the_declared_white_are_refused(tmp_path: Path):
    (file,) = images(tmp_path, uniform(65535, "uint16"))
    for declared in ((0, 4095), (-1000, 3000)):
        with pytest.raises(InputError, match=r"0.npy: .* far outside .*; fix the dataset's `value_range`"):
            image_files.read(file, value_range=declared)
