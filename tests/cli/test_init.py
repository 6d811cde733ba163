"""`ensir init`: configurations for layouts as published, which `ensir check` passes, and what is not certain."""

from __future__ import annotations

import re
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from ensir.cli import app
from ensir.images import image_files


def init(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, ["init", *arguments])
    assert done.exit_code == code, done.output
    return done


def write(folder: Path, *names: str, size: int = 24, channels: int = 3) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.random.default_rng([*name.encode()]).integers(0, 255, (size, size + 8, channels), np.uint8)
        image_files.write(path.with_suffix(".png"), image)
        path.with_suffix(".png").rename(path)


def made(path: str = "mine.yaml") -> dict:
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


GOPRO = ["GOPR0384_11_00/000001", "GOPR0384_11_00/000002", "GOPR0868_11_01/000001", "GOPR0868_11_01/000009"]
SIDD = ["0001_001_S6_00100_00060_3200_L/010", "0001_001_S6_00100_00060_3200_L/011", "0002_010_GP_01600_N/010"]
BIRDS = ["baby", "bird", "butterfly", "head"]
# What is there: targets, inputs, predictions (of the model {m}), the names of the images, and the scale; and what is written:
# target, input and path of the first model, each a pattern.
LAYOUTS = {
    "GoPro": (
        ("GOPRO/test/{a}/sharp/{b}.png", "GOPRO/test/{a}/blur/{b}.png", "results/{m}/{a}-{b}.png", GOPRO, 1),
        ("GOPRO/test/{scene}/sharp/{frame}.png", "GOPRO/test/{scene}/blur/{frame}.png", "results/MPRNet/{scene}-{frame}.png"),
    ),
    "RealBlur": (
        ("{a}/gt/gt_{b}.png", "{a}/blur/blur_{b}.png", "out/{m}/{a}/blur/blur_{b}.png", ["scene001/1", "scene001/2", "scene012/1"], 1),
        ("{scene}/gt/gt_{frame}.png", "{scene}/blur/blur_{frame}.png", "out/MPRNet/{scene}/blur/blur_{frame}.png"),
    ),
    "HIDE": (
        ("GT/{a}.png", "test/test-long-shot/{a}.png", "results/{m}/HIDE/{a}.png", ["1fromGOPR0950", "22fromGOPR1096.MP4"], 1),
        ("GT/{image}.png", None, "results/MPRNet/HIDE/{image}.png"),
    ),
    "Rain100L": (
        ("Rain100L/norain-{a}.png", "Rain100L/rain-{a}.png", "results/{m}/rain-{a}.png", ["001", "002", "100"], 1),
        ("Rain100L/norain-{image}.png", "Rain100L/rain-{image}.png", "results/MPRNet/rain-{image}.png"),
    ),
    "SIDD": (
        ("Data/{a}/{a4}_GT_SRGB_{b}.PNG", "Data/{a}/{a4}_NOISY_SRGB_{b}.PNG", "out/{m}/{a}/{b}.png", SIDD, 1),
        ("Data/{scene}/*_GT_SRGB_{frame}.PNG", "Data/{scene}/*_NOISY_SRGB_{frame}.PNG", "out/MPRNet/{scene}/{frame}.png"),
    ),
    "Set5": (
        ("Set5/HR/{a}.png", "Set5/LR_bicubic/X4/{a}x4.png", "results/{m}/{a}x4_{m}.png", BIRDS, 4),
        ("Set5/HR/{image}.png", "Set5/LR_bicubic/X4/{image}x4.png", "results/MPRNet/{image}x4_MPRNet.png"),
    ),
    "Set14": (
        ("img_{a}_SRF_4_HR.png", "img_{a}_SRF_4_LR.png", "sr/img_{a}_SRF_4_{m}.png", ["001", "002", "014"], 4),
        ("img_{image}_SRF_4_HR.png", "img_{image}_SRF_4_LR.png", "sr/img_{image}_SRF_4_MPRNet.png"),
    ),
    "BasicSR": (
        ("Set5/GTmod12/{a}.png", "Set5/LRbicx4/{a}.png", "results/{m}/visualization/Set5/{a}_{m}.png", BIRDS, 4),
        ("Set5/GTmod12/{image}.png", "Set5/LRbicx4/{image}.png", "results/MPRNet/visualization/Set5/{image}_MPRNet.png"),
    ),
    "DIV2K": (
        ("DIV2K_valid_HR/{a}.png", "DIV2K_valid_LR_bicubic/X4/{a}x4.png", "sr/{m}/{a}.png", ["0801", "0802", "0900"], 4),
        ("DIV2K_valid_HR/{image}.png", "DIV2K_valid_LR_bicubic/X4/{image}x4.png", "sr/MPRNet/{image}.png"),
    ),
    "REDS": (
        ("val/val_sharp/{a}/{b}.png", "val/val_blur/{a}/{b}.png", "out/{m}/{a}_{b}.png", ["000/00000000", "000/00000050", "011/00000000"], 1),
        ("val/val_sharp/{scene}/{frame}.png", "val/val_blur/{scene}/{frame}.png", "out/MPRNet/{scene}_{frame}.png"),
    ),
    "a folder of each image": (
        ("{a}/gt.png", "{a}/blur.png", "{a}/{m}.png", BIRDS, 1),
        ("{scene}/gt.png", "{scene}/blur.png", "{scene}/MPRNet.png"),
    ),
}  # fmt: skip


def lay(root: Path, patterns: tuple, names: list[str], scale: int) -> None:
    """Write the images of a layout."""
    target, degraded, prediction = patterns
    for name in names:
        values = dict(zip("ab", name.split("/"), strict=False)) | {"a4": name[:4]}
        write(root, target.format(**values))
        write(root, *([degraded.format(**values)] if scale == 1 else []))
        if scale > 1:
            small = np.zeros((24 // scale, 32 // scale, 3), np.uint8)
            (root / degraded.format(**values)).parent.mkdir(parents=True, exist_ok=True)
            image_files.write(root / degraded.format(**values), small)
        write(root, *(prediction.format(**values, m=model) for model in ("MPRNet", "Restormer")))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_published_layouts(tmp_path: Path, monkeypatch, layout: str):
    """One set, which is divided; its targets, inputs and predictions are found, and its scale."""
    monkeypatch.chdir(tmp_path)
    (*patterns, names, scale), (target, degraded, path) = LAYOUTS[layout]
    lay(tmp_path / "data", tuple(patterns), names, scale)
    done = init("data")
    raw = made()
    reference, test = raw["datasets"]["reference"], raw["datasets"]["test"]
    assert test["target"] == f"data/{target}"
    if degraded:
        assert test["input"] == reference["input"] == f"data/{degraded}"
        assert test.get("scale", 1) == scale
    others = [] if degraded else ["test-long-shot"]  # nothing tells that these are inputs
    assert list(raw["models"]) == ["MPRNet", "Restormer", *others]
    assert ("test-long-shot are all taken for models; take out what holds" in done.stdout) == bool(others)
    assert raw["models"]["MPRNet"]["path"] == f"data/{path}"
    assert raw["experiments"]["mine"]["score"] == {"space": "rgb", "crop": 0}
    assert ("# score: {space: y, crop: 4}" in Path("mine.yaml").read_text()) == (scale == 4)
    assert "there is one set" in done.stdout
    if layout == "GoPro":  # and not after a scene
        assert "\n  GOPRO  reference and test  targets " in done.stdout
    assert "finds no mistake" in done.stdout
    checked = CliRunner().invoke(app, ["check", "mine.yaml"]).stdout
    counts = [int(line.split()[1]) for line in checked.splitlines()[1:3]]
    assert sum(counts) == len(names)
    assert min(counts) > 0


def test_sets_of_a_reference_and_of_tests(tmp_path: Path, monkeypatch):
    """The set that is called as one is the reference; models have {dataset} in their path; nothing is unsure."""
    monkeypatch.chdir(tmp_path)
    for name, images in (("val", ["v1", "v2"]), ("Rain100L", ["1", "2"]), ("Rain100H", ["1", "2"])):
        for folder in ("target", "input"):
            write(tmp_path, *(f"data/{name}/{folder}/{image}.png" for image in images))
        write(tmp_path, *(f"out/{model}/{name}/{image}.png" for model in ("a", "b", "c") for image in images))
    write(tmp_path, "out/d/val/v1.png", "out/d/val/v2.png", "out/e/Rain100H/1.png")
    done = init("data", "out")
    raw = made()
    assert raw["experiments"]["mine"]["reference"] == "val"
    assert raw["experiments"]["mine"]["tests"] == ["Rain100H", "Rain100L"]
    assert raw["models"]["b"] == {"kind": "folder", "path": "out/b/{dataset}/{image}.png"}
    assert list(raw["models"]) == ["a", "b", "c"]
    assert "not certain" not in done.stdout
    assert "out/d/{dataset}/{image}.png: no predictions for Rain100H, Rain100L" in done.stdout
    assert "out/e/Rain100H/{image}.png: 1 of 2 images of Rain100H; '2' is missing" in done.stdout
    assert "# - out/d/{dataset}/{image}.png: no predictions" in Path("mine.yaml").read_text()


def test_sets_whose_targets_have_other_words_and_endings(tmp_path: Path, monkeypatch):
    """They are sets beside each other, unless images or folders are the same; then the others are told."""
    monkeypatch.chdir(tmp_path)
    for target, images in (("Set5/GTmod12/{}.png", BIRDS), ("BSD/HR/{}.JPG", ["b1", "b2", "b3"])):
        for image in images:
            write(tmp_path, f"data/{target.format(image)}")
            for model, ending in (("a", "png"), ("b", "PNG" if "Set5" in target else "png")):
                write(tmp_path, f"out/{model}/{target.partition('/')[0]}/{image}.{ending}")
    write(
        tmp_path,
        *(f"data/Kept/sharp/{image}.png" for image in BIRDS[:3]),
        *(f"data/Set5/clean/{n}.png" for n in "12"),
    )
    done = init("data", "out")
    raw = made()
    assert {name: one["target"] for name, one in raw["datasets"].items()} == {
        "BSD": "data/BSD/HR/{image}.JPG", "Set5": "data/Set5/GTmod12/{image}.png",
    }  # fmt: skip
    assert {name: one["path"] for name, one in raw["models"].items()} == {
        "a": "out/a/{dataset}/{image}.png", "b": "out/b/{dataset}/{image}.*",
    }  # fmt: skip
    for told in ("data/Kept/sharp/{image}.png: 3 images", "data/Set5/clean/{image}.png: 2 images"):
        assert f"{told} that are called targets, too" in done.stdout
    assert "finds no mistake" in done.stdout


def test_what_is_not_certain_is_told(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, images in (("alps", "12"), ("coast", "345")):
        for folder in ("gt", "lq", "noisy", "a", "b"):
            write(tmp_path, *(f"data/{name}/{folder}/{image}.png" for image in images))
    done = init("data")
    text = Path("mine.yaml").read_text()
    flat = " ".join(line.removeprefix("#").strip() for line in text.splitlines())
    for told in (
        "alps, coast are taken for sets of their own",
        "coast is taken for the reference, since it holds the most images; `--reference NAME` chooses another of alps, coast",
        "the inputs of alps are taken to be data/alps/lq/{image}.png; they may be data/alps/noisy/{image}.png",
    ):  # fmt: skip
        assert told in done.stdout
        assert told in flat
    init("data", "--reference", "alps", "-o", "other.yaml")
    assert made("other.yaml")["experiments"]["other"]["reference"] == "alps"
    error = init("data", "--reference", "alp", "-o", "third.yaml", code=2).stderr
    assert error == "error: --reference: no set is called 'alp'; allowed: alps, coast; did you mean 'alps'?\n"


# Targets, their inputs, predictions for them, inputs without targets, predictions for those, and what is written.
HIDDEN = {
    "beside": (
        ("train/gt/{a}", "train/lq/{a}", "train/{m}/{a}", "test/lq/{b}", "test/{m}/{b}"),
        ("test", "test/lq/{image}.png", "{dataset}/IMDN/{image}.png"),
    ),
    "roles first": (
        ("gt/train/{a}", "lq/train/{a}", "results/{m}/train/{a}", "lq/test/{a}", "results/{m}/test/{a}"),
        ("test", "lq/test/{image}.png", "results/IMDN/{dataset}/{image}.png"),
    ),
    "DIV2K": (
        ("valid_HR/{a}", "valid_LR/X4/{a}x4", "sr/{m}/valid/{a}", "test_LR/X4/{b}x4", "sr/{m}/test/{b}"),
        ("test", "test_LR/X4/{image}x4.png", "sr/IMDN/{dataset}/{image}.png"),
    ),
    "challenge": (
        ("train/clean/{a}", "train/noisy/{a}", "", "hidden/{b}", ""),
        ("hidden", "hidden/{image}.png", None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", HIDDEN)
def test_inputs_without_targets_are_a_test_that_is_not_scored(tmp_path: Path, monkeypatch, layout: str):
    monkeypatch.chdir(tmp_path)
    (target, degraded, prediction, hidden, of_hidden), (name, pattern, path) = HIDDEN[layout]
    scale = 4 if layout == "DIV2K" else 1
    for number in range(3):
        values = {"a": f"000{number}", "b": f"100{number}"}
        for kind, size in ((target, 24), (degraded, 24 // scale), (hidden, 24 // scale)):
            write_sized(f"{kind.format(**values)}.png", size)
        for kind in filter(None, (prediction, of_hidden)):
            for model in ("IMDN", "CRAFT"):
                write_sized(f"{kind.format(**values, m=model)}.png", 24)
    done = init(".")
    assert "finds no mistake" in done.stdout
    assert f"no targets belong to {pattern}: it is taken for a test set without any" in done.stdout
    raw = made()
    test = raw["datasets"][name]
    assert (test["input"], test.get("scale", 1), "target" in test) == (pattern, scale, False)
    assert raw["experiments"]["mine"]["tests"] == [name]
    assert len(raw["datasets"]) == 2
    assert raw["experiments"]["mine"]["reference"] == next(iter({*raw["datasets"]} - {name}))
    if path:
        assert raw["models"]["IMDN"]["path"] == path


def test_predictions_for_one_of_two_sets_or_for_no_targets(tmp_path: Path, monkeypatch):
    """Their paths name the set, which is divided into two of other names; or they cannot be used."""
    monkeypatch.chdir(tmp_path)
    for name, images in (("train", "123"), ("test", "456")):
        write(tmp_path, *(f"data/{name}/{folder}/{image}.png" for folder in ("gt", "lq") for image in images))
    write(tmp_path, *(f"data/test/{model}/{image}.png" for model in "ab" for image in "456"))
    assert "finds no mistake" in init("data").stdout
    assert made()["models"]["a"]["path"] == "data/test/a/{image}.png"
    shutil.rmtree("data/test/gt")
    done = init("data", "-o", "other.yaml")
    assert list(made("other.yaml")["models"]) == ["nl_means", "identity"]
    assert made("other.yaml")["experiments"]["other"]["tests"] == ["test"]
    assert "data/{dataset}/a/{image}.png: no predictions for train" in done.stdout


def write_sized(path: str, size: int) -> None:
    image = np.random.default_rng([*path.encode()]).integers(0, 255, (size, size * 3 // 2, 3), np.uint8)
    image_files.write(path, image)


def test_inputs_that_lack_targets_by_mistake_are_no_test(tmp_path: Path, monkeypatch):
    """Others of their folder have some; and predictions that are called as inputs are."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, *(f"data/{folder}/{image}.png" for folder in ("gt", "a", "b") for image in "123"))
    write(tmp_path, *(f"data/blur/{image}.png" for image in "12345"))
    write(tmp_path, *(f"c/blur/{image}.png" for image in "123"))
    done = init("data", "c")
    assert sorted(made()["datasets"]) == ["reference", "test"]
    assert "2 files, the first data/blur/4.png: no target belongs to it" in done.stdout


def test_other_names_for_targets(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("best", "IMDN", "CRAFT"):
        write(tmp_path, *(f"data/{folder}/{image}.png" for image in "123"))
    error = init("data", code=2).stderr
    assert error.startswith(
        "error: data: 9 images, but no folder or file has a name that targets have (gt, sharp, "
    )
    init("data", "--target", "best")
    assert made()["datasets"]["test"]["target"] == "data/best/{image}.png"
    assert "init data --target best`" in Path("mine.yaml").read_text()
    error = init("data", "--target", "bets", "-o", "b.yaml", code=2).stderr
    assert "no folder with images is called 'bets'; allowed: CRAFT, IMDN, best; did you mean 'best'?" in error


def test_too_few_models(tmp_path: Path, monkeypatch):
    """Where there are inputs, classical models fill the gap, which is told."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "data/gt/1.png", "data/gt/2.png", "data/a/1.png", "data/a/2.png")
    error = init("data", code=2).stderr
    assert (
        "targets, but no two models with predictions for them (found: data/a/{image}.png), and no inputs"
        in error
    )
    assert not Path("mine.yaml").exists()
    write(tmp_path, "data/lq/1.png", "data/lq/2.png")
    assert "identity of scikit-image and Pillow fill the gap" in init("data").stdout
    assert made()["models"]["identity"] == {"kind": "classical", "algorithm": "identity"}


def test_predictions_of_the_test_alone(tmp_path: Path, monkeypatch):
    """Nobody predicts the training set: the test is divided. Arrays are told of."""
    monkeypatch.chdir(tmp_path)
    for folder in ("train/gt", "train/lq", "test/gt", "test/lq", "out/a", "out/b"):
        write(tmp_path, *(f"data/{folder}/{image}.png" for image in "123"))
    np.save("data/out/c.npy", np.zeros(3))
    done = init("data")
    raw = made()
    assert raw["datasets"]["reference"]["target"] == "data/test/gt/{image,1|3}.png"
    assert raw["datasets"]["test"]["exclude"] == ["1", "3"]
    told = "names of files that say nothing of their set, 6 in all, the first data/out/a/1.png: taken to belong to test"
    assert told in done.stdout
    assert "data/train/gt/{image}.png: not all of the models have predictions for train" in done.stdout
    assert "1 files of arrays, the first data/out/c.npy: predictions in them need a model with" in done.stdout


def test_names_of_targets_that_follow_no_pattern(tmp_path: Path, monkeypatch):
    """Whole names are taken where the word for targets stands in other places."""
    monkeypatch.chdir(tmp_path)
    names = ("x_gt", "gt_y", "a-gt-b")
    write(tmp_path, *(f"data/{folder}/{name}.png" for folder in ("sharp", "m", "n") for name in names))
    init("data", "--target", "sharp")
    assert made()["datasets"]["test"]["target"] == "data/sharp/{image}.png"
    assert list(made()["models"]) == ["m", "n"]


def test_predictions_without_borders(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "data/gt/1.png", "data/gt/2.png")
    write(tmp_path, *(f"data/{model}/{image}.png" for model in "ab" for image in "12"), size=22)
    init("data")
    assert made()["datasets"]["test"]["common_crop"] == "topleft"
    for image in "12":
        write_sized(f"inputs/gt/{image}.png", 26)
        write_sized(f"inputs/lq/{image}.png", 12)
    assert (
        "inputs/lq/1.png is 18×12, its target 39×26: `common_crop: topleft`"
        in init("inputs", "-o", "b.yaml").stdout
    )


def test_nothing_is_overwritten(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, *(f"data/{folder}/{image}.png" for folder in ("gt", "a", "b") for image in "12"))
    Path("mine.yaml").write_text("mine")
    error = init("data", code=2).stderr
    assert (
        error
        == "error: --output mine.yaml: exists, and is not overwritten; give another name, or remove it\n"
    )
    assert Path("mine.yaml").read_text() == "mine"
    assert init("nowhere", code=2).stderr == "error: nowhere: no such folder; fix the path\n"
    (tmp_path / "empty").mkdir()
    assert "error: empty: no images;" in init("empty", "-o", "x.yaml", code=2).stderr


def test_names_that_need_care(tmp_path: Path, monkeypatch):
    """Brackets, quotes, numbers, spaces; a name that stands twice in a path; numbers beside names."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "it's [new]"
    write(root, *(f"GT/{image}.png" for image in ("a-1", "b-2", "c-3")))
    write(
        root,
        *(f"out/{m}/{image}/{image}_{m}.png" for m in ("1", "my net") for image in ("a-1", "b-2", "c-3")),
    )
    init(root.name)
    raw = made()
    assert raw["models"] == {
        "1": {"kind": "folder", "path": "it's [[]new]/out/1/{image}/{image}_1.png"},
        "my-net": {"kind": "folder", "path": "it's [[]new]/out/my net/{image}/{image}_my net.png"},
    }


@pytest.mark.parametrize("broken", ["truncated", "odd"])
def test_files_that_do_not_fit(tmp_path: Path, monkeypatch, broken: str):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, *(f"data/{folder}/{image}.png" for folder in ("gt", "a", "b", "c") for image in "12"))
    if broken == "odd":
        write(tmp_path, "data/c/2.png", size=90)
    else:
        Path("data/c/2.png").write_bytes(b"<html>")
    done = init("data")
    assert list(made()["models"]) == ["a", "b"]
    assert "not used\n  data/c/{image}.png: " in done.stdout


def test_the_published_super_resolution(data: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(data / "images/sr_x4", "sr_x4")
    init("sr_x4")
    raw = made()
    assert list(raw["models"]) == ["CRAFT", "IMDN", "MobileSR"]
    experiment = raw["experiments"]["mine"]
    assert (experiment["reference"], experiment["tests"]) == ("bsds12", ["set5"])
    assert raw["datasets"]["set5"]["scale"] == 4


def test_a_prediction_of_another_size_is_a_mistake_where_others_are_whole(tmp_path: Path, monkeypatch):
    """And a crop where they are not: which border is missing is not certain."""
    monkeypatch.chdir(tmp_path)
    for folder in ("gt", "A", "B"):
        write(tmp_path, *(f"odd/{folder}/{image}.png" for image in "1234"))
        write(tmp_path, *(f"cut/{folder}/{image}.png" for image in "1234"), size=24 if folder == "gt" else 22)
    write(tmp_path, "odd/B/2.png", size=22)
    done = init("odd", code=2)
    told = "odd/B/2.png is 30×22, its target 32×24, where others are whole: it is taken for a mistake"
    assert told in done.stdout
    assert "common_crop" not in made()["datasets"]["test"]
    assert "mine.yaml is written, but cannot run yet:" in done.stderr
    done = init("cut", "-o", "cut.yaml")
    assert "cut/A/1.png is 30×22, its target 32×24: `common_crop: topleft` is assumed" in done.stdout
    assert made("cut.yaml")["datasets"]["test"]["common_crop"] == "topleft"


def test_the_largest_of_known_tests_is_the_reference(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, images in (("Set5", "12"), ("Set14", "123")):
        for folder in ("gt", "A", "B"):
            write(tmp_path, *(f"data/{name}/{folder}/{image}.png" for image in images))
    assert "Set14 is taken for the reference, since it holds the most images" in init("data").stdout


def test_names_lose_their_accents_and_a_reference_must_be_there(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("gt", "Ünet", "Rés"):
        write(tmp_path, *(f"data/{folder}/{image}.png" for image in "123"))
    assert (
        "--reference: no set is called 'zzz'; allowed: images"
        in init("data", "--reference", "zzz", code=2).stderr
    )
    init("data")
    assert sorted(made()["models"]) == ["Res", "Unet"]


@pytest.mark.parametrize(("images", "reference", "kinds"), [("12", 1, 3), ("123", 2, 6), ("123456789", 3, 6)])
def test_methods_that_hold_images_out_get_two(
    tmp_path: Path, monkeypatch, images: str, reference: int, kinds: int
):
    monkeypatch.chdir(tmp_path)
    for folder in ("gt", "A", "B"):
        write(tmp_path, *(f"data/{folder}/{image}.png" for image in images))
    init("data")
    assert len(made()["experiments"]["mine"]["methods"]) == kinds
    checked = CliRunner().invoke(app, ["check", "mine.yaml"]).stdout
    assert re.search(rf"^  reference +{reference} image", checked, re.MULTILINE), checked


def test_images_of_floats(tmp_path: Path, monkeypatch):
    """Black and white are proposed, and what is proposed is read."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for dataset in ("val", "test"):
        for kind in ("gt", "one", "two"):
            for name in ("a", "b"):
                image_files.write_map(
                    tmp_path / dataset / kind / f"{name}.tif", random.random((24, 32, 3)).astype(np.float32)
                )
    done = init(".")
    assert "32×24, 3 × floats" in done.stdout
    raw = made()
    sections = [*raw["datasets"].values(), *raw["models"].values()]
    assert [section["value_range"] for section in sections] == [[0, 1]] * 4
    checked = CliRunner().invoke(app, ["check", "mine.yaml"])
    assert checked.exit_code == 0, checked.stderr


def test_a_stray_file_called_as_targets_are(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay(tmp_path, ("Set5/gt/{a}.png", "Set5/lq/{a}.png", "Set5/{m}/{a}.png"), BIRDS, 1)
    write(tmp_path, "gt.png", "figures/original.png")
    done = init(".")
    assert made()["datasets"]["test"]["target"] == "Set5/gt/{image}.png"
    assert "figures/{image}.png: 1 images that are called targets, too" in done.output


def test_a_folder_with_braces_is_told(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lay(tmp_path, ("Set5/gt/{a}.png", "Set5/lq/{a}.png", "Set5/{m}/{a}.png"), BIRDS, 1)
    write(tmp_path, *(f"Set5/mod {{a}}/{name}.png" for name in BIRDS))
    told = "4 files, the first Set5/mod {a}/baby.png: no workflow reads a path with {, }, < or >; rename it"
    assert told in init(".").output
    assert told in init("Set5/mod {a}", "-o", "other.yaml", code=2).output


def test_accents_in_either_form_of_unicode(tmp_path: Path, monkeypatch):
    """Targets are in the composed form, predictions of one model in the other, as an archive from a Mac has them."""
    monkeypatch.chdir(tmp_path)
    names = ["caf\u00e9", "\u00c5ngstr\u00f6m", "plain"]
    for folder, form in {"gt": "NFC", "A": "NFD", "B": "NFC"}.items():
        write(tmp_path, *(unicodedata.normalize(form, f"data/{folder}/{name}_x1.png") for name in names))
    init("data")
    assert {model["path"] for model in made()["models"].values()} == {
        f"data/{model}/{{image}}_x1.png" for model in "AB"
    }
    assert CliRunner().invoke(app, ["check", "mine.yaml"]).exit_code == 0
