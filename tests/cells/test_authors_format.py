"""LUTs in the format of the published code."""

from __future__ import annotations

import itertools
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ensir.cells import authors_format, lut
from ensir.cells.lut import LutMethod
from ensir.errors import InputError
from ensir.storage.layout import Place

NAMES = ("a", "b", "c")


def content(bin_width: int = 64, models: int = 2, dtype: torch.dtype = torch.float32) -> dict[tuple, list]:
    """A published LUT with random weights."""
    random = torch.Generator().manual_seed(0)
    keys = itertools.product(range(0, 256, bin_width), repeat=models)
    return {key: list(torch.rand(3, models, generator=random, dtype=dtype).unbind()) for key in keys}


def saved(path: Path, value: Any) -> Path:
    torch.save(value, path)
    return path


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("bin_width", "models"), [(64, 2), (96, 3), (256, 2), (100, 2)])
def test_round_trip_of_a_file(tmp_path: Path, bin_width: int, models: int, dtype: torch.dtype):
    original = content(bin_width, models, dtype)
    found = authors_format.read(saved(tmp_path / "in.pth", original), NAMES[:models])
    assert (found.bin_width, found.channels, found.bits) == (bin_width, 3, 8)
    authors_format.write(found, tmp_path / "out.pth")
    again = torch.load(tmp_path / "out.pth", weights_only=True)
    assert list(again) == list(original)
    for key, rows in original.items():
        assert [row.dtype for row in again[key]] == [dtype] * 3
        assert all(torch.equal(a, b) for a, b in zip(again[key], rows, strict=True))


def test_order_of_the_keys_does_not_matter(tmp_path: Path):
    original = content()
    shuffled = dict(reversed(original.items()))
    a, b = (
        authors_format.read(saved(tmp_path / f"{i}.pth", value), NAMES[:2])
        for i, value in enumerate((original, shuffled))
    )
    np.testing.assert_array_equal(a.weights, b.weights)


def test_what_the_file_does_not_tell_is_unknown(tmp_path: Path):
    found = authors_format.read(saved(tmp_path / "in.pth", content()), NAMES[:2])
    assert set(found.status) == {authors_format.UNKNOWN}
    assert found.count.sum() == found.iterations.sum() == 0
    assert np.isnan(found.expected_squared_error).all()


def test_an_imported_lut_is_a_lut(tmp_path: Path):
    original = content(32)
    found = authors_format.read(saved(tmp_path / "in.pth", original), NAMES[:2])
    lut.save(found, Place.beside(tmp_path / "x.lut"))
    method = LutMethod({}, str(tmp_path / "x.lut"))
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 500), np.uint8)
    fused = method.fuse(x)
    for c, i in itertools.product(range(3), range(0, 500, 50)):
        weights = original[tuple(int(v) // 32 * 32 for v in x[:, c, i])][c].double().numpy()
        assert fused[c, i] == pytest.approx(float(weights @ x[:, c, i]), abs=1e-4)


@pytest.mark.parametrize(
    "name", ["lut_M2_b32", "lut_M2_b96", "lut_M3_b16", "lut_M3_b32", "lut_M3_b96", "lut_M3_b128"]
)
def test_round_trip_of_golden_luts(data: Path, tmp_path: Path, name: str):
    golden = np.load(data / f"golden/{name}.npz")
    bin_width, models = int(golden["bin_width"]), int(golden["M"])
    weights = torch.from_numpy(golden["lut"])
    keys = itertools.product(range(0, 256, bin_width), repeat=models)
    rows = weights.reshape(-1, 3, models)
    path = saved(
        tmp_path / "in.pth", {key: list(row.clone().unbind()) for key, row in zip(keys, rows, strict=True)}
    )
    found = authors_format.read(path, NAMES[:models])
    np.testing.assert_array_equal(found.dense.ravel(), golden["lut"].ravel())
    authors_format.write(found, tmp_path / "out.pth")
    np.testing.assert_array_equal(
        authors_format.read(tmp_path / "out.pth", NAMES[:models]).dense, found.dense
    )


def test_single_precision_on_request(tmp_path: Path):
    original = content(dtype=torch.float64)
    found = authors_format.read(saved(tmp_path / "in.pth", original), NAMES[:2])
    assert authors_format.write(found, tmp_path / "out.pth") == "float64"
    assert authors_format.write(found, tmp_path / "out.pth", single=True) == "float32"
    again = torch.load(tmp_path / "out.pth", weights_only=True)
    assert all(
        torch.equal(a, b.float()) for k, rows in original.items() for a, b in zip(again[k], rows, strict=True)
    )


def test_joint_channels_and_empty_cells_survive(tmp_path: Path):
    """A LUT with one group of channels, two of its four bin sets occupied."""
    weights = np.array([[0.1, 0.9], [1 / 3, 2 / 3]])
    number = np.array([0, 2])
    original = lut.LUT(
        NAMES[:2], 128, 8, 1, number, number * 0, weights, number + 1, number, number.astype(np.uint8),
        number * 1.0, "previous", np.array([0.5, 0.5]),
    )  # fmt: skip
    authors_format.write(original, tmp_path / "out.pth")
    assert len(torch.load(tmp_path / "out.pth", weights_only=True)) == 4
    found = authors_format.read(tmp_path / "out.pth", NAMES[:2])
    assert found.channels == 1
    np.testing.assert_array_equal(found.dense, original.dense)


class Executed:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def change(key: tuple, value: Any) -> dict:
    return {**content(), key: value}


BAD = {
    "no dict": ([1, 2], "no dict"),
    "empty": ({}, "no dict"),
    "keys": (change(("a", "b"), [torch.ones(2)] * 3), "no tuple of bin starts"),
    "float keys": ({tuple(map(float, k)): v for k, v in content().items()}, "no tuple of bin starts"),
    "other number of models": (content(models=3), "of 3 models, but 2 are named"),
    "mixed": (change((0, 0, 0), [torch.ones(3)] * 3), "of 3 models"),
    "a bin set too few": (dict(list(content().items())[:-1]), "15 bin sets; 4 bins need 4"),
    "starts": ({tuple(s + 1 for s in k): v for k, v in content().items()}, "are not 0, b, 2b"),
    "widths": ({tuple({0: 0, 64: 64, 128: 130, 192: 192}[s] for s in k): v for k, v in content().items()}, "are not 0"),
    "too few bins": ({k: v for k, v in content().items() if max(k) < 192}, "are not 0"),
    "huge start": ({tuple(s * 2**70 for s in k): v for k, v in content().items()}, "are not 0"),
    "two channels": (change((0, 0), [torch.ones(2)] * 2), "three tensors"),
    "shape": (change((0, 0), [torch.ones(3)] * 3), "something else"),
    "integers": (change((0, 0), [torch.ones(2, dtype=torch.int64)] * 3), "something else"),
    "no tensors": (change((0, 0), [[0.5, 0.5]] * 3), "something else"),
    "sparse": (change((0, 0), [torch.ones(2).to_sparse()] * 3), "something else"),
    "nan": (change((0, 64), [torch.tensor([np.nan, 1])] * 3), r"\(0, 64\) has weights"),
    "infinite": (change((0, 0), [torch.tensor([np.inf, 1])] * 3), "no finite"),
    "code": ({(0, 0): Executed()}, "nothing in it was executed"),
}  # fmt: skip


@pytest.mark.parametrize(("value", "message"), BAD.values(), ids=BAD)
def test_wrong_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any, message: str):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        authors_format.read(saved(tmp_path / "in.pth", value), NAMES[:2])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


def test_plain_pickle_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.pth").write_bytes(pickle.dumps(Executed()))
    with pytest.raises(InputError, match="nothing in it was executed"):
        authors_format.read(tmp_path / "in.pth", NAMES[:2])
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_truncated(tmp_path: Path, share: float):
    path = saved(tmp_path / "in.pth", content())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"in\.pth"):
        authors_format.read(path, NAMES[:2])


def test_missing(tmp_path: Path):
    with pytest.raises(InputError, match="no such file"):
        authors_format.read(tmp_path / "in.pth", NAMES[:2])


def test_archive_bomb(tmp_path: Path):
    path = saved(tmp_path / "plain.pth", content())
    with (
        zipfile.ZipFile(path) as plain,
        zipfile.ZipFile(tmp_path / "in.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for entry in plain.infolist():
            bomb.writestr(entry.filename, plain.read(entry) + b"\0" * 2**20, zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="claims to hold more"):
        authors_format.read(tmp_path / "in.pth", NAMES[:2])


def test_not_for_16_bit_or_too_many_bins(tmp_path: Path):
    none, number = np.zeros(0), np.zeros(0, np.int64)
    for bits, bin_width, message in ((16, 32, "16 bit"), (8, 1, "too many")):
        empty = lut.LUT(
            NAMES, bin_width, bits, 1, number, number, np.zeros((0, 3)), number, number, number, none, "constant",
            np.full(3, 1 / 3),
        )  # fmt: skip
        with pytest.raises(InputError, match=message):
            authors_format.write(empty, tmp_path / "out.pth")
    assert not list(tmp_path.iterdir())
