"""`ensir check`: all mistakes of a configuration and its files in one round, sorted; or what was found."""

import json
import logging
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from typer.testing import CliRunner

from ensir.cli import app
from ensir.cli.check import checked
from ensir.images import image_files
from ensir.planning import check, estimate, headers, overlap


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with two datasets of three images, two models' predictions and a function."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for dataset in ("ref", "test"):
        for kind in ("gt", "lq", "a", "b"):
            for n in range(3):
                write(tmp_path / dataset / kind / f"{dataset}{n}.png")
    (tmp_path / "own_check.py").write_text("def smooth(image):\n    return image\n\nNUMBER = 3\n")
    return tmp_path


def write(path, shape=(20, 24, 3), dtype=np.uint8):
    """Write an image that its folder and its name determine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image_files.write(
        path,
        np.random.default_rng([*path.parent.name.encode(), *path.name.encode()]).integers(
            0, 200, shape, dtype
        ),
    )


def config():
    return {
        "datasets": {
            name: {"kind": "folder", "target": f"{name}/gt/*.png", "input": f"{name}/lq/*.png"}
            for name in ("ref", "test")
        },
        "models": {
            "a": {"kind": "folder", "path": "{dataset}/a/*.png"},
            "b": {"kind": "folder", "path": "{dataset}/b/*.png"},
            "f": {"kind": "function", "function": "own_check:smooth"},
        },
        "experiments": {
            "one": {
                "models": ["a", "b", "f"],
                "reference": "ref",
                "tests": ["test"],
                "methods": {"average": {}, "ensir": {}},
            }
        },
    }


def run(*arguments, raw=None, name="my.yaml"):
    if raw:
        with open(name, "w", encoding="utf-8") as file:
            file.write(raw if isinstance(raw, str) else yaml.safe_dump(raw))
    return CliRunner().invoke(app, ["check", name, *arguments])


def mistakes(raw):
    """Return the mistakes in a configuration, without its name."""
    done = run(raw=raw)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    assert lines == sorted(lines)
    assert all(line.startswith("my.yaml: ") for line in lines)
    return [line.removeprefix("my.yaml: ") for line in lines]


def test_what_was_found(folder):
    write(folder / "test/gt/more.png", (30, 30, 3))
    for kind in ("lq", "a", "b"):
        write(folder / "test" / kind / "more.png", (30, 30, 3))
    done = run(raw=config(), name="my config.yaml")
    assert done.exit_code == 0, done.output
    *lines, cost = done.stdout.splitlines()
    assert lines == [
        "datasets",
        "  ref   3 images  24×20         1 part",
        "  test  4 images  24×20, 30×30  1 part",
        "models",
        "  a  folder    ref 3, test 4",
        "  b  folder    ref 3, test 4",
        "  f  function  runs here",
        "experiments",
        "  one  3 models  2 methods  ref → test",
    ]
    free = r"\d\S* [MGT]B of \d\S* [MGT]B that are free"
    assert re.fullmatch(
        rf"a run: 32 jobs, about \d+ s of one core, without what f computes, and {free}; right within a factor of 3",
        cost,
    )


def test_quiet(folder):
    done = run("--quiet", raw=config())
    assert (done.exit_code, done.output) == (0, "")


@pytest.fixture(autouse=True)
def loud():
    """Undo what `--quiet` does to the log."""
    yield
    logging.getLogger("ensir").setLevel(logging.NOTSET)


def test_syntax_comes_alone(folder):
    done = run(raw="datasets:\n\tref: 1\n")
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "my.yaml: line 2, column 1: a tab; YAML is indented with spaces: replace it with spaces",
        "  →ref: 1",
        "  ^",
    ]


def test_several_files(folder):
    run(raw=config(), name="fine.yaml")
    run(raw="a: [", name="bad.yaml")
    done = CliRunner().invoke(app, ["check", "fine.yaml", "bad.yaml", "none.yaml"])
    assert done.exit_code == 2
    assert done.stdout.startswith("fine.yaml\ndatasets\n")
    assert "bad.yaml: line 1, column 4: this [ is not closed" in done.stderr
    assert "none.yaml: no such file; did you mean fine.yaml?" in done.stderr


def test_all_in_one_round(folder):
    """Of the schema, of names, of files, of functions, of images and of what is shared."""
    raw = config()
    raw["models"]["f"]["function"] = "own_check:smoth"
    raw["models"]["w"] = {"kind": "exported", "path": "net.onnx"}
    raw["models"]["typo"] = {"kind": "folder", "paht": "x"}
    raw["experiments"]["one"]["models"] += ["w", "c"]
    raw["experiments"]["one"]["methods"]["ensir"] = {"bin_width": 0}
    raw["compute"] = {"shards": 0}
    (folder / "test/a/test2.png").unlink()
    write(folder / "test/b/test1.png", (18, 24, 3))
    (folder / "test/gt/twin.png").symlink_to(folder / "ref/gt/ref0.png")
    for kind in ("lq", "b"):
        write(folder / "test" / kind / "twin.png")
    assert mistakes(raw) == [
        "compute.shards: 0 is wrong; allowed: whole number, at least 1, at most 10000",
        "experiments.one.methods.ensir.bin_width: 0 is wrong; allowed: whole number, at least 1, at most 256, or auto",
        "experiments.one.models: 'c' is not in models; allowed: a, b, f, typo, w",
        "experiments.one.tests: image 'twin' of test and image 'ref0' of the reference ref are one file, "
        "ref/gt/ref0.png; `exclude` it from one of them, or name it in `allow_overlap`",
        "models.a.path: no file for 'test2', 'twin' (2 of 4 images); add the files, or exclude the images from the "
        "dataset",
        "models.b.path: test/b/test1.png is 24×18, its target test/gt/test1.png 24×20; fix the prediction, or set "
        "`common_crop` in datasets.test where a few border pixels are missing",
        "models.f: function own_check:smoth: cannot be imported (module 'own_check' has no attribute 'smoth'); fix "
        "`function`",
        "models.typo.paht: unknown key; allowed: kind, path, suffix, value_range, array, any_range, seconds; did you mean "
        "'path'?",
        "models.typo.path: is missing; allowed: text",
        "models.w.path: net.onnx: no such file; fix the path",
    ]


def test_images_that_do_not_fit(folder):
    for n in range(3):
        write(folder / f"ref/b/ref{n}.png", (20, 24, 1))
    write(folder / "ref/lq/ref1.png", (10, 12, 3))
    write(folder / "test/gt/test1.png", (20, 24, 3), np.uint16)
    (folder / "test/a/test0.png").write_bytes(b"<html>")
    assert mistakes(config()) == [
        "datasets.ref.input: ref/lq/ref1.png is 12×10, its target ref/gt/ref1.png 24×20, and `scale` is 1; fix "
        "`scale` or the files, or set `common_crop`",
        "datasets.test.input: test/lq/test1.png has 8 bits, its target test/gt/test1.png 16; convert one of them",
        "datasets.test.target: test/gt/test0.png has 3 channels of 8 bits, test/gt/test1.png 3 of 16; a dataset holds "
        "images of one kind: convert them, or split the dataset in two",
        "models.a.path: test/a/test0.png: cannot be read as an image (it is a web page or other text; the download "
        "may have failed); replace the file",
        "models.a.path: test/a/test1.png has 8 bits, its target test/gt/test1.png 16; convert one of them",
        "models.b.path: ref/b/ref0.png has 1 channels, its target ref/gt/ref0.png 3; convert one of them (3 of 3 "
        "images)",
        "models.b.path: test/b/test1.png has 8 bits, its target test/gt/test1.png 16; convert one of them",
    ]


def test_images_of_12_bits_in_files_of_16(folder):
    """All are dark: an error, unless their range is declared, or that they are as dark as that."""
    for name in ("gt", "lq", "a", "b"):
        for n in range(3):
            values = np.random.default_rng(n).integers(0, 4096, (20, 24, 3), np.uint16)
            image_files.write(folder / f"test/{name}/test{n}.png", values)
    raw = config()
    raw["models"]["a"]["value_range"] = [0, 65535]
    # Nothing is fitted to the reference, which has 8 bits.
    raw["experiments"]["one"]["methods"] = {"average": {}}
    found = mistakes(raw)
    assert [line.partition(": ")[0] for line in found] == [
        "datasets.test.input", "datasets.test.target", "models.b.path",
    ]  # fmt: skip
    assert re.search(
        r"test/gt/test0.png: no value of it and 2 other images is above 409\d, where white is 65535: perhaps "
        r"\[0, 4095\]; set the dataset's `value_range`, or declare \[0, 65535\] where this is intended",
        found[1],
    )
    raw["datasets"]["test"]["value_range"] = [0, 4095]
    raw["models"]["a"]["value_range"] = [0, 4095]
    raw["models"]["b"]["any_range"] = True
    done = run(raw=raw)
    assert done.exit_code == 0, done.output


def test_grey_images_among_colour_ones(folder, caplog):
    """They get three channels, with a warning; `replicate` says so without, and `refuse` makes it an error."""
    for name in ("gt", "lq", "a"):
        write(folder / f"test/{name}/test1.png", (20, 24, 1))
    raw = config()
    done = run(raw=raw)
    assert done.exit_code == 0
    holds = "datasets.test: holds grey images among colour ones, such as test/gt/test1.png"
    assert done.stderr.startswith(f"warning: {holds}")
    (warned,) = json.loads(run("--json", raw=raw).stdout)[0]["warnings"]
    assert warned.startswith(holds)
    assert not run("--quiet", raw=raw).stderr
    caplog.clear()
    raw["datasets"]["test"]["grey"] = "replicate"
    assert run(raw=raw).exit_code == 0
    assert not caplog.text
    raw["datasets"]["test"]["grey"] = "refuse"
    (line,) = mistakes(raw)[:1]
    assert line.endswith("convert them, or set `grey: replicate`, and the grey ones get three equal channels")


def test_images_that_are_too_small_to_be_scored(folder):
    for kind in ("gt", "lq", "a", "b"):
        write(folder / "test" / kind / "test1.png", (18, 24, 3))
    raw = config()
    raw["experiments"]["one"]["score"] = {"crop": 4}
    assert mistakes(raw) == [
        "datasets.test.target: test/gt/test1.png is 24×18, and with a crop of 4 too small for metric ssim of "
        "experiment one, which needs 11×11 pixels; lower `score.crop`, `exclude` the image, or leave the metric out of "
        "`score.metrics`"
    ]
    raw["experiments"]["one"]["score"]["metrics"] = ["psnr"]
    assert run(raw=raw).exit_code == 0


def test_cropped(folder):
    raw = config()
    raw["datasets"]["test"]["common_crop"] = "center"
    write(folder / "test/b/test1.png", (18, 24, 3))
    assert run(raw=raw).exit_code == 0
    write(folder / "test/gt/test1.png", (60, 24, 3))
    assert mistakes(raw) == [
        "datasets.test.target: test/gt/test1.png is 24×60, cropped to 24×18, but only a border of up to 32 pixels is "
        "cropped; fix the smaller files",
    ]


def test_inputs_that_are_made_of_whole_pixels(folder):
    raw = config()
    del raw["datasets"]["test"]["input"]
    raw["datasets"]["test"]["degradation"] = {"kind": "downscale", "scale": 3}
    for kind in ("a", "b"):
        for n in range(3):
            write(folder / f"test/{kind}/test{n}.png", (18, 24, 3))
    assert run(raw=raw).exit_code == 0


@pytest.mark.parametrize(
    ("shape", "dtype", "said"),
    [
        ((20, 24, 3), np.float32, None),
        ((20, 24, 3), np.uint8, None),
        ((20, 24, 3), np.uint16, "models.a.path: test/a/test0.npy has 16 bits, its target test/gt/test0.png 8; convert one of them (3 of 3 images)"),
        ((24, 20, 3), np.float32, "models.a.path: test/a/test0.npy is 20×24, its target test/gt/test0.png 24×20; fix the prediction, or set `common_crop` in datasets.test where a few border pixels are missing (3 of 3 images)"),
    ],
)  # fmt: skip
def test_arrays(folder, shape, dtype, said):
    for n in range(3):
        np.save(folder / f"test/a/test{n}.npy", np.zeros(shape, dtype))
        np.save(folder / f"ref/a/ref{n}.npy", np.zeros((20, 24, 3), np.float32))
    raw = config()
    raw["models"]["a"] |= {"path": "{dataset}/a/*.npy", "value_range": [0, 1]}
    if said:
        assert mistakes(raw) == [said]
    else:
        assert run(raw=raw).exit_code == 0


def test_functions(folder):
    raw = config()
    raw["models"]["f"]["function"] = "own_check:NUMBER"
    metric = {"function": "not_there:mine", "higher_is_better": True}
    raw["experiments"]["one"]["score"] = {"metrics": {"mine": metric}}
    assert mistakes(raw) == [
        "experiments.one.score.metrics.mine: function not_there:mine: cannot be imported (No module named "
        "'not_there'); fix `function`",
        "models.f: function own_check:NUMBER: is no function; fix `function`",
    ]


def test_no_gpu(folder, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    raw = config()
    raw["models"]["d"] = {"kind": "dae", "device": "cuda"}
    raw["compute"] = {"device": "cuda"}
    raw["experiments"]["one"]["models"].append("d")
    none = "'cuda', but PyTorch finds no GPU here; use auto (a GPU where there is one) or cpu"
    assert mistakes(raw) == [f"compute.device: {none}", f"models.d.device: {none}"]
    raw["compute"], raw["models"]["d"]["device"] = {"device": "auto"}, "cpu"
    assert run(raw=raw).exit_code == 0


def test_one_file_in_reference_and_test(folder):
    raw = config()
    (folder / "test/gt/test0.png").unlink()
    (folder / "test/gt/test0.png").symlink_to(folder / "ref/gt/ref1.png")
    (line,) = mistakes(raw)
    assert line.startswith(
        "experiments.one.tests: image 'test0' of test and image 'ref1' of the reference ref "
    )
    raw["experiments"]["one"]["allow_overlap"] = ["test0"]
    assert run(raw=raw).exit_code == 0


def test_of_many_images_some_are_read(folder, monkeypatch):
    monkeypatch.setattr(headers, "MOST_IMAGES", 3)
    done = run(raw=config())
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-2] == "sizes and depths: of one in 2 of 6 images"
    write(folder / "test/a/test1.png", (18, 24, 3))  # the second of three: not read
    assert run(raw=config()).exit_code == 0
    write(folder / "test/a/test2.png", (18, 24, 3))
    assert len(mistakes(config())) == 1


# ── overlap ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_equal_content_in_reference_and_test(folder, monkeypatch):
    """Found without reading whole files that differ in size or at their ends."""
    shutil.copyfile(folder / "ref/gt/ref2.png", folder / "test/gt/test0.png")
    shutil.copyfile(folder / "ref/gt/ref1.png", folder / "test/gt/test1.png")
    whole = []
    monkeypatch.setattr(overlap, "_whole", lambda file: whole.append(file) or file[-5:])
    raw = config()
    run(raw=raw)
    assert len(whole) <= 4
    monkeypatch.undo()
    os.chdir(folder)
    found = "image 'test0' of test and image 'ref2' of the reference ref have one content (test/gt/test0.png, ref/gt/ref2.png)"
    fix = "`exclude` it from one of them, or name it in `allow_overlap`"
    assert overlaps(raw) == [f"{found}; {fix} (2 of 3 images)"]
    raw["experiments"]["one"]["allow_overlap"] = ["test1"]
    assert overlaps(raw) == [f"{found}; {fix}"]


def overlaps(raw):
    key = "experiments.one.tests: "
    return [line.removeprefix(key) for line in mistakes(raw) if line.startswith(key)]


def test_files_that_differ_in_the_middle_are_two(folder):
    """Equal sizes and ends are not enough."""
    rows = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    other = rows.copy()
    other[100] = rows[100, ::-1]
    for path, image in (("ref/gt/ref0.tif", rows), ("test/gt/test0.tif", other)):
        (folder / path).with_suffix(".png").unlink()
        tifffile.imwrite(folder / path, image)
    plan = check.plan(config_of_tiffs(), "my.yaml", [])
    assert os.path.getsize("ref/gt/ref0.tif") == os.path.getsize("test/gt/test0.tif")
    assert overlap._ends("ref/gt/ref0.tif") == overlap._ends("test/gt/test0.tif")
    assert list(overlap.shared_images(plan)) == []
    shutil.copyfile("ref/gt/ref0.tif", "test/gt/test0.tif")
    assert len(list(overlap.shared_images(plan))) == 1


def config_of_tiffs():
    raw = config()
    for dataset in raw["datasets"].values():
        dataset["target"] = dataset["target"].replace("png", "*")
        dataset["exclude"] = ["ref1", "ref2"] if "ref" in dataset["target"] else ["test1", "test2"]
    return raw


# ── the estimate ────────────────────────────────────────────────────────────────────────────────────────────


def cost_of(raw):
    (found,) = json.loads(run("--json", raw=raw).stdout)
    return found["estimate"]


def test_the_estimate_grows_with_the_work(folder, monkeypatch):
    before = cost_of(config())
    assert (before["jobs"], before["untimed"], before["factor"]) == (32, ["f"], 3)
    assert before["unsized"] == []
    raw = config()
    raw["experiments"]["one"]["methods"]["zzpm"] = {}
    raw["experiments"]["one"]["png"] = True
    after = cost_of(raw)
    assert after["jobs"] == before["jobs"] + 3  # fuse, seal and score
    assert after["megabytes"] > before["megabytes"]
    assert after["seconds"] > before["seconds"]
    for dataset in ("ref", "test"):
        for kind in ("gt", "lq", "a", "b"):
            write(folder / dataset / kind / "large.png", (600, 800, 3))
    os.remove("test/gt/large.png")
    write(folder / "test/gt/large.png", (600, 800, 3))
    raw["experiments"]["one"]["allow_overlap"] = ["large"]
    larger = cost_of(raw)
    assert larger["megabytes"] > after["megabytes"] + 2 * 4 * 600 * 800 * 3 / 1e6
    os.makedirs("results/predictions/ref/a.zarr/")
    (part,) = check.plan(raw, "my.yaml", []).parts("ref")
    os.makedirs(f"results/predictions/ref/a.zarr/{part}")
    assert cost_of(raw)["jobs"] == larger["jobs"] - 1  # what is there costs nothing


def test_warnings_before_a_run(folder, monkeypatch, capsys):
    """What Snakemake prints while it plans is not shown: the check before a run tells of it."""
    write(folder / "test/gt/beside.jpg", (20, 24, 3))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(9e9, 9e9, 2e6))
    Path("my.yaml").write_text(yaml.safe_dump(config()))
    checked("my.yaml", None)
    first, second = capsys.readouterr().err.splitlines()
    assert re.match(r"warning: datasets.test.target: .* passes over 1 images .* test/gt/beside.jpg", first)
    assert re.match(r"warning: the run needs about 3.1 MB, and 2 MB are free", second)


def test_targets_that_are_missing(folder):
    """Inputs and all predictions have an image without a target: it is left out, with a warning, unless on purpose."""
    os.remove("test/gt/test1.png")
    raw = config()
    (line,) = run(raw=raw).stderr.splitlines()
    assert line == (
        "warning: datasets.test.target: no file for 'test1', though there are inputs or predictions: not in the "
        "dataset; add the files, unless this is intended"
    )
    raw["datasets"]["test"]["target"] = "test/gt/{image,test0|test2}.png"
    assert not run(raw=raw).stderr
    raw = config()
    os.remove("test/b/test1.png")
    assert not run(raw=raw).stderr


def test_models_that_are_copies(folder):
    """A path that was copied and not changed, a copied folder, targets: each is a warning."""
    shutil.copytree("test/gt", "test/c")
    shutil.copytree("ref/a", "ref/c")
    raw = config()
    raw["datasets"]["ref"]["input"] = "ref/gt/*.png"
    raw["models"]["b"]["path"] = "./{dataset}/a/*.png"
    raw["models"]["c"] = {"kind": "folder", "path": "{dataset}/c/*.png"}
    raw["models"]["g"] = {"kind": "function", "function": "own_check:smooth"}
    raw["models"]["h"] = {"kind": "folder", "path": "{dataset}/{model}/*.png"}
    raw["models"]["i"] = {"kind": "folder", "path": "{dataset}/{model}/*.png"}
    for dataset in ("ref", "test"):
        for model in ("h", "i"):
            for n in range(3):
                write(folder / dataset / model / f"{dataset}{n}.png")
    raw["experiments"]["one"]["models"] = ["a", "b", "f", "c", "g", "h", "i"]
    fix = "; fix it, unless this is intended"
    assert sorted(run(raw=raw).stderr.splitlines()) == [
        f"warning: datasets.ref.input: inputs are the targets, such as ref/gt/ref0.png{fix}",
        f"warning: models.b.path: predictions for ref are those of a, such as ./ref/a/ref0.png{fix}",
        f"warning: models.c.path: predictions for ref are those of a, such as ref/c/ref0.png{fix}",
        f"warning: models.c.path: predictions for ref are those of b, such as ref/c/ref0.png{fix}",
        f"warning: models.c.path: predictions for test are its targets, such as test/c/test0.png{fix}",
        f"warning: models.g: is the same as models.f{fix}",
    ]


def test_too_small_a_disk(folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(9e9, 9e9, 2e6))
    warning = "the run needs about 3.1 MB, and 2 MB are free; free some, or choose another results folder"
    done = run(raw=config())
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == f"warning: {warning}"
    assert json.loads(run("--json").stdout)[0]["warnings"] == [warning]


@pytest.mark.parametrize(
    ("call", "number", "text"),
    [
        (estimate.size, 0.04, "0.04 MB"), (estimate.size, 994, "990 MB"), (estimate.size, 996, "1 GB"),
        (estimate.size, 2.76e6, "2.8 TB"), (estimate.size, 123456, "120 GB"),
        (estimate.duration, 7.23, "7.2 s"), (estimate.duration, 99, "99 s"), (estimate.duration, 100, "1.7 min"),
        (estimate.duration, 7200, "2 h"), (estimate.duration, 2e6, "560 h"),
    ],
)  # fmt: skip
def test_numbers_for_people(call, number, text):
    assert call(number) == text


def test_json(folder):
    raw = config()
    raw["models"]["a"]["paht"] = raw["compute"] = "x"
    run(raw=config(), name="fine.yaml")
    run(raw=raw, name="bad.yaml")
    run(raw="a: [", name="syntax.yaml")
    done = CliRunner().invoke(app, ["check", "--json", "fine.yaml", "bad.yaml", "syntax.yaml"])
    assert (done.exit_code, done.stderr) == (2, "")
    fine, bad, syntax = json.loads(done.stdout)
    assert fine["configuration"] == "fine.yaml"
    assert fine["mistakes"] == []
    assert fine["datasets"]["ref"] == {"images": 3, "sizes": [[24, 20]], "parts": 1, "targets": True}
    assert fine["models"]["f"] == {"kind": "function", "predictions": {"ref": 0, "test": 0}}
    assert fine["experiments"]["one"]["tests"] == ["test"]
    assert [mistake.partition(":")[0] for mistake in bad["mistakes"]] == ["compute", "models.a.paht"]
    assert syntax["mistakes"] == ["line 1, column 4: this [ is not closed; add ]\n  a: [\n     ^"]


def test_a_results_folder_that_cannot_be_one(folder):
    (folder / "file").write_text("precious")
    for results in ("file", "file/below"):
        done = run("--results", results, raw=config())
        assert done.exit_code == 2
        assert done.stderr == f"my.yaml: results: {folder}/file is no folder; name another, or move it away\n"
    done = run("--results", "/proc/results", raw=config())
    assert done.exit_code == 2 or os.geteuid() == 0  # who may write anywhere is told by the run
    assert (folder / "file").read_text() == "precious"


def test_methods_that_hold_images_out_need_two(folder):
    raw = config()
    raw["datasets"]["ref"]["exclude"] = ["ref1", "ref2"]
    methods = {
        "least_squares": {},
        "fixed": {"kind": "least_squares", "strength": 10.0},
        "local_filters": {},
        "best": {},
    }
    raw["experiments"]["one"]["methods"] |= methods
    told = "chooses on images of the reference that are held out in turn, and ref has a single one; add images to it"
    assert mistakes(raw) == [
        f"experiments.one.methods.best: {told}, or leave the method out",
        f'experiments.one.methods.least_squares: {told}, or give a number instead of "auto", or leave the method out',
        f"experiments.one.methods.local_filters: {told}, or leave the method out",
    ]


def test_names_that_differ_in_case(folder):
    """An error where the disk takes them for one, as it seems to where a link of the other name leads to the folder."""
    raw = config()
    raw["models"]["A"] = raw["models"]["a"]
    raw["experiments"]["one"]["models"] = ["a", "b", "A"]
    raw["experiments"]["one"]["methods"]["B"] = {"kind": "average"}
    raw["results"] = "Results"
    assert run(raw=raw).exit_code == 0
    (folder / "Results").mkdir()
    (folder / "rESULTS").symlink_to("Results")
    told = "in case only, and for the disk of Results both are one folder; rename one of them"
    assert mistakes(raw) == [
        f"experiments.one.methods.A: differs from 'a' {told}",
        f"experiments.one.methods.B: differs from 'b' {told}",
        f"models.a: differs from 'A' {told}",
    ]
