"""Whole runs with refiners: behind a model that enters an ensemble, behind the ensemble, and what reruns what."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable
from pathlib import Path
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
    noisy = {"kind": "folder", "degradation": {"kind": "noise", "sigma": 20.0}, "images_per_part": 3}
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


@pytest.fixture(scope="session")
def refined(once: Callable, repository: Path) -> Run:
    """A finished run; copy it before you change it."""

    def fill(folder: Path) -> None:
        run = Run(folder, repository)
        run.config = config()
        write_images(folder / "ref/gt", ["a", "b"])
        write_images(folder / "test/gt", ["c"])
        write_images(folder / "train/gt", ["p", "q", "r"])
        run.run()

    return Run(once("refined", fill), repository)


def test_refiners_behind_a_model_and_behind_the_ensemble(refined: Run):
    results = refined.folder / "results"
    network = refiner.read(results / "refiners/refined.safetensors")
    assert network.architecture.guide == 64
    assert network.facts["dataset"] == "train"
    assert sorted(network.facts["images"]) == ["p", "q", "r"]
    (path,) = (results / "predictions/test/refined.zarr").glob("[0-9a-f]*")
    part = reading.Part(path)
    assert part.attributes["parameters"]["network"][0] == digests.sha256(
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
def test_what_reruns_a_refiner(refined: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = refined.copy(tmp_path / "run")
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


@pytest.mark.slow
def test_weights_that_are_replaced_by_older_ones(refined: Run, tmp_path: Path):
    """Of a method, which makes no predictions."""
    run = refined.copy(tmp_path / "run")
    own, other = run.folder / "own.safetensors", run.folder / "results/refiners/refined.safetensors"
    shutil.copy(run.folder / "results/refiners/one/behind.safetensors", own)
    changed = run.config
    behind = changed["experiments"]["one"]["methods"]["behind"]
    behind |= {"weights": own.name}
    del behind["training"]
    run.config = changed
    run.run()
    assert run.planned() == []
    shutil.copy(other, own)
    os.utime(own, ns=(1, 1))
    planned = run.planned()
    assert [job for job in planned if job.startswith("fuse")] == [
        job for job in planned if job.startswith("fuse test by behind of one")
    ]
    assert any(job.startswith("fuse") for job in planned)
    assert not any(job.startswith(("predict", "train", "ingest")) for job in planned)
