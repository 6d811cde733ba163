"""Configurations of benchmarks, on trees of the shape in which these are downloaded."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest

from ensir.images import image_files
from ensir.planning import check

FOLDER = Path(__file__).parents[2] / "config" / "benchmarks"
SIZE = (24, 32)
SUPER_RESOLUTION = {
    "train": ["0001", "0002"],
    "Set5": ["baby", "woman"],
    "Set14": ["bridge", "pepper"],
    "B100": ["101085", "8023"],
    "Urban100": ["img001", "img100"],
    "Manga109": ["ARMS", "YumeiroCooking"],
}
DERAINING = ("Rain100H", "Rain100L", "Test100", "Test1200", "Test2800")
GOPRO = {"train": ("GOPR0372_07_00", "GOPR0374_11_00"), "test": ("GOPR0384_11_00", "GOPR0868_11_01")}
SIDD = ("0001_001_S6_00100_00060_3200_L", "0010_001_S6_00800_00350_3200_N", "0011_001_S6_00800_00500_5500_L")


def super_resolution():
    for dataset, names in SUPER_RESOLUTION.items():
        for name in names:
            channels = 1 if name == "bridge" else 3
            yield f"benchmark/{dataset}/HR/{name}.png", (4 * 20 + 2, 4 * 16 + 1, channels)
            yield f"benchmark/{dataset}/LR_bicubic/X4/{name}x4.png", (20, 16, channels)
            yield f"benchmark/{dataset}/LR_bicubic/X2/{name}x2.png", (41, 32, channels)
            for model in ("IMDN", "CRAFT"):
                yield f"results/{model}/visualization/{dataset}/{name}_{model}.png", (80, 64, channels)


def pairs(root: str, target: str, degraded: str, names: list[str], dataset: str, models: tuple[str, ...]):
    for name in names:
        yield f"{root}/{target}/{name}", (*SIZE, 3)
        yield f"{root}/{degraded}/{name}", (*SIZE, 3)
        for model in models:
            yield f"results/{model}/{dataset}/{Path(name).stem}.png", (*SIZE, 3)


def deraining():
    models = ("MPRNet", "Restormer")
    names = [f"{number}.jpg" for number in (1, 2, 10)]
    yield from pairs("train/Rain13K", "target", "input", names, "Rain13K", models)
    yield "train/Rain13K/target/11.jpg", (*SIZE, 3)
    for dataset in DERAINING:
        names = ["1.jpg", "2.jpg"] if dataset == "Test2800" else ["1.png", "2.png"]
        yield from pairs(f"test/{dataset}", "target", "input", names, dataset, models)


def deblurring():
    models = ("MPRNet", "Restormer")
    for split, scenes in GOPRO.items():
        for scene in scenes:
            for frame in ("000045", "000046"):
                for kind in ("sharp", "blur", "blur_gamma"):
                    yield f"GOPRO_Large/{split}/{scene}/{kind}/{frame}.png", (*SIZE, 3)
                for model in models:
                    dataset = "GOPRO_train" if split == "train" else "GOPRO_Large"
                    yield f"results/{model}/{dataset}/{scene}/{frame}.png", (*SIZE, 3)
    for dataset in ("GoPro", "HIDE", "RealBlur_R", "RealBlur_J"):
        yield from pairs(f"test/{dataset}", "target", "input", ["1.png", "scene1-2.png"], dataset, models)


def gaussian_denoising():
    for dataset, channels in {
        "Set12": 1,
        "BSD68": 1,
        "CBSD68": 3,
        "Kodak": 3,
        "McMaster": 3,
        "Urban100": 3,
    }.items():
        for name in ("01.png", "02.tif" if dataset == "McMaster" else "02.png"):
            yield f"test/{dataset}/{name}", (*SIZE, channels)
    for kind, channels in (("grey", 1), ("colour", 3)):
        for name in ("a.png", "b.png"):
            yield f"train/{kind}/{name}", (*SIZE, channels)


def real_denoising():
    models = ("MPRNet", "Restormer")
    yield from pairs("val/SIDD", "target_crops", "input_crops", ["0-0.png", "0-1.png"], "SIDD", models)
    for name in ("0001_01", "0001_02"):
        yield f"test/DND/input/{name}.png", (*SIZE, 3)
        for model in models:
            yield f"results/{model}/DND/{name}.png", (*SIZE, 3)
    for scene in SIDD:
        for kind in ("GT", "NOISY"):
            yield f"SIDD_Small_sRGB_Only/Data/{scene}/{scene[:4]}_{kind}_SRGB_010.PNG", (*SIZE, 3)
        for model in models:
            yield f"results/{model}/SIDD_Small/{scene[:4]}.png", (*SIZE, 3)


def defocus():
    for dataset, split, names in (
        ("DPDD_train", "train", ["0010.png", "0020.png", "0021.png"]),
        ("DPDD", "test", ["1.png", "2.png"]),
    ):
        for path, shape in pairs(f"{split}/DPDD", "target", "inputC", names, dataset, ("IFAN", "Restormer")):
            yield path, (*shape, 16)


def low_light():
    for dataset, split, numbers in (
        ("LOL_v2_train", "Train", ["00100", "00200", "00201"]),
        ("LOL_v2", "Test", ["00690", "00789"]),
    ):
        for number in numbers:
            for kind in ("Normal", "Low"):
                yield f"LOL-v2/Real_captured/{split}/{kind}/{kind.lower()}{number}.png", (*SIZE, 3)
            for model in ("SNR", "Retinexformer"):
                yield f"results/{model}/{dataset}/low{number}.png", (*SIZE, 3)


TREES = {
    "super_resolution": (super_resolution, dict.fromkeys(SUPER_RESOLUTION, 2)),
    "deraining": (deraining, {"Rain13K": 3, **dict.fromkeys(DERAINING, 2)}),
    "deblurring": (
        deblurring,
        {"GOPRO_train": 2, "GOPRO_Large": 4, "GoPro": 2, "HIDE": 2, "RealBlur_R": 2, "RealBlur_J": 2},
    ),
    "gaussian_denoising": (
        gaussian_denoising,
        dict.fromkeys(
            ("train_grey", "train_colour", "Set12", "BSD68", "CBSD68", "Kodak", "McMaster", "Urban100"), 2
        ),
    ),
    "real_denoising": (real_denoising, {"SIDD_Small": 2, "SIDD": 2, "DND": 2}),
    "defocus": (defocus, {"DPDD_train": 2, "DPDD": 2}),
    "low_light": (low_light, {"LOL_v2_train": 2, "LOL_v2": 2}),
}


def test_every_benchmark_has_a_tree():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(TREES)


@pytest.mark.parametrize("name", TREES)
def test_patterns_match_what_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
):
    tree, counts = TREES[name]
    for path, (*shape, bits) in ((path, shape if len(shape) == 4 else (*shape, 8)) for path, shape in tree()):
        seed = int(hashlib.sha256(path.encode()).hexdigest()[:8], 16)
        image = np.random.default_rng(seed).integers(0, 2**bits, shape).astype(f"uint{bits}")
        image_files.write(tmp_path / path, image)
    (tmp_path / "weights").mkdir()
    for kind in ("gray", "color"):
        (tmp_path / f"weights/gaussian_{kind}_denoising_sigma25.pth").touch()
    for variable, folder in (("ROOT", ""), ("PREDICTIONS", "results"), ("WEIGHTS", "weights")):
        monkeypatch.setenv(variable, str(tmp_path / folder))
    plan = check.check(str(FOLDER / f"{name}.yaml")).plan
    found = {
        dataset: len((plan.targets if plan.has_targets(dataset) else plan.inputs)(dataset))
        for dataset in counts
    }
    assert found == counts
    assert set(plan.config.datasets) == set(counts)
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    grey = "Set14: holds grey images among colour ones"
    assert all(grey in line for line in warned) if name == "super_resolution" else not warned
