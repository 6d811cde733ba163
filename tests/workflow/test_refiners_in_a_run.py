"""Whole runs with refiners: behind a model that enters an ensemble, behind the ensemble, and what reruns what."""

from __future__ import annotations

import csv
from typing import Any

import pytest
from conftest import Run, write_images

from ensir.config.reading import load
from ensir.networks import refiner
from ensir.planning.garbage import garbage
from ensir.planning.plan import Plan
from ensir.storage import digests, reading
from ensir.storage.layout import Layout

TRAINING = {"dataset": "train", "steps": 2, "patch": 16, "batch": 1, "validation": 1}


def config() -> dict[str, Any]:
    noisy = {"kind": "folder", "degradation": {"kind": "noise", "sigma": 20.0}, "images_per_part": 2}
    return {
        "datasets": {name: {**noisy, "target": f"{name}/gt/*.png"} for name in ("ref", "test", "train")},
        "models": {
            "smooth": {"kind": "classical", "algorithm": "gaussian"},
            "median": {"kind": "classical", "algorithm": "median"},
            "refined": {"kind": "ptgrm", "base": "smooth", "prior": {"kind": "restoration"}, "training": TRAINING},
        },
        "experiments": {
            "one": {
                "models": ["refined", "median"], "reference": "ref", "tests": ["test"],
                "methods": {
                    "ensemble": {"kind": "ensir", "bin_width": 64},
                    "behind": {
                        "kind": "ptgrm", "after": "ensemble", "prior": {"kind": "none"}, "without": ["sve"],
                        "training": TRAINING,
                    },
                },
            },
        },
    }  # fmt: skip


@pytest.fixture
def run(tmp_path, repository) -> Run:
    made = Run(tmp_path, repository)
    made.config = config()
    write_images(tmp_path / "ref/gt", ["a", "b"])
    write_images(tmp_path / "test/gt", ["c"])
    write_images(tmp_path / "train/gt", ["p", "q", "r"])
    return made


def test_refiners_behind_a_model_and_behind_the_ensemble(run: Run):
    run.run()
    results = run.folder / "results"
    network = refiner.read(results / "refiners/refined.safetensors")
    assert network.architecture.guide == 64
    assert network.facts["dataset"] == "train"
    assert sorted(network.facts["images"]) == ["p", "q", "r"]
    (path,) = (results / "predictions/test/refined.zarr").glob("[0-9a-f]*")
    refined = reading.Part(path)
    assert refined.attributes["parameters"]["network"][0] == digests.sha256(
        results / "refiners/refined.safetensors"
    )
    (path,) = (results / "fused/one/test/behind.zarr").glob("[0-9a-f]*")
    behind = reading.Part(path)
    assert (behind.dtype, behind.attributes["models"]) == ("float32", ["ensemble"])
    (path,) = (results / "fused/one/test/ensemble.zarr").glob("[0-9a-f]*")
    assert 0 < abs(behind.image("c") - reading.Part(path).image("c")).mean() < 10
    with open(results / "summary.csv", newline="") as file:
        methods = {row["method"] for row in csv.DictReader(file) if row["metric"] == "psnr"}
    assert methods == {"refined", "median", "ensemble", "behind"}


@pytest.mark.slow
def test_what_reruns_a_refiner(run: Run, monkeypatch: pytest.MonkeyPatch):
    run.run()
    assert run.planned() == []
    changed = run.config
    changed["models"]["refined"] |= {"device": "cpu", "batch": 2}
    changed["report"] = {"megabytes": 20}
    run.config = changed
    assert run.planned() == ["make results/report.html"]
    del changed["report"]
    changed["experiments"]["one"]["methods"]["behind"]["prior"] = {
        "kind": "restoration",
        "network": "sigma11",
    }
    run.config = changed
    (part,) = (path.name for path in (run.folder / "results/datasets/test.zarr").glob("[0-9a-f]*"))
    planned = run.planned()
    assert [job for job in planned if job.startswith(("train", "predict", "fuse"))] == [
        f"fuse test by behind of one, part {part}",
        "train refiner one/behind",
    ]
    monkeypatch.chdir(run.folder)
    assert list(garbage(Layout(), [Plan(load("config.yaml"), Layout())])) == []
    changed["experiments"]["one"]["methods"].pop("behind")
    run.config = changed
    unneeded = {
        str(path.relative_to("results")) for path in garbage(Layout(), [Plan(load("config.yaml"), Layout())])
    }
    assert {"refiners/one", "fused/one/test/behind.zarr", "fused/one/train"} <= unneeded
    assert not any("train/smooth" in path for path in unneeded)
