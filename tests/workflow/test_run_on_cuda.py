"""A whole run with `compute.device: cuda`: networks, trainings and EM on a GPU, and what is equal to a run on the CPU."""

from __future__ import annotations

import csv
from typing import Any

import pytest
import torch
from conftest import Run, write_images
from test_networks_in_a_run import export

from ensir.cells import lut
from ensir.storage import reading

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA GPU here")
DATASET = {"kind": "folder", "degradation": {"kind": "noise", "sigma": 20.0}, "images_per_part": 2}
TRAINING = {"dataset": "train", "steps": 4, "patch": 16, "batch": 1, "validation": 1}


def config(device: str) -> dict[str, Any]:
    return {
        "compute": {"device": device},
        "datasets": {name: {**DATASET, "target": f"{name}/gt/*.png"} for name in ("ref", "test", "train")},
        "models": {
            "smooth": {"kind": "classical", "algorithm": "gaussian"},
            "median": {"kind": "classical", "algorithm": "median"},
            "net": {"kind": "exported", "path": "net.pt2", "tile": 32, "overlap": 8},
            "daep": {"kind": "daep", "steps": 4},
            "mine": {"kind": "dae", "dae": "mine", "tile": 32, "overlap": 8},
            "refined": {"kind": "ptgrm", "base": "smooth", "prior": {"kind": "restoration"}, "training": TRAINING},
        },
        "denoisers": {
            "mine": {
                "photographs": "train/gt/*.png", "sigma": 20.0, "steps": 4,
                "width": 4, "blocks": 1, "patch": 16, "batch": 1,
            },
        },
        "experiments": {
            "classical": {
                "models": ["smooth", "median"], "reference": "ref", "tests": ["test"],
                "methods": {"ensir": {"bin_width": 64}, "average": None},
            },
            "networks": {
                "models": ["net", "daep", "mine", "refined"], "reference": "ref", "tests": ["test"],
                "methods": {
                    "ensir": {"bin_width": 64},
                    "behind": {"kind": "ptgrm", "after": "ensir", "prior": {"kind": "none"}, "training": TRAINING},
                },
            },
        },
    }  # fmt: skip


def test_a_run_on_a_gpu(tmp_path, repository):
    for name, images in {"ref": "abc", "test": "de", "train": "pqrstuvwxy"}.items():
        write_images(tmp_path / name / "gt", list(images))
    export(tmp_path / "net.pt2", seed=0)
    run, scores, luts = Run(tmp_path, repository), {}, {}
    for device in ("cuda", "cpu"):
        run.config = config(device)
        run.run("--cores", "4")
        with open(run.folder / "results/summary.csv", newline="") as file:
            scores[device] = {
                (row["experiment"], row["method"]): float(row["mean"])
                for row in csv.DictReader(file)
                if row["metric"] == "psnr"
            }
        luts[device] = lut.load(str(run.folder / "results/luts/classical/ensir.lut"))
        assert run.planned() == []
        (run.folder / "results").rename(tmp_path / device)
    assert len(scores["cuda"]) == 2 + 2 + 4 + 2
    for (experiment, method), found in scores["cuda"].items():
        exact = experiment == "classical"
        expected = scores["cpu"][experiment, method]
        assert found == pytest.approx(expected, abs=1e-9 if exact else 0.5), (experiment, method)
    assert (abs(luts["cuda"].weights - luts["cpu"].weights) <= 1e-9).all()
    for model in ("net", "daep"):  # not trained here
        parts = (next((tmp_path / d / f"predictions/test/{model}.zarr").glob("[0-9a-f]*")) for d in scores)
        cuda, cpu = (reading.Part(path).image("d").astype(int) for path in parts)
        assert abs(cuda - cpu).max() <= 1
    logs = {p.parent.name: p.read_text() for p in (tmp_path / "cuda/logs/predict/test").glob("*/*.log")}
    assert all("MB of the GPU" in logs[model] for model in ("net", "daep", "mine", "refined"))
