"""`ensir` on plain folders: what it writes, what it prints, how it exits."""

from __future__ import annotations

import csv
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from examples import as_stored
from typer.testing import CliRunner, Result

from ensir.cells import lut
from ensir.cells.lut import LutMethod
from ensir.cli import app
from ensir.errors import InputError
from ensir.images import image_files
from ensir.metrics import lpips
from ensir.stages.score import compare
from ensir.stages.summarize import summarize
from ensir.storage import digests, writing
from ensir.storage.layout import Place

METRICS = {"psnr": {"kind": "psnr"}, "ssim": {"kind": "ssim"}}
ENSIR = Path(sys.executable).with_name("ensir")
SETTINGS = {"space": "rgb", "crop": 0, "rounded": False, "metrics": METRICS}
COMMANDS = [
    ["fit"],
    ["fuse"],
    ["score"],
    ["verify"],
    ["table"],
    ["lut", "show"],
    ["lut", "import"],
    ["lut", "export"],
]


def ensir(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def given(folder: Path, *models: str) -> list[str]:
    return [word for model in models for word in ("--prediction", f"{model}={folder / model}")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Targets and predictions of two models, for a reference and a test; one image in a sub-folder."""
    root = tmp_path_factory.mktemp("images")
    for dataset, names in (("ref", ["r1", "r2"]), ("test", ["t1", "deep/t2"])):
        for i, name in enumerate(names):
            y, x = np.mgrid[0:40, 0 : 44 + i]
            target = 128 + 100 * np.stack([np.sin(x / 7 + y / (9 + c) + i) for c in range(3)], axis=2)
            for model, noise in (("gt", 0.0), ("a", 6.0), ("b", 9.0)):
                random = np.random.default_rng([*name.encode(), int(noise)])
                value = np.clip(np.rint(target + random.normal(0, noise, target.shape)), 0, 255).astype(
                    np.uint8
                )
                image_files.write(root / dataset / model / f"{name}.png", value)
    return root


@pytest.fixture(scope="module")
def fitted(folder: Path) -> Path:
    path = folder / "my.lut"
    reference = folder / "ref"
    ensir("fit", "--target", reference / "gt", *given(reference, "a", "b"), "--bin-width", 64, "-o", path)
    return path


def test_patterns_give_what_folders_give(folder: Path, fitted: Path, tmp_path: Path):
    """The parts of the names in another order, and other names in the folder."""
    for model in ("a", "b"):
        for name in ("r1", "r2"):
            copy = tmp_path / f"{model}/out-{name[1]}-of-{name[0]}_{model}.png"
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(folder / "ref" / model / f"{name}.png", copy)
    target = folder / "ref/gt/{letter,[a-z]}{number}.png"
    patterns = [
        f"{model}={tmp_path}/{model}/out-{{number}}-of-{{letter}}_{model}.png" for model in ("a", "b")
    ]
    options = [word for pattern in patterns for word in ("--prediction", pattern)]
    ensir("fit", "--target", target, *options, "--bin-width", 64, "-o", tmp_path / "my.lut")
    expected, found = lut.load(str(fitted)), lut.load(str(tmp_path / "my.lut"))
    np.testing.assert_array_equal(found.weights, expected.weights)
    assert found.reference_digests == expected.reference_digests
    by_folder = ensir("score", "--target", folder / "ref/gt", *given(folder / "ref", "a", "b"))
    assert ensir("score", "--target", target, *options).stdout == by_folder.stdout
    ensir("fuse", "--lut", fitted, *options[2:], *options[:2], "-o", tmp_path / "fused")
    assert {path.parent.name for path in (tmp_path / "fused").glob("*/r.png")} == {"1", "2"}
    error = ensir("score", "--target", folder / "ref/gt/{name}.png", *options, code=2).stderr
    assert error.startswith("error: --prediction a: names images by {number}, {letter}, but")


def test_fit_prints_and_writes_a_lut(folder: Path, fitted: Path):
    found = lut.load(str(fitted))
    assert (found.models, found.bin_width, found.channels) == (("a", "b"), 64, 1)
    assert found.reference_images == ("r1", "r2")
    assert found.count.sum() == 3 * 40 * (44 + 45)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    shown = ensir("lut", "show", fitted).output
    assert re.search(r"models: +a, b\n", shown)
    assert re.search(r"Bins, width: +64\n", shown)


def test_options_reach_the_method(folder: Path, tmp_path: Path):
    options = [
        "--channels",
        "separate",
        "--arithmetic",
        "paper",
        "--precision",
        "float32",
        "--bin-width",
        128,
    ]
    reference = folder / "ref"
    ensir(
        "fit", "--target", reference / "gt", *given(reference, "b", "a"), *options, "-o", tmp_path / "x.lut"
    )
    found = lut.load(str(tmp_path / "x.lut"))
    assert (found.models, found.bin_width, found.channels, found.fill) == (("b", "a"), 128, 3, "constant")


def test_fuse_in_any_order(folder: Path, fitted: Path, tmp_path: Path):
    for order in (("a", "b"), ("b", "a")):
        jobs = ["--jobs", "1" if order[0] == "a" else "3"]
        ensir("fuse", "--lut", fitted, *given(folder / "test", *order), "-o", tmp_path / order[0], *jobs)
    method = LutMethod({}, str(fitted))
    for name in ("t1", "deep/t2"):
        x = np.stack(
            [writing.flatten(image_files.read(str(folder / f"test/{m}/{name}.png"))) for m in ("a", "b")]
        )
        target = image_files.read(str(tmp_path / f"a/{name}.png"))
        fused = as_stored(method.fuse(x), 8)
        np.testing.assert_array_equal(np.rint(fused).clip(0, 255), writing.flatten(target))
        np.testing.assert_array_equal(target, image_files.read(str(tmp_path / f"b/{name}.png")))


def test_the_lut_knows_the_predictions_that_it_was_fitted_on(folder: Path, fitted: Path, tmp_path: Path):
    found = lut.load(str(fitted))
    for model, digests_ in zip("ab", found.prediction_digests, strict=True):
        read = [
            writing.flatten(image_files.read(str(folder / f"ref/{model}/{name}.png")))
            for name in ("r1", "r2")
        ]
        header = b"(3, 1760) uint8 "
        assert hashlib.sha256(header + read[0].tobytes()).hexdigest() == digests_[0]
        assert digests_ == tuple(map(writing.image_digest, read))

    mixed = tmp_path / "mixed"
    for model in "ab":
        for name, source in (("x", "test/{}/t1.png"), ("y", "ref/{}/r2.png"), ("z", "ref/{}/r1.png")):
            (mixed / model).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / source.format(model), mixed / model / f"{name}.png")
    shutil.copyfile(folder / "test/b/t1.png", mixed / "b/z.png")  # one model's prediction is enough
    result = ensir("fuse", "--lut", fitted, *given(mixed, "b", "a"), "-o", tmp_path / "fused")
    assert result.stderr == (
        "warning: 2 of 3 images are those that the LUT was fitted on (first: y): their results are no test\n"
    )
    for name in "xyz":
        assert (tmp_path / f"fused/{name}.png").is_file()
    result = ensir("fuse", "--lut", fitted, *given(folder / "test", "a", "b"), "-o", tmp_path / "test")
    assert result.stderr == ""
    assert re.fullmatch(
        r"wrote 2 images to .*/test; values by their cells in the LUT: [\d.]+% estimated, .*\n", result.stdout
    )

    weights = tmp_path / "weight.pth"
    ensir("lut", "export", fitted, "--single", "-o", weights)
    ensir("lut", "import", weights, "--model", "a", "--model", "b", "-o", tmp_path / "imported.lut")
    imported = tmp_path / "imported.lut"
    assert lut.load(str(imported)).prediction_digests == ()
    result = ensir("fuse", "--lut", imported, *given(mixed, "a", "b"), "-o", tmp_path / "again")
    assert result.stderr == (
        f"warning: {imported}: does not record its reference predictions; whether it was fitted on these images is not "
        "checked\n"
    )
    assert result.stdout == f"wrote 3 images to {tmp_path / 'again'}\n"


def test_a_target_that_is_a_prediction(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    reference, out = folder / "ref", tmp_path / "x.lut"
    result = ensir("fit", "--target", reference / "a", *given(reference, "b", "a"), "-o", out, code=2)
    assert result.stderr == (
        "error: image 'r1': the target is the prediction of model a bit for bit, as for all 2 images; are the targets right?\n"
    )
    assert not out.exists()
    shutil.copytree(reference, tmp_path / "ref")
    shutil.copyfile(reference / "gt/r2.png", tmp_path / "ref/a/r2.png")
    ensir("fit", "--target", reference / "gt", *given(tmp_path / "ref", "a", "b"), "-o", out)
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line == (
        f"model a: 1 of 2 predictions for reference {reference / 'gt'} are the targets bit for bit (first: r2); are the "
        "targets right?"
    )


@pytest.mark.parametrize("method", ["ensir", "least_squares"])
def test_too_many_models_for_the_reference(folder: Path, tmp_path: Path, method: str):
    """Ten models, bins of 8: hardly a cell has 100 values, whatever the estimator makes of them."""
    models = [f"m{i}" for i in range(10)]
    for name in ("r1", "r2"):
        target = image_files.read(str(folder / f"ref/gt/{name}.png")).astype(float)
        for i, model in enumerate(models):
            noise = np.random.default_rng([i, *name.encode()]).normal(0, 20, target.shape)
            image_files.write(
                tmp_path / model / f"{name}.png", np.clip(target + noise, 0, 255).astype(np.uint8)
            )
    options = ["--method", method, "--bin-width", 8, "-o", tmp_path / "x.lut"]
    if method == "least_squares":
        options += ["--channels", "joint"]
    result = ensir("fit", "--target", folder / "ref/gt", *given(tmp_path, *models), *options)
    warning = "are in cells with 100 or more reference values, and the weights of the others rest on fewer or none; use wider"
    assert f"warning: only 0.0% of the values of held-out reference images {warning}" in result.stderr
    assert re.search(r"Held-out values, estimated: 0\.0%\n", ensir("lut", "show", tmp_path / "x.lut").output)
    result = ensir("fuse", "--lut", tmp_path / "x.lut", *given(tmp_path, *models), "-o", tmp_path / "fused")
    assert f"warning: only 0.0% of the values {warning}" in result.stderr
    assert "those that the LUT was fitted on (first: r1)" in result.stderr


def test_error_maps(folder: Path, fitted: Path, tmp_path: Path):
    test = given(folder / "test", "a", "b")
    ensir("fuse", "--lut", fitted, *test, "-o", tmp_path / "fused", "--error-map", tmp_path / "maps")
    method = LutMethod({}, str(fitted))
    for name in ("t1", "deep/t2"):
        x = np.stack(
            [writing.flatten(image_files.read(str(folder / f"test/{m}/{name}.png"))) for m in ("a", "b")]
        )
        found = tifffile.imread(tmp_path / f"maps/{name}.tif")
        assert found.dtype == np.float32
        np.testing.assert_array_equal(writing.flatten(found), method.fuse_with_error(x)[1])
    for model, value in (("a", 0), ("b", 255)):  # which no pixel of the reference had
        image_files.write(tmp_path / f"far/{model}/t1.png", np.full((40, 44, 3), value, np.uint8))
    far, maps = given(tmp_path / "far", "a", "b"), tmp_path / "far/maps"
    ensir("fuse", "--lut", fitted, *far, "-o", tmp_path / "far/fused", "--error-map", maps)
    assert np.isnan(tifffile.imread(maps / "t1.tif")).all()
    score = ("score", "--target", tmp_path / "far/a", f"--prediction=maps={maps}", "--value-range", 0, 1000)
    assert "values are NaN or infinite" in ensir(*score, code=2).stderr
    ensir("lut", "export", fitted, "-o", tmp_path / "w.pth")
    ensir("lut", "import", tmp_path / "w.pth", "--model", "a", "--model", "b", "-o", tmp_path / "x.lut")
    arguments = ["fuse", "--lut", tmp_path / "x.lut", *test, "-o", tmp_path / "no", "--error-map", tmp_path]
    assert "holds no errors" in ensir(*arguments, code=2).stderr


def test_an_image_of_one_model_alone(folder: Path, fitted: Path, tmp_path: Path):
    shutil.copytree(folder / "test", tmp_path / "test")
    shutil.copyfile(tmp_path / "test/a/t1.png", tmp_path / "test/a/more.png")
    arguments = ["fuse", "--lut", fitted, *given(tmp_path / "test", "a", "b"), "-o", tmp_path / "fused"]
    assert ensir(*arguments, code=2).stderr == (
        "error: --prediction b: no file for 'more' (1 of 3 images); add the files, or take those of this name out of "
        "the other folders\n"
    )


def test_score(folder: Path, tmp_path: Path):
    test = folder / "test"
    arguments = ["score", "--target", test / "gt", *given(test, "a", "b"), "--space", "y", "--crop", 2]
    output = ensir(*arguments, "-o", tmp_path / "scores.csv").output
    with open(tmp_path / "scores.csv", newline="") as file:
        values = {
            (row["method"], row["image"], row["metric"]): float(row["value"]) for row in csv.DictReader(file)
        }
    target, a = (image_files.read(str(test / f"{model}/deep/t2.png")) for model in ("gt", "a"))
    expected = compare("x", target, a, 8, {**SETTINGS, "space": "y", "crop": 2})
    assert values["a", "deep/t2", "psnr"] == pytest.approx(expected["psnr"], abs=1e-6)
    mean = (values["b", "t1", "ssim"] + values["b", "deep/t2", "ssim"]) / 2
    assert f"{mean:.4f}" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "c"], "no folder"),
        (["a"], "was fitted for the models a, b; given: a"),
        (["a", "b", "gt"], "was fitted for the models a, b; given: a, b, gt"),
        (["a", "a"], "named twice"),
    ],
)
def test_fuse_wants_the_models_of_the_lut(folder: Path, fitted: Path, tmp_path: Path, arguments, message):
    if "c" in arguments:  # of the right name, but not there
        predictions = ["--prediction", f"a={folder}/test/a", "--prediction", f"b={folder}/nothing"]
    else:
        predictions = given(folder / "test", *arguments)
    error = ensir("fuse", "--lut", fitted, *predictions, "-o", tmp_path / "fused", code=2).stderr
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "fused").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["fit", "--target", "ref/gt", "--prediction", "a=ref/a", "-o", "x"],
            "--prediction a: is one model; give two or more",
        ),
        (["fit", "--target", "ref/gt", "--prediction", "a", "-o", "x"], "write NAME=DIR"),
        (
            ["fit", "--target", "ref/gt", "--prediction", "../a=ref/a", "--prediction", "b=ref/b", "-o", "x"],
            "--prediction ../a: the name of a model is made of letters",
        ),
        (
            ["fit", "--target", "ref/gt", "--prediction", "a=ref/a", "--prediction", "b=ref/a/", "-o", "x"],
            "--prediction b=ref/a: is the folder of a, too; fix one of them",
        ),
        (
            ["fit", "--target", "ref/gt", "--prediction", "a=ref/a", "--prediction", "b=test/b", "-o", "x"],
            "b: no file",
        ),
        (
            ["fit", "--method", "zzpm", "--target", "ref/gt", "--prediction", "a=ref/a", "-o", "x"],
            "allowed: best, ensir",
        ),
        (["score", "--target", "test/gt", "--prediction", "a=ref/a"], "--prediction a: no file for"),
        (["score", "--target", "test", "--prediction", "a=wide"], "no folder wide"),
        (
            [
                "fuse",
                "--lut",
                "my.lut",
                "--prediction",
                "a=test/a",
                "--prediction",
                "b=test/b",
                "-o",
                "test/b",
            ],
            "--output test/b: is the same as --prediction b; give another path",
        ),
        (["lut", "show", "ref/gt/r1.png"], "is not a LUT, but a file of another kind"),
        (
            ["lut", "show", "ref/gt"],
            "ref/gt: is no LUT, fit or store, but a folder of something else; fix the path",
        ),
        (
            ["lut", "import", "my.lut", "--model", "a", "--model", "b", "-o", "x"],
            "nothing in it was executed",
        ),
        (["table", "nothing.csv"], "no such file"),
        (["verify", "ref"], "belongs to no results folder"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, fitted: Path, monkeypatch: pytest.MonkeyPatch, arguments, message
):
    monkeypatch.chdir(folder)
    error = ensir(*arguments, code=2).stderr
    assert re.fullmatch(r"error: .*\n", error)
    assert message in error
    assert not (folder / "x").exists()


@pytest.mark.parametrize("width", ["0", "257", "-1", "x", "1.5"])
def test_wrong_bin_width(folder: Path, width: str):
    reference = folder / "ref"
    arguments = ["fit", "--target", reference / "gt", *given(reference, "a", "b"), "-o", folder / "x"]
    assert "--bin-width" in ensir(*arguments, f"--bin-width={width}", code=2).stderr


def test_images_that_do_not_fit(folder: Path, fitted: Path, tmp_path: Path):
    image_files.write(tmp_path / "b/t1.png", np.zeros((40, 40, 3), np.uint8))
    image_files.write(tmp_path / "b/deep/t2.png", np.zeros((40, 45, 3), np.uint16))
    predictions = ["--prediction", f"a={folder}/test/a", "--prediction", f"b={tmp_path}/b"]
    error = ensir("fuse", "--lut", fitted, *predictions, "-o", tmp_path / "fused", code=2).stderr
    assert "40×40 with 3 channels of 8 bit" in error or "45×40 with 3 channels of 16 bit" in error


# ── LUTs ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_export_and_import(folder: Path, fitted: Path, tmp_path: Path):
    exported = ensir("lut", "export", fitted, "-o", tmp_path / "w.pth")
    assert "4^2 bin sets in float64" in exported.output
    assert "--single" in exported.stderr
    output = ensir(
        "lut", "import", tmp_path / "w.pth", "--model", "a", "--model", "b", "-o", tmp_path / "x.lut"
    ).output
    assert re.search(r"reference images: +unknown\n", output)
    ensir("fuse", "--lut", tmp_path / "x.lut", *given(folder / "test", "a", "b"), "-o", tmp_path / "fused")
    np.testing.assert_array_equal(lut.load(str(tmp_path / "x.lut")).dense, lut.load(str(fitted)).dense)
    assert {path.name for path in tmp_path.iterdir()} == {"w.pth", "x.lut", "fused"}
    ensir("lut", "export", fitted, "--single", "-o", tmp_path / "w.pth")
    assert torch.load(tmp_path / "w.pth", weights_only=True)[0, 64][2].dtype == torch.float32


# ── help and exit codes ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_has_an_example(command: list[str]):
    assert re.search(f"Examples?: ensir {' '.join(command)}", ensir(*command, "--help").output)


def test_exit_codes(folder: Path, tmp_path: Path):
    def code(*arguments: object) -> tuple[int, str]:
        done = subprocess.run([ENSIR, *map(str, arguments)], capture_output=True, text=True, cwd=tmp_path)
        return done.returncode, done.stderr

    test = folder / "test"
    assert code("score", "--target", test / "gt", *given(test, "a"))[0] == 0
    result, digest = tmp_path / "results/luts/x.lut", tmp_path / "results/digests/luts/x.lut.sha256"
    for path in (result, digest):
        path.parent.mkdir(parents=True)
    result.write_text("changed")
    digest.write_text(f"{'0' * 64}  x.lut\n")
    assert code("verify")[0] == 1
    status, error = code("score", "--target", test / "gt", "--prediction", f"a={tmp_path}")
    assert (status, error.count("\n")) == (2, 1)
    assert code("score", "--target", tmp_path / "nothing", *given(test, "a"))[0] == 2
    assert "Traceback" not in error


def test_tables_are_as_wide_as_they_are(tmp_path: Path):
    """Not cut to the width of a terminal; names are no markup."""
    lines = ["experiment,dataset,method,metric,mean,n"]
    lines += [f"sr,benchmark{i},IMDN [base],{m},{30 + i}.25,5" for i in range(9) for m in ("psnr", "ssim")]
    (tmp_path / "summary.csv").write_text("\n".join(lines))
    output = ensir("table", tmp_path / "summary.csv").output
    for i in range(9):
        assert f" benchmark{i} " in output
        assert f"{30 + i}.25 " in output
    assert output.count("PSNR (dB)") == 9
    assert "IMDN [base]" in output


def test_tables_say_which_images_are_in_no_mean(folder: Path, tmp_path: Path):
    """An image that a model restores perfectly has an infinite PSNR, and is in no model's mean."""
    test = tmp_path / "test"
    shutil.copytree(folder / "test", test)
    shutil.copyfile(test / "gt/t1.png", test / "a/t1.png")
    csv_ = tmp_path / "scores.csv"
    output = ensir("score", "--target", test / "gt", *given(test, "a", "b"), "-o", csv_).output
    said = "PSNR: 1 of 2 images is restored perfectly by some row (infinite); means are over the other 1"
    assert said in output
    with open(csv_, newline="") as file:
        values = {
            (r["method"], r["image"]): float(r["value"])
            for r in csv.DictReader(file)
            if r["metric"] == "psnr"
        }
    assert values["a", "t1"] == np.inf
    for model in "ab":
        assert re.search(rf"│ {model} +│ .*{values[model, 'deep/t2']:.2f}", output)

    lines = [f"sr,set,{model},{image},psnr,{value}" for (model, image), value in values.items()]
    (tmp_path / "part.csv").write_text("\n".join(["experiment,dataset,method,image,metric,value", *lines]))
    summarize(Place.beside(csv_), Place.beside(tmp_path / "summary.csv"), [str(tmp_path / "part.csv")])
    output = ensir("table", tmp_path / "summary.csv").output
    assert said.replace("PSNR", "PSNR on set") in output
    assert f"{values['b', 'deep/t2']:.2f}" in output


def test_folders_may_have_any_name(folder: Path, tmp_path: Path):
    odd = tmp_path / "my photos [2024]"
    odd.symlink_to(folder / "test")
    output = ensir("score", "--target", odd / "gt", *given(odd, "a")).output
    assert "PSNR" in output


def test_verify_from_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A path below the folder may be relative, as the pages print it."""
    result, digest = tmp_path / "results/luts/x.lut", tmp_path / "results/digests/luts/x.lut.sha256"
    for path in (result, digest):
        path.parent.mkdir(parents=True)
    result.write_text("whole")
    digest.write_text(digests.digests(result))
    monkeypatch.chdir(tmp_path)
    for path in ("results", "results/luts", "results/luts/x.lut", "./results/../results/luts"):
        assert "1 results checked, 0 damaged" in ensir("verify", path).output
    monkeypatch.chdir(tmp_path / "results/luts")
    assert "1 results checked, 0 damaged" in ensir("verify", "x.lut").output
    for torn in ("", "0123"):  # as a power cut may leave it
        digest.write_text(torn)
        assert (
            "x.lut.sha256: is no digest file; type `ensir verify --repair PATH/x.lut`"
            in ensir("verify", "x.lut", code=1).stderr
        )
        with pytest.raises(InputError, match="is no digest file"):
            digests.check_before_reading(result)


# ── on real predictions ──────────────────────────────────────────────────────────────────────────────────────


def test_super_resolution(data: Path, tmp_path: Path):
    models = ("IMDN", "MobileSR", "CRAFT")
    reference, test = data / "images/sr_x4/bsds12", data / "images/sr_x4/set5"
    ensir("fit", "--target", reference / "gt", *given(reference / "pred", *models), "-o", tmp_path / "x.lut")
    ensir("fuse", "--lut", tmp_path / "x.lut", *given(test / "pred", *models), "-o", tmp_path / "fused")
    arguments = ["score", "--target", test / "gt", *given(test / "pred", *models), *given(tmp_path, "fused")]
    ensir(*arguments, "-o", tmp_path / "scores.csv")
    with open(tmp_path / "scores.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "psnr"]
    mean = {
        m: np.mean([float(row["value"]) for row in rows if row["method"] == m]) for m in (*models, "fused")
    }
    found = [round(float(mean[model]), 3) for model in models]
    assert found == [30.208, 30.057, 30.256]

    method = LutMethod({}, str(tmp_path / "x.lut"))
    unrounded, average, rounded = [], [], []
    for path in sorted((test / "gt").iterdir()):
        target = image_files.read(str(path))
        x = np.stack([writing.flatten(image_files.read(str(test / f"pred/{m}/{path.name}"))) for m in models])
        fused = as_stored(method.fuse(x), 8).T.reshape(target.shape)
        unrounded.append(compare("x", target, fused, 8, SETTINGS)["psnr"])
        rounded.append(compare("x", target, fused, 8, {**SETTINGS, "rounded": True})["psnr"])
        average.append(compare("x", target, x.mean(axis=0).T.reshape(target.shape), 8, SETTINGS)["psnr"])
    assert (round(np.mean(unrounded), 3), round(np.mean(average), 3)) == (30.397, 30.408)
    assert mean["fused"] == pytest.approx(np.mean(rounded), abs=1e-6)


def test_lpips_says_what_it_needs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    lpips._network.cache_clear()
    with pytest.raises(Exception, match=r"pip install 'ensir-flow\[lpips\]'"):
        lpips.measure(np.zeros((32, 32, 3)), np.zeros((32, 32, 3)), {})
