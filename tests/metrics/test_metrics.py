"""Metrics beside PSNR and SSIM, against published values, another library, and their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from ensir import registry
from ensir.images.colours import luma
from ensir.images.similarity import psnr, ssim
from ensir.stages.score import compare


def images(channels: int = 3, noise: float = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    target = np.kron(random.uniform(30, 220, (6, 8, channels)), np.ones((4, 4, 1)))
    return target, np.clip(target + random.normal(0, noise, target.shape), 0, 255)


def measured(metric: str, target: np.ndarray, result: np.ndarray) -> float:
    return registry.module("metrics", metric).measure(target, result, {})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("metric", "plain"), [("psnr_y", psnr), ("ssim_y", ssim)])
def test_luma_whatever_the_space(metric: str, plain, channels: int):
    target, result = images(channels)
    expected = plain(luma(target), luma(result)) if channels == 3 else plain(target, result)
    assert measured(metric, target, result) == pytest.approx(expected, abs=1e-9)
    for space in ("rgb", "y"):
        settings = {"space": space, "crop": 0, "rounded": False, "metrics": {metric: {"kind": metric}}}
        stored = [np.float32(image * 257) for image in (target, result)]
        assert compare("x", *stored, 16, settings)[metric] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ((0, 0, 0), (255, 255, 255), 100.0),
        ((255, 0, 0), (0, 255, 0), 86.61),
        ((0, 0, 255), (255, 255, 0), 103.43),
    ],
)
def test_ciede2000_of_known_colours(one: tuple, other: tuple, difference: float):
    filled = [np.broadcast_to(np.array(colour, float), (2, 3, 3)) for colour in (one, other)]
    assert measured("ciede2000", *filled) == pytest.approx(difference, abs=0.01)
    assert measured("ciede2000", filled[0], filled[0]) == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_gmsd_is_as_defined(channels: int):
    """In loops, as the paper writes it."""
    pair = images(channels)
    magnitudes = []
    for image in pair:
        grey = np.pad((luma(image) if channels == 3 else image)[..., 0], ((0, 1), (0, 1)))
        half = [[grey[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean() for x in range(16)] for y in range(12)]
        around = np.pad(np.array(half), 1)
        magnitude = np.empty((12, 16))
        for y in range(12):
            for x in range(16):
                window = around[y : y + 3, x : x + 3]
                across = (window[:, 2].sum() - window[:, 0].sum()) / 3
                down = (window[2].sum() - window[0].sum()) / 3
                magnitude[y, x] = (across**2 + down**2) ** 0.5
        magnitudes.append(magnitude)
    one, other = magnitudes
    similarity = (2 * one * other + 170) / (one**2 + other**2 + 170)
    expected = (((similarity - similarity.mean()) ** 2).sum() / (similarity.size - 1)) ** 0.5
    assert measured("gmsd", *pair) == pytest.approx(expected, rel=1e-9)
    assert measured("gmsd", pair[0], pair[0]) == 0


@pytest.mark.parametrize("metric", ["psnr_y", "ssim_y", "gmsd", "ciede2000"])
def test_more_noise_is_worse(metric: str):
    better = 1 if registry.sections("metrics")[metric]().printed["higher_is_better"] else -1
    values = [better * measured(metric, *images(noise=noise)) for noise in (1, 4, 16)]
    assert values == sorted(values, reverse=True)
