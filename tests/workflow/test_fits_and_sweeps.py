"""Methods that are fitted, sweeps, seconds, and the configurations of the paper."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import REPOSITORY, Run, write_dataset, write_images

from ensir.images import image_files
from ensir.images.degradations import imresize

METHODS = ["average", "refesr", "gbdt", "hgbt", "local_filters", "ensir", "ensir_b32", "ensir_s10"]


def shrink(folder: Path) -> None:
    """Make the inputs of a dataset from its targets, a quarter of their size."""
    for path in sorted((folder / "gt").glob("*.png")):
        small = imresize(image_files.read(str(path)), 1 / 4)
        image_files.write(folder / "lq" / path.name, small)


@pytest.fixture(scope="session")
def fitted(once: Callable, repository: Path) -> Run:
    """A finished run of methods of every kind; copy it before you change it."""
    return Run(once("fitted", lambda folder: prepare(Run(folder, repository)).run()), repository)


def prepare(run: Run) -> Run:
    for dataset, names in (("ref", ["r1", "r2", "r3"]), ("test", ["t1", "t2", "t3"])):
        write_dataset(run.folder, dataset, names, {"a": 6, "b": 9})
        shutil.rmtree(run.folder / dataset / "lq")
        shrink(run.folder / dataset)
    dataset = {"kind": "folder", "images_per_part": 4, "scale": 4}
    run.config = {
        "datasets": {
            name: {**dataset, "target": f"{name}/gt/*.png", "input": f"{name}/lq/*.png"}
            for name in ("ref", "test")
        },
        "models": {name: {"kind": "folder", "path": f"{{dataset}}/pred/{name}/*.png"} for name in ("a", "b")},
        "experiments": {
            "one": {
                "models": ["a", "b"],
                "reference": "ref",
                "tests": ["test"],
                "score": {"space": "y", "crop": 4, "metrics": ["psnr"]},
                "methods": {
                    "average": {},
                    "refesr": {},
                    "gbdt": {"samples": 500},
                    "hgbt": {"samples": 500},
                    "local_filters": {},
                    "ensir": {"bin_width": 64},
                },
                "sweep": {"bin_width": [32], "max_steps": [10]},
            }
        },
    }
    return run


def rows_of(run: Run, name: str) -> list[dict[str, str]]:
    with open(run.folder / "results" / name, newline="") as file:
        return list(csv.DictReader(file))


def test_every_method_and_instance_is_scored(fitted: Run):
    scores = rows_of(fitted, "scores.csv")
    assert [row["method"] for row in scores if (row["image"], row["metric"]) == ("t1", "psnr")] == [
        "a",
        "b",
        *METHODS,
    ]


def test_seconds_are_among_the_scores(fitted: Run):
    summary = {(row["dataset"], row["method"], row["metric"]): row for row in rows_of(fitted, "summary.csv")}
    for method in METHODS:
        row = summary["test", method, "seconds"]
        assert (row["n"], float(row["mean"]) > 0) == ("3", True)
    fits = [(key, row["n"]) for key, row in summary.items() if key[2] == "fit_seconds"]
    assert fits == [(("ref", method, "fit_seconds"), "1") for method in METHODS[1:]]


def test_one_partition_serves_the_whole_sweep(fitted: Run):
    statistics = sorted(path.name for path in (fitted.folder / "results/statistics/one").iterdir())
    assert statistics == ["bins.zarr", "filters.zarr"]
    luts = {path.stem for path in (fitted.folder / "results/luts/one").iterdir()}
    assert luts == {"ensir", "ensir_b32", "ensir_s10"}


@pytest.mark.slow
def test_other_seconds_rerun_tables_and_report_alone(fitted: Run, tmp_path: Path):
    """A fit that is made again takes another time for the same trees."""
    run = fitted.copy(tmp_path / "run")
    assert run.planned() == []
    (run.folder / "results/seconds/fit/one/gbdt.csv").unlink()
    done = re.findall(r"^Job \d+: (.*)$", run.run(), re.MULTILINE)
    assert {"fit gbdt of one", "collect all scores"} <= set(done)
    assert not [job for job in done if re.match("fuse|score|seal|estimate|merge|partition|fit (?!gbdt)", job)]


def test_other_options_refit_one_method(fitted: Run, tmp_path: Path):
    run = fitted.copy(tmp_path / "run")
    config = run.config
    config["experiments"]["one"]["methods"]["gbdt"]["seed"] = 1
    run.config = config
    planned = [job for job in run.planned() if re.match("fit|fuse|estimate|partition", job)]
    assert planned[0] == "fit gbdt of one"
    assert all("gbdt" in job for job in planned)


@pytest.mark.slow
def test_fits_are_the_same_whatever_the_parts(fitted: Run, tmp_path: Path):
    run = fitted.copy(tmp_path / "run")
    shutil.rmtree(run.folder / "results")
    config = run.config
    config["datasets"]["ref"]["images_per_part"] = 1
    run.config = config
    run.run("--", *(f"results/fused/one/test/{method}.zarr/zarr.json" for method in METHODS))
    before, after = fitted.digests(), run.digests()
    mirrored = [path for path in before if path.startswith(("digests/fits", "digests/fused"))]
    assert len(mirrored) == 4 + len(METHODS) * 2
    assert {path: after[path] for path in mirrored} == {path: before[path] for path in mirrored}


SLOW = pytest.mark.slow  # hundreds of jobs each


@pytest.mark.parametrize(
    "task", ["derain", pytest.param("sr", marks=SLOW), pytest.param("deblur", marks=SLOW)]
)
def test_configurations_of_the_paper_plan(tmp_path: Path, repository: Path, task: str):
    config = yaml.safe_load((REPOSITORY / f"config/papers/{task}.yaml").read_text())
    run = Run(tmp_path / "run", repository)
    for dataset, settings in config["datasets"].items():
        for model in ("", *config["models"]):
            folder = tmp_path / dataset / (f"pred/{model}" if model else "gt")
            write_images(folder, [f"{dataset}1"], shape=(8, 12, 3))
        if "input" in settings:
            image_files.write(tmp_path / dataset / "lq" / f"{dataset}1.png", np.zeros((2, 3, 3), np.uint8))
    run.folder.mkdir()
    run.config = config
    planned = run.planned(ROOT=str(tmp_path))
    for experiment, section in config["experiments"].items():
        for dataset in section["tests"]:
            assert any(job.startswith(f"fuse {dataset} by ensir of {experiment}") for job in planned)
    assert len([job for job in planned if job.startswith("ingest")]) == len(config["datasets"])
    if task == "derain":
        assert "merge the shards of ensir_b16 of ablation" in planned
        assert "merge the shards of ensir_s10000 of ablation" in planned
