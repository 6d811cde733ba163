"""Files of one name that differ: by a few pixels, in channels; and names with prefixes and suffixes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ensir.cli import app
from ensir.images import image_files


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def run(*arguments: str | Path):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})


def fit(root: Path, *options: str | Path):
    predictions = [f"--prediction={model}={root / model}" for model in ("a", "b")]
    return run("fit", "--target", root / "gt", *predictions, "-o", root / "x.lut", *options)


@pytest.mark.parametrize("anchor", ["topleft", "center"])
def test_files_that_lack_a_few_pixels(tmp_path: Path, anchor: str, caplog: pytest.LogCaptureFixture):
    """Targets and predictions are cropped to the size that all files of a name have, for each command alike."""
    start = {"topleft": (0, 0), "center": (2, 1)}[anchor]
    for name in ("one", "two"):
        target = random(len(name), 24, 31, 3)
        image_files.write(tmp_path / f"gt/{name}.png", target)
        image_files.write(tmp_path / f"a/{name}.png", target[start[0] :, start[1] :][:20, :28] ^ 1)
        image_files.write(tmp_path / f"b/{name}.png", 255 - target)
    refused = fit(tmp_path)
    assert refused.exit_code == 2
    assert "is 28×20 with 3 channels of 8 bit" in refused.stderr
    assert "--common-crop crops them, if a few pixels are missing" in refused.stderr
    option = f"--common-crop={anchor}"
    assert fit(tmp_path, option).exit_code == 0
    fused = ("fuse", "--lut", tmp_path / "x.lut", "-o", tmp_path / "fused", option)
    done = run(*fused, f"--prediction=a={tmp_path / 'a'}", f"--prediction=b={tmp_path / 'b'}")
    assert done.exit_code == 0, done.stderr
    assert image_files.shape(str(tmp_path / "fused/one.png")) == (20, 28, 3)
    csv = tmp_path / "x.csv"
    scored = run(
        *("score", "--target", tmp_path / "gt", "-o", csv, option, "--metrics", "psnr"),
        *(f"--prediction={model}={tmp_path / model}" for model in ("a", "b")),
    )
    assert scored.exit_code == 0, scored.stderr
    values = dict(line.rsplit(",", 1) for line in csv.read_text().splitlines()[1:])
    assert float(values["a,one,psnr"]) == pytest.approx(20 * np.log10(255))  # one level everywhere
    target = image_files.read(str(tmp_path / "gt/one.png"))
    whole = 10 * np.log10(255**2 / np.mean((2.0 * target[start[0] :, start[1] :][:20, :28] - 255) ** 2))
    assert float(values["b,one,psnr"]) == pytest.approx(whole)  # on the same pixels as a
    assert "--common-crop: 4 of 4 images were cropped to the size that all of their name have" in caplog.text


def test_grey_images_among_colour_ones(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """They are fitted and scored with three equal channels; where all are grey, they stay so."""
    for name, channels in (("bridge", 1), ("pepper", 3)):
        for model in ("gt", "a", "b"):
            image_files.write(tmp_path / model / f"{name}.png", random(len(model), 24, 24, channels))
    image_files.write(tmp_path / "b/bridge.png", random(1, 24, 24, 3))  # saved as colour
    assert fit(tmp_path).exit_code == 0
    assert "bridge.png is grey, other images of its folder are not" in caplog.text
    fused = ("fuse", "--lut", tmp_path / "x.lut", "-o", tmp_path / "fused")
    assert not run(*fused, *(f"--prediction={m}={tmp_path / m}" for m in ("a", "b"))).exit_code
    assert image_files.shape(str(tmp_path / "fused/bridge.png")) == (24, 24, 3)
    score = (
        "score",
        "--space",
        "y",
        "--target",
        tmp_path / "gt",
        "--metrics",
        "psnr",
        "-o",
        tmp_path / "x.csv",
    )
    assert not run(*score, f"--prediction=a={tmp_path / 'a'}").exit_code
    values = dict(line.rsplit(",", 1) for line in (tmp_path / "x.csv").read_text().splitlines()[1:])
    target, result = (image_files.read(str(tmp_path / f"{m}/bridge.png")).astype(float) for m in ("gt", "a"))
    expected = 10 * np.log10(255**2 / np.mean((219 / 255 * (target - result)) ** 2))
    assert float(values["a,bridge,psnr"]) == pytest.approx(expected, abs=1e-3)
    (tmp_path / "gt/pepper.png").unlink()
    caplog.clear()
    assert fit(tmp_path).exit_code == 2  # b has colours, and the target none
    assert "is grey" not in caplog.text


def test_prefixes_and_suffixes_are_written_into_patterns(tmp_path: Path):
    for name in ("one", "two"):
        target = random(len(name), 24, 24, 3)
        image_files.write(tmp_path / f"data/{name}_HR.png", target)
        image_files.write(tmp_path / f"out/SRF_4_{name}_MobileSR.png", target)
        image_files.write(tmp_path / f"out/{name}x4.png", 255 - target)
    done = run(
        *("score", "--target", f"{tmp_path}/data/{{image}}_HR.png", "--metrics", "psnr"),
        f"--prediction=MobileSR={tmp_path}/out/SRF_4_{{image}}_MobileSR.png",
        f"--prediction=other={tmp_path}/out/{{image,[a-z]+}}x4.png",
    )
    assert done.exit_code == 0, done.stderr
    assert "∞" in done.stdout
