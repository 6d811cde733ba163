"""Degradations and their adjoints: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩, and the operators are what the datasets are made by."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve

from ensir.errors import InputError
from ensir.images import degradations, image_files
from ensir.images.degradation_files import read_kernel, read_mask
from ensir.images.degradations import degrade, imresize, kernel_of, known_pixels
from ensir.networks import linear

ODD = st.integers(0, 4).map(lambda n: 2 * n + 1)


def draw(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).to(dtype)


def assert_adjoint(operator: linear.Operator, x: torch.Tensor, seed: int) -> None:
    applied = operator.apply(x)
    y = draw(seed, *applied.shape, dtype=x.dtype)
    left, right = (applied * y).sum(), (x * operator.adjoint(y)).sum()
    assert abs(left - right) <= 1e-6 * applied.norm() * y.norm()
    assert operator.adjoint(y).shape == x.shape


@settings(max_examples=30)
@given(
    high=ODD, wide=ODD, height=st.integers(9, 40), width=st.integers(9, 40), seed=st.integers(0, 99),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)  # fmt: skip
def test_blur(high: int, wide: int, height: int, width: int, seed: int, dtype: torch.dtype):
    kernel, x = draw(seed, high, wide, dtype=dtype), draw(seed + 1, 3, height, width, dtype=dtype)
    blur = linear.Blur(kernel, (height, width))
    expected = np.stack([convolve(channel, kernel, mode="valid") for channel in x.numpy()])
    np.testing.assert_allclose(blur.apply(x), expected, atol=1e-4 if dtype == torch.float32 else 1e-10)
    assert_adjoint(blur, x, seed + 2)
    y = draw(seed + 3, *expected.shape, dtype=dtype)
    in_kernel = (kernel * blur.adjoint_in_kernel(x, y)).sum()
    assert abs((blur.apply(x) * y).sum() - in_kernel) <= 1e-6 * x.norm() * kernel.norm() * y.norm()


@settings(max_examples=30)
@given(
    scale=st.sampled_from([2, 3, 4, 5, 1 / 2, 1 / 3, 1 / 4, 1 / 5]),
    height=st.integers(5, 40), width=st.integers(5, 40), seed=st.integers(0, 99),
)  # fmt: skip
def test_resize(scale: float, height: int, width: int, seed: int):
    x = draw(seed, 3, height, width)
    resize = linear.Resize((height, width), scale, x)
    expected = imresize(x.permute(1, 2, 0).numpy(), scale)
    np.testing.assert_allclose(resize.apply(x).permute(1, 2, 0), expected, atol=1e-10)
    assert_adjoint(resize, x, seed + 1)


@settings(max_examples=30)
@given(missing=st.floats(0.1, 0.9), seed=st.integers(0, 99))
def test_mask(missing: float, seed: int):
    known = known_pixels({"missing": missing, "seed": seed}, "chelsea", (40, 50))
    assert abs((~known).mean() - missing) < 0.06
    mask = linear.Mask(torch.from_numpy(known.astype(np.float64)))
    x = draw(seed, 3, 40, 50)
    assert_adjoint(mask, x, seed)
    assert torch.equal(mask.apply(mask.apply(x)), mask.apply(x))


def test_a_blur_that_stays_inside_agrees_with_the_dataset():
    degradation = {"kind": "blur", "kernel": "disk", "width": 3.0, "sigma": 0.0, "seed": 0}
    target = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    degraded = degrade(target, degradation, "x")
    kernel = torch.from_numpy(kernel_of(degradation))
    x = torch.from_numpy(target.astype(np.float64)).permute(2, 0, 1)
    inner = linear.Blur(kernel, (40, 50)).apply(x).permute(1, 2, 0)
    np.testing.assert_array_equal(inner.round(), degraded[3:-3, 3:-3])
    padded = linear.pad(x, (3, 3))
    whole = linear.Blur(kernel, (46, 56)).apply(padded).permute(1, 2, 0)
    np.testing.assert_array_equal(whole.round(), degraded)


def test_holes_are_filled_from_their_neighbours():
    y = torch.arange(49.0, dtype=torch.float64).reshape(1, 7, 7)
    known = torch.ones(7, 7, dtype=torch.float64)
    known[2:5, 2:5] = 0
    filled = linear.fill(y * known, known)
    assert torch.equal(filled[0][known == 1], y[0][known == 1])
    assert filled[0, 2, 2] == (8 + 9 + 10 + 15 + 22) / 5
    assert filled[0, 3, 3] == pytest.approx(24)  # in the second round, from all around
    assert linear.fill(y, torch.zeros_like(known)).sum() == 0


def test_missing_pixels_of_a_dataset_are_black():
    degradation = {"kind": "mask", "missing": 0.7, "sigma": 5.0, "seed": 3}
    target = np.full((60, 60, 3), 128, np.uint8)
    degraded = degrade(target, degradation, "x")
    known = known_pixels(degradation, "x", (60, 60))
    assert not degraded[~known].any()
    assert degraded[known].std() == pytest.approx(5, rel=0.1)
    assert not np.array_equal(known, known_pixels(degradation, "y", (60, 60)))


def test_kernels_of_the_releases(data):
    path = str(data / "images/dmsp/kernels.mat")
    first = read_kernel(path)
    assert first.shape == (35, 25)
    assert first.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(read_kernel(path, mirrored=True), first[::-1, ::-1])
    assert read_kernel(path, 5).shape == (29, 29)
    with pytest.raises(InputError, match=r"kernels.mat: holds 5 kernels, and no number 6; fix `number`"):
        read_kernel(path, 6)


def test_kernels_of_other_files(tmp_path):
    value = np.arange(15, dtype=np.uint8).reshape(3, 5)
    np.save(tmp_path / "k.npy", value)
    image_files.write(tmp_path / "k.png", value[:, :, None])
    for name in ("k.npy", "k.png"):
        np.testing.assert_allclose(read_kernel(str(tmp_path / name)), value / value.sum())


def test_a_kernel_is_not_read_from_a_lossy_image(tmp_path):
    value = np.full((9, 9), 90, np.uint8)
    for name in ("k.jpg", "k.png"):
        PIL.Image.fromarray(value).save(tmp_path / name, "JPEG")
        with pytest.raises(InputError, match=f"{name}: is a lossy image, .*; save the kernel as PNG"):
            read_kernel(str(tmp_path / name))


def test_masks(tmp_path):
    known = np.random.default_rng(0).random((24, 32)) > 0.5
    known = known.repeat(2, axis=0).repeat(2, axis=1)
    image_files.write(tmp_path / "white.png", known[:, :, None] * np.uint8(255))
    image_files.write(tmp_path / "one.png", known[:, :, None].astype(np.uint16))
    PIL.Image.fromarray(known).save(tmp_path / "bit.png")
    PIL.Image.fromarray(known * np.uint8(255)).save(tmp_path / "lossy.png", "JPEG", quality=90)
    assert (image_files.read(str(tmp_path / "lossy.png"))[..., 0][~known] > 0).mean() > 0
    image_files.write(tmp_path / "was_lossy.png", image_files.read(str(tmp_path / "lossy.png")))
    image_files.write(tmp_path / "254.png", known[:, :, None] * np.uint8(254))
    for name in ("white.png", "one.png", "bit.png", "lossy.png", "was_lossy.png", "254.png"):
        np.testing.assert_array_equal(read_mask(str(tmp_path / name)), known, name)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones((4, 5)), "has 4×5 values; both sides must be odd"),
        (np.zeros((3, 3)), "is not a matrix of numbers from zero on"),
        (np.full((3, 3), -1.0), "is not a matrix of numbers from zero on"),
        (np.full((3, 3), np.nan), "is not a matrix of numbers from zero on"),
        (np.ones(3), "is not a matrix of numbers from zero on"),
        (np.full((3, 3), "x"), "is not a matrix of numbers from zero on"),
    ],
)
def test_what_is_no_kernel(tmp_path, value: np.ndarray, message: str):
    np.save(tmp_path / "k.npy", value)
    with pytest.raises(InputError, match=message):
        read_kernel(str(tmp_path / "k.npy"))


def test_a_kernel_file_is_never_unpickled(tmp_path):
    np.save(tmp_path / "k.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as a kernel"):
        read_kernel(str(tmp_path / "k.npy"))


def test_random_numbers_of_an_image_have_streams():
    def first(*key):
        return degradations.seeded(*key).random()

    assert len({first(0, "a"), first(1, "a"), first(0, "b"), first(0, "a", 1), first(0, "a", 2)}) == 5
    assert first(0, "a", 1) == first(0, "a", 1)
