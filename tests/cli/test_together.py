"""Files of one name that differ: by a few pixels, in channels; and names with prefixes and suffixes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
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


@pytest.fixture
def floats(tmp_path: Path) -> Path:
    """Targets and predictions of 8 bits, and the same predictions as floats: a as TIFF, b as one of two arrays."""
    for name in ("one", "two"):
        target = random(len(name), 24, 24, 3)
        image_files.write(tmp_path / f"gt/{name}.png", target)
        for model, change in (("a", 1), ("b", 3)):
            image_files.write(tmp_path / f"{model}/{name}.png", target ^ change)
            (tmp_path / f"{model}_floats").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / f"a_floats/{name}.tif", np.float32((target ^ 1) / 255), photometric="rgb")
        np.savez(tmp_path / f"b_floats/{name}.npz", x=np.float32((target ^ 3) / 255), sigma=np.float32([1]))
    return tmp_path


def test_floats_whose_range_is_given(floats: Path):
    """They become what a workflow stores: integers of the depth of the targets, or of the LUT."""

    def given(suffix: str) -> list[str]:
        return [f"--prediction={model}={floats / model}{suffix}" for model in ("a", "b")]

    options, target = ("--value-range", "0", "1", "--array", "x"), ("--target", floats / "gt")
    lut, fitted = floats / "x.lut", []
    for suffix in ("", "_floats"):
        csv, fused = floats / f"x{suffix}.csv", floats / f"fused{suffix}"
        for command in (
            ("fit", *target, "-o", lut),
            ("fuse", "--lut", lut, "-o", fused),
            ("score", *target, "-o", csv),
        ):
            done = run(*command, *given(suffix), *options)
            assert done.exit_code == 0, done.stderr
        fitted.append((csv.read_text(), [image_files.read(str(fused / f"{n}.png")) for n in ("one", "two")]))
    (scores, images), (of_floats, from_floats) = fitted
    assert scores == of_floats
    np.testing.assert_array_equal(images, from_floats)


@pytest.mark.parametrize(
    ("given", "message"),
    [((0, 255), "is above 1, where white is 255"), ((-1, 1), "lie in the upper half of [-1, 1]")],
)
def test_floats_whose_range_is_wrong_without_a_target(floats: Path, given: tuple, message: str):
    """As in targets themselves, and where predictions are fused."""
    (floats / "y").mkdir()
    for name in ("one", "two"):
        tifffile.imwrite(floats / f"y/{name}.tif", np.float32(random(1, 24, 24, 3) / 255), photometric="rgb")
    done = run("score", "--target", floats / "y", f"--prediction=y={floats / 'y'}", "--value-range", *given)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "perhaps [0, 1]; fix --value-range, or write uint8 or uint16" in done.stderr


def test_folders_that_are_too_dark_for_their_range(floats: Path):
    """12 bits in files of 16, and floats of 0–255 declared as 0–1023: neither scored, nor fitted, nor fused."""
    for name in ("gt", "a", "b"):
        for end in ("_12", "_255"):
            (floats / f"{name}{end}").mkdir()
        image = image_files.read(str(floats / f"{name}/one.png")).astype(np.uint16)
        image_files.write(floats / f"{name}_12/one.png", image * 16 + image // 16)
        np.save(floats / f"{name}_255/one.npy", np.float32(image))

    def done(command: str, end: str, *given, target: str | None = None):
        models = [f"--prediction={model}={floats / model}{end}" for model in ("a", "b")]
        options = (
            ("--target", f"{floats / 'gt'}{end if target is None else target}") if command != "fuse" else ()
        )
        made = {"fit": ("-o", floats / "y.lut"), "fuse": ("--lut", floats / "x.lut", "-o", floats / "fused")}
        return run(command, *options, *models, *made.get(command, ()), *given)

    targets = ("--target", floats / "gt", f"--prediction=a={floats / 'a'}", f"--prediction=b={floats / 'b'}")
    assert run("fit", *targets, "-o", floats / "x.lut").exit_code == 0
    for command in ("score", "fit", "fuse"):
        wrong = done(command, "_12")
        assert wrong.exit_code == 2
        assert "is above 4095, where white is 65535: perhaps [0, 4095]; set --value-range, or" in wrong.stderr
        assert done(command, "_12", "--value-range", 0, 4095).exit_code == 0
        if command != "fuse":  # the LUT is of 8 bits
            assert done(command, "_12", "--value-range", 0, 65535).exit_code == 0
        wrong = done(command, "_255", "--value-range", 0, 1023)
        assert wrong.exit_code == 2
        assert "is above 255, where white is 1023: perhaps [0, 255]; fix --value-range, or" in wrong.stderr


def test_floats_that_are_targets_become_16_bit(tmp_path: Path):
    (tmp_path / "gt").mkdir()
    target = random(1, 24, 24, 3) / np.float32(255)
    tifffile.imwrite(tmp_path / "gt/one.tif", target, photometric="rgb")
    (tmp_path / "a").mkdir()
    tifffile.imwrite(tmp_path / "a/one.tif", target + np.float32(1 / 65535), photometric="rgb")
    options = ("--target", tmp_path / "gt", f"--prediction=a={tmp_path / 'a'}", "--metrics", "psnr")
    done = run("score", *options, "--value-range", 0, 1, "-o", tmp_path / "x.csv")
    assert done.exit_code == 0, done.stderr
    value = float((tmp_path / "x.csv").read_text().splitlines()[1].rsplit(",", 1)[1])
    assert value == pytest.approx(20 * np.log10(65535), abs=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--array", "x"),
            "holds float32, whose black and white are not known; write uint8 or uint16, or declare them",
        ),
        (("--value-range", 1, 0), "--value-range 1 0: write black, then white"),
        (("--value-range", 0, "inf"), "--value-range 0 inf: write black, then white"),
        (("--value-range", -1, 1, "--array", "x"), "lie in the upper half of [-1, 1]"),
        (
            ("--value-range", 0, 255, "--array", "x"),
            "perhaps [0, 1]; fix --value-range, or write uint8 or uint16",
        ),
        (("--value-range", 0, 1, "--array", "y"), "has no array 'y'; it holds x, sigma"),
        (("--value-range", 0, 1), "holds 2 arrays (x, sigma); name one with `array`"),
    ],
)
def test_floats_whose_range_is_wrong(floats: Path, options: tuple, message: str):
    given = [f"--prediction={model}={floats / model}_floats" for model in ("a", "b")]
    done = run("score", "--target", floats / "gt", *given, *options)
    assert done.exit_code == 2
    assert message in done.stderr
