"""Configurations of benchmarks, on trees of the shape in which these are downloaded."""

from __future__ import annotations

import hashlib
import logging
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from ensir.errors import InputError
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
    for dataset, folder, names in (
        ("DND", "test/DND/input", ("0001_01", "0001_02")),
        ("SIDD_benchmark", "test/SIDD/input_crops", ("0-0", "39-31")),
    ):
        for name in names:
            yield f"{folder}/{name}.png", (*SIZE, 3)
            for model in models:
                yield f"results/{model}/{dataset}/{name}.png", (*SIZE, 3)
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
    for dataset, split, names in (
        ("SID_train", "train", ["00001_00_0.04s.png", "00002_00_0.1s.png"]),
        ("SID", "test", ["10003_00_0.04s.png", "10003_01_0.04s.png", "10006_00_0.1s.png"]),
    ):
        yield from pairs(f"{split}/SID", "target", "input", names, dataset, ("SNR", "Retinexformer"))


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
    "real_denoising": (real_denoising, {"SIDD_Small": 2, "SIDD": 2, "SIDD_benchmark": 2, "DND": 2}),
    "defocus": (defocus, {"DPDD_train": 2, "DPDD": 2}),
    "low_light": (low_light, {"LOL_v2_train": 2, "LOL_v2": 2, "SID_train": 2, "SID": 3}),
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
        with zipfile.ZipFile(tmp_path / f"weights/gaussian_{kind}_denoising_sigma25.pth", "w") as weights:
            weights.writestr("data.pkl", "")  # all that the head of such a file tells
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


# ── what docs/benchmarks.md lays out ────────────────────────────────────────────────────────────────────────


def lines_of(benchmark: str) -> tuple[str, str]:
    """Return the language and the lines that the page has for a benchmark."""
    text = (FOLDER.parents[1] / "docs/benchmarks.md").read_text(encoding="utf-8")
    language, lines = re.findall(
        rf"^\*\*{benchmark}\*\*.*?^```(sh|python)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )[0]
    return language, lines


def lay_out(benchmark: str) -> None:
    language, lines = lines_of(benchmark)
    program = ["bash", "-euo", "pipefail"] if language == "sh" else [sys.executable]
    subprocess.run([*program, "-c", lines], check=True)


def test_lines_for_hide_and_realblur(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of the training images, whose targets lie among the others, nothing is taken."""
    monkeypatch.chdir(tmp_path)
    files = [f"HIDE_dataset/GT/{name}.png" for name in ("1fromGOPR0950", "2fromGOPR1096.MP4", "9train")]
    files += ["HIDE_dataset/test/test-close-ups/1fromGOPR0950.png"]
    files += ["HIDE_dataset/test/test-long-shot/2fromGOPR1096.MP4.png", "HIDE_dataset/train/9train.png"]
    root = "RealBlur-J_ECC_IMCORR_centroid_itensity_ref"
    for scene, number in (("scene001", 1), ("scene050", 1), ("scene050", 12)):
        files += [f"{root}/{scene}/{kind}/{kind}_{number}.png" for kind in ("gt", "blur")]
    for file in files:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text(file)
    Path("RealBlur_J_test_list.txt").write_text(
        "".join(f"{root}/scene050/gt/gt_{n}.png {root}/scene050/blur/blur_{n}.png\n" for n in (1, 12))
    )
    lay_out("HIDE")
    lay_out("RealBlur")
    found = {str(path): path.read_text() for path in sorted(Path("test").rglob("*.png"))}
    assert found == {
        "test/HIDE/input/1fromGOPR0950.png": files[3],
        "test/HIDE/input/2fromGOPR1096.MP4.png": files[4],
        "test/HIDE/target/1fromGOPR0950.png": files[0],
        "test/HIDE/target/2fromGOPR1096.MP4.png": files[1],
        "test/RealBlur_J/input/scene050_1.png": f"{root}/scene050/blur/blur_1.png",
        "test/RealBlur_J/input/scene050_12.png": f"{root}/scene050/blur/blur_12.png",
        "test/RealBlur_J/target/scene050_1.png": f"{root}/scene050/gt/gt_1.png",
        "test/RealBlur_J/target/scene050_12.png": f"{root}/scene050/gt/gt_12.png",
    }


def test_lines_for_dpdd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    names = {"source": ("1P0A0917.png", "1P0A1792.png"), "target": ("1P0A0916.png", "1P0A1793.png")}
    for kind, files in names.items():
        for file in files:
            path = Path("dd_dp_dataset_canon/test_c", kind, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file)
    lay_out("DPDD")
    for kind, other in (("inputC", "source"), ("target", "target")):
        found = [Path("test/DPDD", kind, name).read_text() for name in names["source"]]
        assert found == list(names[other])
    path.unlink()
    with pytest.raises(subprocess.CalledProcessError):  # one without the other is no pair
        lay_out("DPDD")


def test_lines_for_sidd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """And what reading the file itself says."""
    monkeypatch.chdir(tmp_path)
    blocks = np.random.default_rng(0).integers(0, 256, (3, 2, 8, 10, 3), np.uint8)
    for number, name in enumerate(
        ("ValidationGtBlocksSrgb", "ValidationNoisyBlocksSrgb", "BenchmarkNoisyBlocksSrgb")
    ):
        scipy.io.savemat(f"{name}.mat", {name: blocks + np.uint8(number)}, do_compression=True)
    lay_out("SIDD")
    for number, folder in enumerate(
        ("val/SIDD/target_crops", "val/SIDD/input_crops", "test/SIDD/input_crops")
    ):
        assert len(list(Path(folder).iterdir())) == 6
        image = image_files.read(f"{folder}/2-1.png")
        np.testing.assert_array_equal(image, blocks[2, 1] + np.uint8(number))
    with pytest.raises(InputError, match=r"store each image as numbers .* in a file of its own"):
        image_files.read("BenchmarkNoisyBlocksSrgb.mat")


def test_lines_for_sid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Blue comes first in the arrays; a target has several inputs; validation scenes begin with 2."""
    monkeypatch.chdir(tmp_path)
    arrays = {}
    for scene in ("00001", "10003", "20001"):
        for folder, names in (("short", ("00_0.04s", "00_0.1s", "01_0.1s")), ("long", ("00_10s",))):
            for name in names:
                path = Path(f"SID/{folder}_sid2/{scene}/{scene}_{name}.npy")
                path.parent.mkdir(parents=True, exist_ok=True)
                arrays[path.stem] = np.random.default_rng([*str(path).encode()]).integers(
                    0, 256, (8, 10, 3), np.uint8
                )
                np.save(path, arrays[path.stem])
    lay_out("SID")
    names = ["00_0.04s", "00_0.1s", "01_0.1s"]
    assert sorted(str(path) for path in Path().rglob("*.png")) == sorted(
        f"{split}/SID/{kind}/{scene}_{name}.png"
        for split, scene, some in (("train", "00001", names[:1]), ("test", "10003", names))
        for kind in ("input", "target")
        for name in some
    )
    for kind, name in (("input", "10003_01_0.1s"), ("target", "10003_00_10s")):
        image = image_files.read(f"test/SID/{kind}/10003_01_0.1s.png")
        np.testing.assert_array_equal(image, arrays[name][..., ::-1])
