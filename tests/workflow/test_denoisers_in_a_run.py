"""Whole runs with denoising autoencoders: one is trained first, a kernel comes from a file, and what reruns what."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest
from conftest import Run, write_images

from ensir.config.reading import load, parse
from ensir.networks import dae
from ensir.planning.garbage import garbage
from ensir.planning.plan import Plan
from ensir.storage import digests, reading
from ensir.storage.layout import Layout


def config() -> dict[str, Any]:
    blurred = {"kind": "blur", "kernel": "kernel.npy", "sigma": 2.0}
    dataset = {"kind": "folder", "degradation": blurred, "images_per_part": 2}
    return {
        "datasets": {
            "ref": {**dataset, "target": "ref/gt/*.png"},
            "test": {**dataset, "target": "test/gt/*.png"},
        },
        "models": {
            "denoised": {"kind": "dae", "dae": "mine", "tile": 32, "overlap": 8},
            "dmsp": {"kind": "dmsp", "steps": 3},
            "wiener": {"kind": "classical", "algorithm": "wiener"},
        },
        "denoisers": {
            "mine": {
                "photographs": "photographs/*.png", "sigma": 5.0, "steps": 3,
                "width": 4, "blocks": 1, "patch": 16, "batch": 1,
            },
        },
        "experiments": {
            "one": {
                "models": ["denoised", "dmsp", "wiener"], "reference": "ref", "tests": ["test"],
                "methods": {"average": None, "ensir": None},
            },
        },
    }  # fmt: skip


@pytest.fixture
def run(tmp_path, repository) -> Run:
    made = Run(tmp_path, repository)
    made.config = config()
    write_images(tmp_path / "ref/gt", ["a", "b"])
    write_images(tmp_path / "test/gt", ["c"])
    write_images(tmp_path / "photographs", [f"p{i}" for i in range(9)])
    np.save(tmp_path / "kernel.npy", np.outer([1, 2, 1], [1, 2, 4, 2, 1]))
    return made


@pytest.mark.slow
def test_a_trained_denoiser_and_what_reruns_it(run: Run, monkeypatch: pytest.MonkeyPatch):
    run.run()
    results = run.folder / "results"
    weights = results / "denoisers/mine.safetensors"
    assert dae.read(weights).sigma == 5
    assert (results / "denoisers/mine.csv").read_text().startswith("step,seconds,learning_rate,loss,psnr\n3,")
    (path,) = (results / "predictions/test/denoised.zarr").glob("[0-9a-f]*")
    assert reading.Part(path).attributes["parameters"]["network"] == [digests.sha256(weights)]
    (path,) = (results / "predictions/test/dmsp.zarr").glob("[0-9a-f]*")
    told = reading.Part(path).attributes
    assert told["settings"].keys() == {
        "kind", "dae_sigma", "steps", "noise_blind", "kernel_size", "precision", "seed",
    }  # fmt: skip
    assert told["parameters"]["dae_sigma"] == 11
    (log,) = (results / "logs/predict/test/dmsp").iterdir()
    assert "c: 3 steps of " in log.read_text()
    (path,) = (results / "datasets/test.zarr").glob("[0-9a-f]*")
    blur = np.array(reading.Part(path).attributes["degradation"]["values"])
    np.testing.assert_allclose(blur, np.load(run.folder / "kernel.npy") / 40)
    with open(results / "summary.csv", newline="") as file:
        means = {row["method"]: float(row["mean"]) for row in csv.DictReader(file) if row["metric"] == "psnr"}
    assert means["dmsp"] > means["denoised"]

    assert run.planned() == []
    changed = run.config
    changed["models"]["dmsp"]["device"] = "cpu"
    changed["models"]["denoised"] |= {"device": "cpu", "batch": 2}
    run.config = changed
    assert run.planned() == []
    changed["models"]["dmsp"]["steps"] = 4
    run.config = changed
    assert [job for job in run.planned() if job.startswith(("predict", "train", "ingest"))] == [
        "predict ref with dmsp, part " + next((results / "predictions/ref/dmsp.zarr").glob("[0-9a-f]*")).name,
        "predict test with dmsp, part "
        + next((results / "predictions/test/dmsp.zarr").glob("[0-9a-f]*")).name,
    ]
    changed["models"]["dmsp"]["steps"] = 3
    changed["denoisers"]["mine"]["steps"] = 5  # another training
    run.config = changed
    planned = run.planned()
    assert "train denoiser mine" in planned
    assert not any("dmsp" in job and job.startswith("predict") for job in planned)
    run.run()
    assert (
        "belongs to another training: starting over" in (results / "logs/train_denoiser/mine.log").read_text()
    )
    assert not list((results / ".partial/descents").iterdir())
    assert run.planned() == []
    monkeypatch.chdir(run.folder)
    assert not list(garbage(Layout(), [Plan(load("config.yaml"), Layout())]))
    without = run.config
    without["models"]["denoised"]["dae"] = "sigma11"
    del without["denoisers"]
    unneeded = garbage(Layout(), [Plan(parse(without, ""), Layout())])
    assert {str(path) for path in unneeded} == {
        f"results/{folder}denoisers" for folder in ("", "digests/", "sources/")
    }
    np.save(run.folder / "kernel.npy", np.ones((3, 3)))
    assert sum(job.startswith("ingest") for job in run.planned()) == 2


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (("datasets", "ref", "degradation", "kernel"), "no.npy", "datasets.ref.degradation.kernel: no.npy: no such file"),
        (("models", "dmsp", "dae"), "no.safetensors", "models.dmsp.dae: no.safetensors: no such file"),
        (("denoisers", "mine", "photographs"), "no/*.png", "denoisers.mine.photographs: no image matches"),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_at_once(run: Run, key: tuple[str, ...], value: str, message: str):
    changed = run.config
    section = changed
    for name in key[:-1]:
        section = section[name]
    section[key[-1]] = value
    run.config = changed
    assert message in run.run("--dry-run", ok=False)
