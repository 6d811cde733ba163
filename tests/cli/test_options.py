"""What all commands have in common, and how the commands on folders compare and find images."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from ensir.cli import app, progress
from ensir.images import image_files

ENSIR = Path(sys.executable).with_name("ensir")


def ensir(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "100"})
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_version():
    assert re.fullmatch(r"ensir \d+\.\d+\.\d+\n", ensir("--version").output)


def test_completion():
    words = {"_ENSIR_COMPLETE": "complete_bash", "COMP_WORDS": "ensir res", "COMP_CWORD": "1"}
    assert subprocess.check_output([ENSIR], env={**os.environ, **words}, text=True).split() == [
        "resume",
        "restore",
    ]


@pytest.mark.parametrize(
    "command", ["", "run", "verify", "publish", "score", "restore", "dae train", "ptgrm train", "lut export"]
)
def test_types_are_words(command: str):
    options = ensir(*command.split(), "--help").output
    assert "--help" in options
    assert not re.search(r"<\w+", options), options
    if command == "score":
        assert re.search(r"--crop +INTEGER", options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Targets, and a model's predictions as images with a suffix and as arrays, without one."""
    for i in range(2):
        random = np.random.default_rng(i)
        target = random.integers(0, 256, (24, 32, 3), np.uint8)
        prediction = np.clip(target + random.normal(0, 10, target.shape), 0, 255).astype(np.uint8)
        image_files.write(tmp_path / f"gt/{i}.png", target)
        image_files.write(tmp_path / f"m/{i}_x4.png", prediction)
        (tmp_path / "arrays").mkdir(exist_ok=True)
        np.save(tmp_path / f"arrays/{i}.npy", prediction)
    return tmp_path


def score(folder: Path, *more: object, model: str = "m", code: int = 0) -> Result:
    return ensir("score", "--target", folder / "gt", "--prediction", f"m={folder / model}", *more, code=code)


def test_a_score_says_how_images_were_compared(folder: Path):
    lines = score(folder, "--suffix", "_x4").output.splitlines()
    assert lines[0].strip() == "RGB, whole images"
    assert [line.strip("┃│ ").split("┃")[0].strip() for line in lines[2:4]] == ["PSNR (dB)", "n = 2"]
    output = score(folder, "--suffix", "_x4", "--space", "y", "--crop", 4, "--metrics", "ssim").output
    assert output.splitlines()[0].strip() == "luma (BT.601), without a border of 4 pixels"
    assert "SSIM" in output
    assert "PSNR" not in output
    error = "error: --metrics psnr,mine: no metric 'mine'; allowed: ciede2000, dists, gmsd, lpips, ms_ssim, psnr, psnr_y, ssim, ssim_y\n"
    assert score(folder, "--metrics", "psnr,mine", code=2).stderr == error


@pytest.mark.parametrize(
    ("metrics", "option", "message"),
    [
        ("dists", "dists.vgg=vgg.pth", "needs --metric-option dists.weights=FILE"),
        ("dists", "dists.vgg=x/vgg.pth", "no such file"),
        ("dists", "dists.vgg=gt/0.png", "must be a path that ends in .pth, .pt or .safetensors"),
        ("lpips", "lpips.vgg=vgg.pth", "no option 'lpips.vgg' of --metrics lpips; allowed: lpips.alexnet"),
        ("psnr", "vgg.pth", "write METRIC.OPTION=FILE"),
    ],
)
def test_weights_of_metrics(
    folder: Path, monkeypatch: pytest.MonkeyPatch, metrics: str, option: str, message: str
):
    monkeypatch.chdir(folder)
    Path("vgg.pth").touch()
    Path("dists.pt").touch()
    both = ["--metric-option", "dists.weights=dists.pt"] if "png" in option else []
    error = score(folder, "--metrics", metrics, "--metric-option", option, *both, code=2).stderr
    assert error.startswith("error: --metric")
    assert message in error


def test_arrays_are_images(folder: Path):
    assert score(folder, model="arrays").output == score(folder, "--suffix", "_x4").output
    np.save(folder / "arrays/1.npy", np.zeros((24, 32, 3), np.float32))
    error = score(folder, model="arrays", code=2).stderr
    assert re.fullmatch(r"error: .*/1.npy: holds float32, whose black and white are not known; .*\n", error)


def test_arrays_are_fitted_and_fused(folder: Path):
    shift = folder / "other"
    for i in range(2):
        image_files.write(shift / f"{i}.png", np.load(folder / f"arrays/{i}.npy") // 2)
    given = ["--prediction", f"a={folder / 'arrays'}", "--prediction", f"b={shift}"]
    ensir("fit", "--target", folder / "gt", *given, "-o", folder / "x.lut")
    output = ensir("fuse", "--lut", folder / "x.lut", *given, "-o", folder / "fused").stdout
    assert output.startswith(f"wrote 2 images to {folder / 'fused'}; ")
    assert sorted(path.name for path in (folder / "fused").iterdir()) == ["0.png", "1.png"]


def test_images_that_fusing_leaves_in_its_folder_are_told(folder: Path):
    for i in range(2):
        image_files.write(folder / f"b/{i}.png", image_files.read(str(folder / f"gt/{i}.png")) // 2)
        image_files.write(folder / f"a/{i}.png", image_files.read(str(folder / f"gt/{i}.png")) // 3)
    given = ["--prediction", f"a={folder / 'a'}", "--prediction", f"b={folder / 'b'}"]
    ensir("fit", "--target", folder / "gt", *given, "-o", folder / "x.lut")
    fuse = ["fuse", "--lut", folder / "x.lut", *given, "-o", folder / "fused"]
    for _ in range(2):  # its own images are replaced without a word
        assert "other images" not in ensir(*fuse).stderr
    (folder / "fused/1.png").rename(folder / "fused/scene.png")
    (folder / "fused/notes.txt").touch()
    told = f"fused: holds other images, too, 1 in all (first: {folder}/fused/scene.png): if they are of"
    assert told in ensir(*fuse).stderr


def test_of_least_squares_no_steps_of_em_are_told(folder: Path):
    given = ["--prediction", f"a={folder / 'arrays'}", "--prediction", f"b={folder / 'm'}", "--suffix", "_x4"]
    for i in range(2):
        (folder / f"arrays/{i}.npy").rename(folder / f"arrays/{i}_x4.npy")
    for method, told in (("least_squares", False), ("ensir", True)):
        output = ensir(
            "fit", "--target", folder / "gt", *given, "--method", method, "-o", folder / "x.lut"
        ).output
        assert ("EM steps" in output) is told


def test_without_a_terminal_a_line_now_and_then(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    with progress.shown("fuse") as told:
        for done in range(1, 31):
            now += 1.0
            told(done, 30)
    assert capsys.readouterr().err.splitlines() == ["fuse: 10 of 30", "fuse: 20 of 30"]
