"""PSNR and SSIM beside scikit-image's, on every kind of image that is scored."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import skimage.data
from examples import seeds
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from ensir.execution import functions
from ensir.images import ssim_kernel
from ensir.images.row_blocks import ROWS
from ensir.images.similarity import SPAN, SUMMED_SIMILARITY, SUMMED_SQUARES, TILE, WINDOW, psnr, ssim
from ensir.stages import score

METRICS = {name: {"kind": name} for name in ("psnr", "ssim")}


def oracle(target, result):
    """PSNR and SSIM by scikit-image, of floats in 0–255."""
    _, similarities = structural_similarity(
        target, result, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255,
        channel_axis=2, full=True,
    )  # fmt: skip
    return peak_signal_noise_ratio(target, result, data_range=255), similarities[5:-5, 5:-5].mean()


def luma(rgb):
    """BT.601, as its definition reads."""
    return (16 + (65.481 * rgb[..., :1] + 128.553 * rgb[..., 1:2] + 24.966 * rgb[..., 2:]) / 255).copy()


def planar(image):
    """The same image, one channel after the other in memory."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@given(
    seed=seeds,
    size=st.tuples(st.integers(11, 170), st.integers(11, 170)),
    crop=st.integers(0, 4),
    channels=st.sampled_from([1, 3]),
    bits=st.sampled_from([8, 16]),
    dtype=st.sampled_from(["stored", np.float32, np.float64]),
    space=st.sampled_from(["rgb", "y"]),
    layouts=st.tuples(st.booleans(), st.booleans()),
    spread=st.sampled_from([0.5, 20, 300]),
)
def test_scores_are_those_of_scikit_image(seed, size, crop, channels, bits, dtype, space, layouts, spread):
    random = np.random.default_rng(seed)
    unit, stored = (1, np.uint8) if bits == 8 else (257, np.uint16)
    shape = (size[0] + 2 * crop, size[1] + 2 * crop, channels)
    smooth = np.cumsum(random.normal(0, 3, shape), axis=1) + random.uniform(0, 255)
    target = np.clip(np.rint(smooth * unit), 0, 255 * unit).astype(stored)
    result = (target + unit * random.normal(1, spread, shape)).astype(
        np.float64 if dtype == "stored" else dtype
    )
    if dtype == "stored":
        result = np.clip(np.rint(result), 0, 255 * unit).astype(stored)
    inner = np.s_[crop : crop + size[0], crop : crop + size[1]]
    y, x = (image[inner].astype(np.float64) / unit for image in (target, result))
    if space == "y" and channels == 3:
        y, x = luma(y), luma(x)
    target, result = (
        planar(image) if by_channel else image
        for image, by_channel in zip((target, result), layouts, strict=True)
    )
    settings = {"space": space, "crop": crop, "rounded": False, "metrics": METRICS}
    found = score.compare("x", target, result, bits, settings)
    close(list(found.values()), oracle(y, x))
    close([psnr(y, x), ssim(y, x)], oracle(y, x))


@pytest.mark.parametrize("name", ["astronaut", "camera", "chelsea", "coffee"])
@pytest.mark.parametrize("sigma", [1, 25])
def test_photographs(name, sigma):
    image = getattr(skimage.data, name)()
    target = image if image.ndim == 3 else image[:, :, None]
    noisy = (target + np.random.default_rng(0).normal(0, sigma, target.shape)).astype(np.float32)
    close([psnr(target, noisy), ssim(target, noisy)], oracle(target.astype(float), noisy.astype(float)))


def test_predictions_of_networks(data):
    inputs = np.load(data / "golden/inputs.npz")
    for i, target in enumerate(inputs["test_gt"]):
        for prediction in inputs["test_pred"][:, i]:
            y, x = target.astype(float), prediction.astype(float)
            close([psnr(target, prediction), ssim(target, prediction)], oracle(y, x))


@pytest.mark.parametrize(
    "size",
    [
        (11, 11),
        (11, 400),
        (400, 11),
        *((rows, 30) for rows in (ROWS + 9, ROWS + 10, ROWS + 11, 3 * ROWS + 10)),
    ],
)
def test_at_the_ends_of_blocks_and_tiles(size):
    random = np.random.default_rng(0)
    y, x = random.uniform(0, 255, (2, *size, 2))
    close([psnr(y, x), ssim(y, x)], oracle(y, x))
    y, x = (image.transpose(1, 0, 2) for image in (y, x))
    close([psnr(y, x), ssim(y, x)], oracle(y, x))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("as_luma", [False, True])
def test_equal_images(dtype, as_luma):
    image = (np.random.default_rng(0).uniform(0, 255, (100, 120, 3))).astype(dtype)
    for equal in (image, np.full_like(image, 200), np.zeros_like(image)):
        assert ssim(equal, equal.copy(), as_luma=as_luma) == 1
        assert psnr(equal, equal.copy(), as_luma=as_luma) == np.inf


def test_a_hole_is_seen():
    image = np.full((20, 20, 1), 100.0)
    broken = image.copy()
    broken[3, 4] = np.nan
    assert np.isnan(psnr(image, broken))
    assert np.isnan(ssim(image, broken))


def test_the_bits_are_those_of_the_formula(monkeypatch):
    """Nothing is reordered, and no product contracted into a sum: Python computes the same to the last bit."""
    x, y = np.random.default_rng(0).uniform(0, 255, (2, 20, ssim_kernel.TILE + 17))
    scratch = np.empty(4 * ssim_kernel.SPAN), np.empty(4 * 20 * ssim_kernel.TILE), np.empty(ssim_kernel.TILE)
    found = SUMMED_SIMILARITY(x, y, *x.shape, 6.5025, 58.5225, *scratch)
    monkeypatch.setattr(ssim_kernel, "_smooth", ssim_kernel._smooth.py_func)
    formula = ssim_kernel.summed_similarity.py_func
    assert found == formula(x.ravel(), y.ravel(), *x.shape, 6.5025, 58.5225, *scratch)


@pytest.mark.parametrize("sizes", [range(1, 300), [1000, 4096, 12345, ROWS * 1280]], ids=["few", "many"])
def test_squares_are_summed_in_the_order_of_numpy(sizes):
    for size in sizes:
        x, y = np.random.default_rng(size).uniform(0, 255, (2, size))
        found = SUMMED_SQUARES(x, y, size, np.empty(8), np.empty(64), np.empty(64, np.int64))
        assert found == np.square(y - x).sum()


def test_the_window_is_a_gaussian():
    taps = [getattr(ssim_kernel, f"TAP_{i}") for i in range(6)]
    gaussian = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    np.testing.assert_allclose(taps, (gaussian / gaussian.sum())[5:], rtol=1e-15)
    assert (ssim_kernel.TILE, ssim_kernel.SPAN, 2 * ssim_kernel.RADIUS + 1) == (TILE, SPAN, WINDOW)


def test_other_shapes_are_refused():
    image = np.zeros((12, 12, 3), np.uint8)
    for metric in (psnr, ssim):
        with pytest.raises(ValueError, match=r"the target has shape \(12, 12, 3\), the result \(12, 12, 1\)"):
            metric(image, image[:, :, :1])
    with pytest.raises(ValueError, match="needs 11×11 pixels, has 12×10"):
        ssim(image[:10], image[:10])


@pytest.mark.parametrize("space", ["rgb", "y"])
def test_memory_does_not_grow_with_the_height(space):
    settings = {"space": space, "crop": 3, "rounded": False, "metrics": METRICS}
    target = np.zeros((1500, 1000, 3), np.uint8)
    result = np.ones(target.shape, np.float32)
    score.compare("x", target[:20], result[:20], 8, settings)  # compiles
    tracemalloc.start()
    score.compare("x", target, result, 8, settings)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * (ROWS + 10) * 1000 * 8  # a twelfth of one image in float64


def test_metrics_of_the_user_get_floats(monkeypatch):
    seen = []

    def metric(target, result):
        seen.append((target, result))
        return 1

    monkeypatch.setattr(functions, "load", lambda name: metric)
    target = np.full((20, 30, 3), 257 * 9, np.uint16)
    sections = {name: {"kind": "function", "function": "own:metric"} for name in ("one", "two")}
    settings = {"space": "y", "crop": 2, "rounded": False, "metrics": sections}
    assert score.compare("x", target, target.astype(np.float32), 16, settings) == {"one": 1, "two": 1}
    for image in (*seen[0], *seen[1]):
        assert image.dtype == np.float64
        assert image.shape == (16, 26, 1)
        np.testing.assert_allclose(image, luma(np.full((16, 26, 3), 9.0)))


def test_importing_the_metrics_imports_no_compiler():
    code = "import sys; from ensir import registry; registry.sections('metrics'); assert not {'numba', 'skimage', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
