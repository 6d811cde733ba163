"""Whole runs with networks: what their files and settings rerun, and a published network among published predictions."""

from __future__ import annotations

import csv
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run

from ensir.images import image_files
from ensir.storage import digests, reading


def export(path: Path, seed: int) -> None:
    """Export a small network that smooths a little, for images of any size."""
    torch.manual_seed(seed)
    network = torch.nn.Conv2d(3, 3, 3, padding=1)
    with torch.no_grad():
        network.weight.mul_(0.1)
        network.bias.mul_(0.1)
        network.weight[range(3), range(3), 1, 1] += 0.8
    free = torch.export.Dim.DYNAMIC
    shapes = ({0: free, 2: free, 3: free},)
    torch.export.save(torch.export.export(network, (torch.rand(2, 3, 32, 32),), dynamic_shapes=shapes), path)


@pytest.fixture
def with_network(fresh: Run) -> Run:
    """The small experiment with a network, and with the predictions of `b` as floats in [0, 1]."""
    export(fresh.folder / "net.pt2", seed=0)
    for path in fresh.folder.glob("*/pred/b/*.png"):
        np.save(path.with_suffix(".npy"), image_files.read(str(path)).astype(np.float32) / 255)
    config = fresh.config
    for dataset in config["datasets"].values():
        dataset["images_per_part"] = 3
    config["models"]["net"] = {"kind": "exported", "path": "net.pt2", "tile": 32, "overlap": 8}
    config["models"]["b"] = {"kind": "folder", "path": "{dataset}/pred/b/*.npy", "value_range": [0, 1]}
    config["experiments"]["one"]["models"] = ["b", "net"]
    config["compute"]["shards"] = 1
    fresh.config = config
    return fresh


@pytest.mark.slow
def test_a_network_and_what_reruns_it(with_network: Run):
    run = with_network
    run.run()
    (path, *_) = (run.folder / "results/predictions/test/net.zarr").glob("[0-9a-f]*")
    part = reading.Part(path)
    assert part.attributes["parameters"]["network"] == [digests.sha256(run.folder / "net.pt2")]
    assert part.attributes["settings"].keys() == {
        "kind", "tile", "overlap", "value_range", "multiple", "any_range",
    }  # fmt: skip
    (log,) = (run.folder / "results/logs/predict/test/net").glob(f"{path.name}.log")
    assert "images per second, peak memory" in log.read_text()
    for path in (run.folder / "results/predictions/test/b.zarr").glob("[0-9a-f]*"):
        for name in reading.Part(path).names:
            png = image_files.read(str(run.folder / f"test/pred/b/{name}.png"))
            np.testing.assert_array_equal(reading.Part(path).image(name), png)

    config = run.config
    config["models"]["net"] |= {"batch": 4, "device": "cpu"}
    run.config = config
    assert run.planned() == []
    os.utime(run.folder / "net.pt2")
    (job,) = run.planned()
    assert job.startswith("compare files that have other dates")
    export(run.folder / "net.pt2", seed=1)
    predictions = [job for job in run.planned() if job.startswith("predict")]
    assert len(predictions) == 2
    assert all(" with net," in job for job in predictions)


def test_a_missing_network_is_told_at_once(with_network: Run):
    (with_network.folder / "net.pt2").unlink()
    output = with_network.run("--dry-run", ok=False)
    assert "models.net.path: net.pt2: no such file; fix the path" in output


@pytest.mark.pretrained
@pytest.mark.skipif(find_spec("spandrel") is None, reason="needs the extra `pretrained`")
def test_a_published_network_among_published_predictions(data: Path, tmp_path: Path, repository: Path):
    """CRAFT, run here, gives what its published predictions give; so do the methods that combine them."""
    run = Run(tmp_path, repository)
    shutil.copy(repository / "config/pretrained.yaml", run.config_file)
    run.run(ROOT=str(data / "images/sr_x4"), WEIGHTS=str(data / "weights"))
    with open(run.folder / "results/summary.csv", newline="") as file:
        means = {row["method"]: float(row["mean"]) for row in csv.DictReader(file) if row["metric"] == "psnr"}
    assert means["CRAFT"] == pytest.approx(30.256, abs=0.005)
    assert means["average"] == pytest.approx(30.408, abs=0.005)
    assert means["ensir"] == pytest.approx(30.397, abs=0.005)
