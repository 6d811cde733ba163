"""Fused values of 8-bit images, packed: precision, every reader decodes them, what does not fit stays float32."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from examples import as_stored

from ensir.errors import InputError
from ensir.images import image_files
from ensir.images.similarity import psnr
from ensir.stages.fuse import fuse
from ensir.storage import packing, reading, writing
from ensir.storage.layout import Layout


def quiet(done: int, total: int) -> None:
    pass


def write(path: str, layout: Layout, images: dict[str, np.ndarray], dtype: type, kind: str) -> reading.Part:
    bits = 16 if dtype == np.uint16 else 8
    attributes = {"kind": kind, "bits": bits, "dataset": "d", "value_range": [0, 2**bits - 1]}
    with writing.new_group(layout.place(path), attributes) as group:
        shapes = [image.shape for image in images.values()]
        writer = writing.ImageWriter(group, list(images), shapes, dtype)
        for image in images.values():
            writer.append(writing.flatten(image))
        writer.close()
    return reading.Part(path)


def test_every_value_in_range_is_within_a_step():
    lowest, highest = np.float32(packing.LOWEST), np.float32(packing.HIGHEST)
    value = np.random.default_rng(0).uniform(lowest, highest, (3, 100_000)).astype(np.float32)
    value[0, :2] = lowest, highest
    found = packing.unpack(packing.pack(value))
    assert found.dtype == np.float32
    assert np.abs(found.astype(np.float64) - value).max() < 0.00501
    constant = np.full((1, 1000), 100.0013, np.float32)
    assert np.mean(as_stored(constant, 8), dtype=np.float64) == pytest.approx(100.0013, abs=1e-4)


def test_what_an_integer_holds_stays(tmp_path: Path):
    """At each place of the thresholds."""
    random = np.random.default_rng(0)
    packed = random.integers(-(2**15), 2**15, (7, packing.BLOCK + 5)).astype(np.int16)
    np.testing.assert_array_equal(packing.pack(packing.unpack(packed)), packed)
    levels = random.integers(0, 256, (3, 100_000)).astype(np.float32)
    np.testing.assert_array_equal(as_stored(levels, 8), levels)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 291.5, -36.5])
def test_what_cannot_be_packed(value: float):
    image = np.zeros((1, packing.BLOCK + 5), np.float32)
    image[0, -1] = value
    with pytest.raises(packing.OutOfRange):
        packing.pack(image)
    assert as_stored(image, 8) is image


def test_plain_xarray_decodes_what_a_part_returns(tmp_path: Path):
    """All integers, 0 (Zarr's own fill value) and levels below 0 and above 255 among them."""
    layout = Layout(str(tmp_path / "results"))
    path = layout.part(layout.fused("e", "d", "m"), "0")
    steps = np.arange(-(2**15), 2**15 - 1).reshape(5, -1, 3)
    image = (steps / packing.STEPS + packing.OFFSET).astype(np.float32)
    part = write(path, layout, {"a": image}, np.int16, "fused")
    np.testing.assert_array_equal(part.image("a"), image)
    assert (part.dtype, part.array("value").dtype) == (np.float32, np.int16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened = xr.open_zarr(path)
    np.testing.assert_array_equal(opened["value"].values.astype(np.float32), part.rows(0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("far", [False, True])
def test_stores_of_8_bit_are_packed_unless_a_value_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: type, far: bool
):
    """The last image of the part holds a value that does not fit: then no image is rounded."""
    layout, random = Layout(str(tmp_path / "results")), np.random.default_rng(0)
    top = np.iinfo(dtype).max
    stores = [layout.dataset("d"), layout.predictions("d", "a"), layout.predictions("d", "b")]
    paths = [layout.part(store, "0") for store in stores]
    target, *predictions = (
        {name: random.integers(0, top + 1, (9, 8, 3)).astype(dtype) for name in ("one", "two")} for _ in paths
    )
    for path, images in zip(paths, (target, *predictions), strict=True):
        write(path, layout, images, dtype, "dataset")

    class Overshooting:
        def __init__(self, settings: dict, fitted: str | None):
            pass

        def fuse(self, x: np.ndarray) -> np.ndarray:
            fused = (0.3012 * x[0] + 0.6988 * x[1]).astype(np.float32)
            if far and np.array_equal(x[0], np.moveaxis(predictions[0]["two"], 2, 0)):
                fused[0, 0, 0] = 2 * top
            return fused

    from ensir.methods import average

    monkeypatch.setattr(average, "Method", Overshooting)
    place = layout.place(layout.part(layout.fused("e", "d", "m"), "0"))
    dask = {"scheduler": "threads"}
    fuse(place, "m", {"kind": "average"}, None, paths[0], ["a", "b"], paths[1:], [], False, dask, quiet)
    part = reading.Part(place.path)
    assert part.array("value").dtype == (np.int16 if dtype == np.uint8 and not far else np.float32)
    for name in ("one", "two"):
        expected = (0.3012 * predictions[0][name] + 0.6988 * predictions[1][name]).astype(np.float32)
        if far and name == "two":
            expected[0, 0, 0] = 2 * top
        found = part.image(name)
        assert found.dtype == np.float32
        if part.array("value").dtype == np.float32:
            np.testing.assert_array_equal(found, expected)
        else:
            np.testing.assert_allclose(found, expected, rtol=0, atol=0.00501)


@pytest.mark.parametrize(
    "weights", [(1 / 3, 1 / 3, 1 / 3), (0.3121, 0.2734, 0.4145), (0.0837, 0.6042, 0.3121)]
)
def test_psnr_hardly_changes(data: Path, weights: tuple[float, ...]):
    """With weights that are constant over an image, as those of ZZPM are: rounding errors cannot cancel by chance."""
    changes = []
    for target in (data / "images/sr_x4/set5/gt").glob("*.png"):
        files = [target.parents[1] / "pred" / model / target.name for model in ("IMDN", "MobileSR", "CRAFT")]
        y, *x = (writing.flatten(image_files.read(str(path))).astype(np.float64) for path in (target, *files))
        fused = sum(w * p for w, p in zip(weights, x, strict=True)).astype(np.float32)
        before, after = (psnr(y.T[None], value.T[None]) for value in (fused, as_stored(fused, 8)))
        changes.append(after - before)
    assert 0 < abs(np.mean(changes)) < 1e-5
    assert np.abs(changes).max() < 2e-5  # of images of no more than 288×288 pixels; larger ones change less


def test_an_old_fused_store_is_refused_by_name(tmp_path: Path):
    old = zarr.open_group(tmp_path / "old", mode="w", attributes={"format_version": 1, "kind": "fused"})
    with pytest.raises(InputError, match=r"old: has format 1, .* reads 2 only; run the workflow again"):
        reading.Part(tmp_path / "old")
    old.update_attributes({"kind": "prediction"})
    reading.open_group(tmp_path / "old", "prediction")
