"""The store: round trips, chunks, atomic publishing, locks, damage."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from ensir.errors import InputError
from ensir.networks import named_weights
from ensir.stages import seal
from ensir.storage import digests, failures, origin, reading, verification, writing
from ensir.storage.atomic import locked, vouch, written
from ensir.storage.layout import Layout, Place


def write_part(place: Place, images: dict[str, np.ndarray]) -> None:
    first = next(iter(images.values()))
    bits = 8 if first.dtype == np.uint8 else 16
    with writing.new_group(place, {"kind": "prediction", "bits": bits, "images": list(images)}) as group:
        writer = writing.ImageWriter(
            group, list(images), [image.shape for image in images.values()], first.dtype
        )
        for image in images.values():
            writer.append(writing.flatten(image))
        writer.close()


def some_images(
    shapes: list[tuple[int, int]], channels: int = 3, dtype: type = np.uint8
) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    top = np.iinfo(dtype).max + 1
    return {f"image{i}": random.integers(0, top, (*s, channels)).astype(dtype) for i, s in enumerate(shapes)}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path / "results"))


def place_of(layout: Layout, part: str = "0123456789ab") -> Place:
    return layout.place(layout.part(layout.predictions("set5", "IMDN"), part))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=6),
    st.sampled_from([1, 3]),
    st.sampled_from([np.uint8, np.uint16]),
    st.sampled_from([64, 1024, 2**22]),
)
def test_images_come_back_whatever_the_chunks(tmp_path_factory, shapes, channels, dtype, chunk_values):
    layout = Layout(str(tmp_path_factory.mktemp("results")))
    images = some_images(shapes, channels, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "CHUNK_VALUES", chunk_values)
        write_part(place_of(layout), images)
    part = reading.Part(place_of(layout).path)
    for name, image in images.items():
        np.testing.assert_array_equal(part.image(name), image)


def test_xarray_opens_a_part_without_a_warning(layout: Layout):
    images = some_images([(5, 7), (3, 4)])
    place = place_of(layout)
    write_part(place, images)
    (place.path / digests.TIMESTAMP).touch()  # Snakemake's
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        part = xr.open_zarr(place.path)
    assert part["value"].dims == ("channel", "pixel")
    assert part["image"].values.tolist() == ["image0", "image1"]
    second = part.isel(image=1)
    pixels = slice(int(second.offset), int(second.offset + second.height * second.width))
    image = part["value"][:, pixels].values.T.reshape(3, 4, 3)
    np.testing.assert_array_equal(image, images["image1"])
    assert {one.result: one.problems for one in verification.verify(layout.root, layout)} == {place.path: []}


def test_a_rebuild_has_the_same_digests(layout: Layout, tmp_path: Path):
    other = Layout(str(tmp_path / "elsewhere"))
    for where in (layout, other, other):
        write_part(place_of(where), some_images([(50, 60)]))
    assert Path(place_of(layout).digest).read_text() == Path(place_of(other).digest).read_text()
    assert [p.name for p in place_of(layout).partial.iterdir() if p.suffix != ".lock"] == []


def test_digests_are_sha256sum_files(layout: Layout):
    place = place_of(layout)
    write_part(place, some_images([(5, 7)]))
    subprocess.run(["sha256sum", "--check", "--quiet", place.digest.absolute()], cwd=place.path, check=True)


def test_a_failure_leaves_the_old_result_and_no_rubbish(layout: Layout):
    place = place_of(layout)
    write_part(place, some_images([(5, 7)]))
    before = place.digest.read_text()

    def fail() -> None:
        with writing.new_group(place, {}) as group:
            writing.write_array(group, "image", ["a"], ("image",))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert place.digest.read_text() == before
    assert verification.check(place.path, place.digest) == []
    assert [p.name for p in place.partial.iterdir() if p.suffix != ".lock"] == []


def test_an_image_too_few_is_noticed(layout: Layout):
    with pytest.raises(ValueError, match="12 of 24 pixels"), writing.new_group(place_of(layout), {}) as group:
        writer = writing.ImageWriter(group, ["a", "b"], [(3, 4, 1)] * 2, np.uint8)
        writer.append(np.zeros((1, 12), np.uint8))
        writer.close()


def hold(place: Place, seconds: float) -> None:
    with written(place) as partial:
        partial.write_text("first")
        time.sleep(seconds)


def test_two_writers_of_one_place_wait_for_each_other(tmp_path: Path):
    place = Place.beside(tmp_path / "result")
    first = multiprocessing.get_context("spawn").Process(target=hold, args=(place, 1.0))
    first.start()
    while not place.partial.exists() or not list(place.partial.glob("*[0-9]")):  # it has the lock
        time.sleep(0.01)
    with written(place) as partial:
        assert place.path.read_text() == "first"
        partial.write_text("second")
    first.join()
    assert place.path.read_text() == "second"


def damage_byte(path: Path, at: int = -20) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damaged", ["value/c/0/0", "image/c/0", "zarr.json", "value/zarr.json"])
@pytest.mark.parametrize("how", ["flip", "delete", "truncate"])
def test_damage_is_named(layout: Layout, damaged: str, how: str):
    place = place_of(layout)
    write_part(place, some_images([(50, 60)]))
    path = place.path / damaged
    if how == "flip":
        damage_byte(path)
    elif how == "delete":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-30])
    ((result, problems, _),) = verification.verify(layout.root, layout)
    assert result == place.path
    assert problems == [f"{damaged}: {'missing' if how == 'delete' else 'changed'}"]


@pytest.mark.parametrize("how", ["flip", "delete"])
def test_a_damaged_chunk_is_never_read(layout: Layout, how: str):
    place = place_of(layout)
    write_part(place, some_images([(50, 60)]))
    chunk = place.path / "value/c/0/0"
    damage_byte(chunk) if how == "flip" else chunk.unlink()
    with pytest.raises(
        InputError, match=r"chunk 0 is damaged .*; type `ensir verify --repair .*`, then run again"
    ):
        reading.Part(place.path).image("image0")


def two_models(layout: Layout) -> list[Path]:
    """Write parts of two models, and return them."""
    places = [layout.place(layout.part(layout.predictions("set5", name), "0" * 12)) for name in "ab"]
    for seed, place in enumerate(places):
        write_part(place, {"image0": np.full((50, 60, 3), seed, np.uint8)})
    return [place.path for place in places]


@pytest.mark.parametrize("recorded", [True, False])
def test_a_valid_chunk_of_another_model_is_never_read(layout: Layout, recorded: bool):
    a, b = two_models(layout)
    if not recorded:  # as in results of before checksums were: digests decide
        for path in (a, b):
            Layout.origin_of(layout.digest(path)).unlink()
    assert reading.Part(a).image("image0").max() == 0
    chunks = [path / "value/c/0/0" for path in (a, b)]
    contents = [chunk.read_bytes() for chunk in chunks]
    for chunk, content in zip(chunks, reversed(contents), strict=True):
        chunk.write_bytes(content)
    for path in (a, b):
        with pytest.raises(InputError, match=r"chunk 0 is damaged .*is not what was written there"):
            reading.Part(path).image("image0")


def test_a_damaged_record_of_checksums_refuses_nothing(layout: Layout):
    a, _ = two_models(layout)
    record = Layout.origin_of(layout.digest(a))
    (checksum,) = [sum for name, sum in origin.read(layout.digest(a))["checksums"].items() if "value" in name]
    record.write_text(record.read_text().replace(checksum, "00000000"))
    assert origin.is_damaged(layout.digest(a))
    assert reading.Part(a).image("image0").max() == 0


def test_chunks_are_compared_by_workers_that_get_an_open_part(layout: Layout):
    a, b = two_models(layout)
    part = pickle.loads(pickle.dumps(reading.Part(a)))
    shutil.copy(b / "value/c/0/0", a / "value/c/0/0")
    with pytest.raises(InputError, match="is not what was written there"):
        part.image("image0")


def test_weights_that_are_not_what_was_trained_are_refused(layout: Layout):
    place = layout.place(layout.denoiser("small"))
    for _ in range(2):  # the second training takes the place of the first
        named_weights.write(place.path, torch.nn.Linear(2, 3), {"kind": "dae"})
        with locked(place) as slug:
            vouch(place, slug)
    assert named_weights.read(place.path)[0].keys() == {"weight", "bias"}
    named_weights.write(place.path, torch.nn.Linear(2, 3), {"kind": "dae"})  # others, and sound
    with pytest.raises(InputError, match="is not what was written there"):
        named_weights.read(place.path)


def test_a_copy_by_hard_links_is_written_to_without_the_original(layout: Layout, tmp_path: Path):
    a, _ = two_models(layout)
    shutil.copytree(layout.root, tmp_path / "copy", copy_function=os.link)
    copied = Layout(str(tmp_path / "copy"))
    write_part(copied.place(layout.part(copied.predictions("set5", "a"), "0" * 12)), some_images([(9, 9)]))
    assert reading.Part(a).image("image0").shape == (50, 60, 3)
    for one in (layout, copied):
        assert not any(found.problems for found in verification.verify(one.root, one))


def test_a_store_on_another_disk_is_told(layout: Layout, tmp_path: Path):
    """A rename is what makes results appear whole, and none leads to another file system."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if os.stat(other).st_dev == os.stat(tmp_path).st_dev:
            pytest.skip("needs two file systems")
        Path(layout.root).mkdir()
        Path(layout.root, "predictions").symlink_to(other)
        with pytest.raises(OSError, match="cross-device") as raised:
            write_part(place_of(layout), some_images([(3, 3)]))
    assert "keep all of a results folder on one file system" in str(failures.described(raised.value))


def test_something_else_is_no_part(tmp_path: Path):
    with pytest.raises(
        InputError, match="is no LUT, fit or store, but a folder of something else; fix the path"
    ):
        reading.Part(tmp_path)
    with pytest.raises(InputError, match="cannot be opened"):
        reading.Part(tmp_path / "nothing")
    zarr.open_group(tmp_path / "other", mode="w", attributes={"format_version": 99})
    with pytest.raises(InputError, match="has format 99, and this version reads 1 only"):
        reading.Part(tmp_path / "other")


def test_a_sealed_store_opens_as_a_whole(layout: Layout):
    sealed = layout.predictions("set5", "IMDN")
    for part, shapes in (("000000000001", [(5, 7)]), ("000000000002", [(3, 4)])):
        write_part(place_of(layout, part), some_images(shapes))
    seal.seal(layout.place(layout.seal(sealed)), sealed, ["000000000001", "000000000002"], layout)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        root = zarr.open_group(sealed, mode="r")
        assert sorted(name for name, _ in root.groups()) == ["000000000001", "000000000002"]
        assert root["000000000002/value"].shape == (3, 12)
    assert not any(one.problems for one in verification.verify(sealed, layout))


def test_grey_and_rgb_parts_are_not_sealed(layout: Layout):
    sealed = layout.predictions("set5", "IMDN")
    for part, channels in (("000000000001", 1), ("000000000002", 3)):
        write_part(place_of(layout, part), some_images([(5, 7)], channels))
    with pytest.raises(
        InputError, match="part 000000000001 has 1 channels of 8 bit, part 000000000002 3 of 8"
    ):
        seal.seal(layout.place(layout.seal(sealed)), sealed, ["000000000001", "000000000002"], layout)


def test_too_little_disk(tmp_path: Path):
    place = Place.beside(tmp_path / "result")
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    with pytest.raises(InputError, match="are free on this disk"), written(place, size=2 * free):
        raise AssertionError("nothing is written")
