"""Known runs with the published denoising autoencoders: `make test-meanshift`.

Image 101085, rows 100–356, columns 40–296: blurred by the first kernel of the releases with noise of σ = 2.55, or with
70 % of its pixels missing; and Set14 enlarged twice. 300 steps. The traces in `docs/traces` are of whole runs; the tests
here repeat how they begin.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ensir.images import degradation_files, degradations, image_files
from ensir.images.degradations import imresize
from ensir.images.similarity import psnr
from ensir.networks import linear, meanshift
from ensir.networks.observation import Observation, observe
from ensir.restorers import Degraded, daep, dmsp

pytestmark = pytest.mark.meanshift
TRACES = Path(__file__).parents[2] / "docs/traces"
SETTINGS = {"device": "cpu", "precision": "float32", "dae_sigma": None, "seed": 0, "unfinished": None}
DMSP = {"kernel_size": None, "noise_blind": False}
KNOWN = {  # how the whole runs end, and by how much they may differ from what the authors' code gives
    "dmsp": ("dmsp", DMSP, 26.4, 0.3),
    "dmsp_blind": ("dmsp", DMSP | {"noise_blind": True}, 26.2, 0.3),
    "daep": ("daep", {}, 25.8, 0.3),
}


def trace(name: str) -> list[dict[str, float]]:
    with open(TRACES / f"{name}.csv", newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def known_run(data: Path, size: int = 256) -> tuple[Observation, np.ndarray]:
    """Return the blurred image, not rounded, and its target without the border."""
    photograph = image_files.read(str(data / "images/dmsp/101085.jpg"))
    target = photograph[100 : 100 + size, 40 : 40 + size].astype(np.float32)
    kernel = degradation_files.read_kernel(str(data / "images/dmsp/kernels.mat"), 1, mirrored=True)
    weights = torch.from_numpy(kernel.copy()).float()
    x = torch.from_numpy(target).permute(2, 0, 1)
    y = linear.Blur(weights, (size, size)).apply(x)
    noise = np.random.default_rng(0).normal(0, 2.55, tuple(y.shape))
    observation = Observation("101085", y + torch.from_numpy(noise).float(), 2.55, weights)
    return observation, observation.inner(x).permute(1, 2, 0).numpy()


def holes(data: Path) -> tuple[Observation, np.ndarray]:
    """Return the image with 70 % of its pixels missing, and its target."""
    target = image_files.read(str(data / "images/dmsp/101085.jpg"))[100:356, 40:296]
    told = {"kind": "mask", "missing": 0.7, "sigma": 0.0, "seed": 0}
    degraded = Degraded("101085", degradations.degrade(target, told, "101085"), target.shape, 8, 1, told)
    return observe(degraded, "cpu"), target.astype(np.float32)


def restorer(data: Path, kind: str, options: dict[str, Any], steps: int) -> meanshift.MeanShift:
    made, sigma = (dmsp.Restorer, 11) if kind == "dmsp" else (daep.Restorer, 25)
    weights = str(data / f"weights/dae_sigma{sigma}.safetensors")
    return made(SETTINGS | {"kind": kind, "path": weights, "steps": steps, **options}, [])


@pytest.mark.parametrize("name", KNOWN)
def test_a_whole_run_ends_where_it_should(name: str):
    *_, psnr_expected, tolerance = KNOWN[name]
    rows = trace(name)
    assert [row["step"] for row in rows] == list(range(1, 301))
    assert rows[-1]["psnr"] == pytest.approx(psnr_expected, abs=tolerance)
    assert rows[-1]["sigma"] == pytest.approx(2.55, rel=0.15)


@pytest.mark.parametrize("name", KNOWN)
def test_a_run_begins_as_its_trace(data: Path, name: str):
    kind, options, *_ = KNOWN[name]
    observation, target = known_run(data)
    blurred = observation.y.permute(1, 2, 0).numpy()
    assert psnr(target, np.clip(np.rint(blurred), 0, 255)) == pytest.approx(19.13, abs=0.005)
    rows = restorer(data, kind, options, steps=6).descend(observation, target=target).rows
    for row, expected in zip(rows, trace(name), strict=False):
        assert row.psnr == pytest.approx(expected["psnr"], abs=0.005)
        assert row.data == pytest.approx(expected["data"], rel=1e-3)


def test_holes_are_filled(data: Path):
    whole = trace("dmsp_holes")
    assert [row["step"] for row in whole] == list(range(1, 301))
    observation, target = holes(data)
    filled = psnr(target, observation.start().permute(1, 2, 0).numpy())
    assert whole[-1]["psnr"] > filled + 1
    rows = (
        restorer(data, "dmsp", DMSP | {"noise_blind": True}, steps=6).descend(observation, target=target).rows
    )
    for row, expected in zip(rows, whole, strict=False):
        assert row.psnr == pytest.approx(expected["psnr"], abs=0.005)
        assert row.data == pytest.approx(expected["data"], rel=1e-3)


def test_dmsp_sharpens_a_small_piece(data: Path):
    observation, target = known_run(data, 96)
    rows = (
        restorer(data, "dmsp", DMSP | {"noise_blind": True}, steps=60)
        .descend(observation, target=target)
        .rows
    )
    assert rows[-1].psnr > rows[0].psnr + 3
    assert rows[-1].sigma == pytest.approx(2.55, rel=0.15)


def test_set14_enlarged_twice_is_as_published():
    """28.53 dB by bicubic interpolation and 31.07 dB by DAEP: means over the set, without a border of two pixels."""
    with open(TRACES / "daep_set14_x2_scores.csv", newline="") as file:
        scores = list(csv.DictReader(file))
    assert len(scores) == 14
    assert np.mean([float(row["bicubic"]) for row in scores]) == pytest.approx(28.53, abs=0.02)
    assert np.mean([float(row["daep"]) for row in scores]) == pytest.approx(31.07, abs=0.1)
    assert [row["step"] for row in trace("daep_set14_x2")] == list(range(1, 301))


def test_set14_begins_as_its_trace(data: Path):
    target = image_files.read(str(data / "images/set14/gt/face.png"))
    target = target[: target.shape[0] // 2 * 2, : target.shape[1] // 2 * 2]
    low = imresize(target, 1 / 2)
    degraded = Degraded("face", low, target.shape, 8, 2, {"kind": "downscale", "scale": 2})
    made = restorer(data, "daep", {"precision": "bfloat16"}, steps=3)
    rows = made.descend(observe(degraded, "cpu"), target=target.astype(np.float32)).rows
    for row, expected in zip(rows, trace("daep_set14_x2"), strict=False):
        assert row.psnr == pytest.approx(expected["face"], abs=0.02)


@pytest.mark.parametrize(("name", "scale"), [("monarch", 2), ("flowers", 3), ("ppt3", 4)])
def test_daep_enlarges_better_than_bicubic(data: Path, name: str, scale: int):
    whole = image_files.read(str(data / f"images/set14/gt/{name}.png"))
    top, left = ((side - 120) // 2 for side in whole.shape[:2])
    target = whole[top : top + 120, left : left + 120]
    low = imresize(target, 1 / scale)
    degradation = {"kind": "downscale", "scale": scale}
    degraded = Degraded(name, low, target.shape, 8, scale, degradation)
    (restored,) = restorer(data, "daep", {}, steps=100).restore([degraded])

    def quality(image: np.ndarray) -> float:
        return psnr(*(picture[scale:-scale, scale:-scale].astype(float) for picture in (target, image)))

    assert quality(np.clip(np.rint(restored), 0, 255)) > quality(imresize(low, scale)) + 1.5
