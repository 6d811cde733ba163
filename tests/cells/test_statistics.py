"""Laws of the statistics: what their definition says, whatever the split and the order of the pixels."""

from dataclasses import replace

import numpy as np
import pytest
from examples import NAMES, assert_same, counted, pixels, seeds
from hypothesis import given, settings
from hypothesis import strategies as st

from ensir.cells import counting, statistics
from ensir.cells.counting import count
from ensir.errors import InputError
from ensir.stages import partition
from ensir.storage import writing
from ensir.storage.layout import Place


@pytest.mark.parametrize("dense_keys", [0, 2**20])
@pytest.mark.parametrize("bits", [8, 16])
@given(seed=seeds, models=st.sampled_from([2, 3, 5]), bin_width=st.sampled_from([1, 8, 32, 96, 256]))
@settings(max_examples=15)
def test_equal_their_definition(dense_keys, bits, seed, models, bin_width):
    x, y = pixels(seed, models, bits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "DENSE_KEYS", dense_keys)
        patch.setattr(counting, "SLOTS", 16)  # so that it grows
        assert_same(count(x, y, NAMES[:models], bin_width, fold=4), counted(x, y, bin_width, fold=4))


@pytest.mark.parametrize("level", [0, 254, 255])
def test_sums_of_the_largest_products_do_not_overflow(level):
    y = np.full((1, 2**18 + 3), level, np.uint8)
    found = count([y, y, y], y, NAMES[:3], 32)
    assert found.gram.tolist() == [[[y.size * level**2] * 3] * 3]
    assert found.cross.tolist() == [[y.size * level**2] * 3]
    assert found.sum.tolist() == [[y.size * level] * 3]


@given(seed=seeds, bits=st.sampled_from([8, 16]))
@settings(max_examples=20)
def test_add_and_subtract(seed, bits):
    a, b = pixels(seed, bits=bits), pixels(seed + 1, bits=bits, size=70)
    one, other = count(*a, NAMES[:3], 16), count(*b, NAMES[:3], 16)
    both = count(np.concatenate([a[0], b[0]], axis=2), np.concatenate([a[1], b[1]], axis=1), NAMES[:3], 16)
    assert_same(one.plus(other), both)
    assert_same(other.plus(one), both)
    assert_same(both.minus(other), one)
    assert_same(both.minus(one), other)
    assert_same(both.minus(both), statistics.empty(NAMES[:3], 16, bits))
    with pytest.raises(ValueError, match="not part of these"):
        one.minus(both)


@given(seed=seeds, parts=st.integers(1, 9))
@settings(max_examples=20)
def test_order_and_split_do_not_matter(seed, parts):
    x, y = pixels(seed)
    expected = count(x, y, NAMES[:3], 8)
    random = np.random.default_rng(seed)
    order = random.permutation(y.shape[1])
    pieces = [count(x[:, :, run], y[:, run], NAMES[:3], 8) for run in np.array_split(order, parts)]
    assert_same(statistics.total(pieces), expected)


@given(
    seed=seeds, widths=st.sampled_from([(8, 32), (32, 96), (16, 256), (1, 7)]), bits=st.sampled_from([8, 16])
)
@settings(max_examples=20)
def test_coarser_bins_are_sums(seed, widths, bits):
    x, y = pixels(seed, bits=bits)
    fine, coarse = (count(x, y, NAMES[:3], width) for width in widths)
    assert_same(fine.coarsened(widths[1]), coarse)
    pooled = count(x.reshape(3, 1, -1), y.reshape(1, -1), NAMES[:3], widths[0])
    assert_same(fine.joint(), pooled)


@given(seed=seeds, shards=st.sampled_from([1, 2, 7, 64]))
@settings(max_examples=20)
def test_shards_cover_every_cell_once(seed, shards):
    whole = count(*pixels(seed), NAMES[:3], 16)
    pieces = [whole.shard(i, shards) for i in range(shards)]
    assert_same(statistics.total(pieces), whole)
    np.testing.assert_array_equal(np.concatenate([piece.key for piece in pieces]), whole.key)


def test_overflow_is_a_clear_error():
    one = count(*pixels(0), NAMES[:3], 32)
    huge = replace(one, gram=one.gram * 2 ** (62 - int(np.log2(one.gram.max()))))
    with pytest.raises(InputError, match="gram exceeds 64 bits"):
        statistics.total([huge, huge])


def test_no_pixels():
    x, y = pixels(0, size=0)
    assert_same(count(x, y, NAMES[:3], 32), statistics.empty(NAMES[:3], 32, 8))


# ── partition: from stores ──────────────────────────────────────────────────────────────────────────────────

IMAGES = {"d": (9, 7), "a": (5, 11), "c": (30, 4), "b": (8, 8)}


def write_stores(folder, images_per_part):
    """Write a dataset and the predictions of three models; return the paths of their parts."""
    paths = {name: [] for name in ("dataset", *NAMES[:3])}
    names = list(IMAGES)
    for start in range(0, len(names), images_per_part):
        part = names[start : start + images_per_part]
        for row, (kind, parts) in enumerate(paths.items()):
            parts.append(str(folder / kind / part[0]))
            with writing.new_group(Place.beside(parts[-1]), {"bits": 8}) as group:
                writer = writing.ImageWriter(group, part, [(*IMAGES[n], 3) for n in part], np.uint8)
                for name in part:
                    x, y = pixels(ord(name), size=IMAGES[name][0] * IMAGES[name][1])
                    writer.append([y, *x][row])
                writer.close()
    dataset = paths.pop("dataset")
    return dataset, [list(parts) for parts in zip(*paths.values(), strict=True)]


@pytest.mark.parametrize(
    ("images_per_part", "chunk_values", "scheduler"),
    [
        (4, 2**22, "threads"),
        (1, 2**22, "threads"),
        (2, 100, "threads"),
        (3, 64, "synchronous"),
        (2, 2**22, "processes"),
    ],
)
def test_partition(tmp_path, monkeypatch, images_per_part, chunk_values, scheduler):
    monkeypatch.setattr(writing, "CHUNK_VALUES", chunk_values)
    dataset, predictions = write_stores(tmp_path, images_per_part)
    place = Place.beside(tmp_path / "statistics.zarr")
    seen = []
    partition.partition(
        place,
        "ensir.cells.bins",
        {"bin_width": 16},
        "ref",
        list(NAMES[:3]),
        list(zip(dataset, predictions, strict=True)),
        {"scheduler": scheduler},
        lambda *done: seen.append(done),
    )
    found, attributes = statistics.load(str(place.path))
    sizes = {name: height * width for name, (height, width) in IMAGES.items()}
    expected = [
        count(*pixels(ord(name), size=sizes[name]), NAMES[:3], 16, fold) for fold, name in enumerate("abcd")
    ]
    assert_same(found, statistics.total(expected))
    assert attributes["image"] == list("abcd")
    assert attributes["reference"] == "ref"
    assert seen[-1][0] == seen[-1][1] == len(seen)


def test_many_images_share_folds():
    names = [f"image{i}" for i in range(1000)]
    folds = partition.fold_of(names)
    assert set(folds.values()) == set(range(partition.FOLDS))
    assert folds == {name: partition.fold_of([*names[:100], name])[name] for name in names}
