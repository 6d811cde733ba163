"""Figures are made when they are asked for, by name, and again when what they show has changed."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import pytest
from conftest import Run
from test_networks_in_a_run import export


def drawn(run: Run, *targets: str) -> list[str]:
    """Return the messages of the jobs that would draw."""
    output = run.run("--dry-run", *targets)
    return re.findall(r"^Job \d+: (draw .*)$", output, re.MULTILINE)


@pytest.mark.slow
def test_figures_by_name(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    assert drawn(run) == []
    assert len(drawn(run, "figures")) == 7
    run.run("gain", "distribution")
    files = sorted(
        path.relative_to(run.folder / "results/figures/one")
        for path in (run.folder / "results/figures/one").rglob("*.*")
    )
    endings = (".csv", ".pdf", ".png", ".svg")
    assert list(map(str, files)) == [
        f"{stem}{e}" for stem in ("distribution/ensir", "gain/test") for e in endings
    ]
    with open(run.folder / "results/figures/one/gain/test.csv", newline="") as file:
        gains = {(row["method"], row["image"]): float(row["gain"]) for row in csv.DictReader(file)}
    with open(run.folder / "results/scores.csv", newline="") as file:
        psnr = {
            (row["method"], row["image"]): float(row["value"])
            for row in csv.DictReader(file)
            if row["metric"] == "psnr"
        }
    assert len(gains) == 4 * 3
    for (method, image), gain in gains.items():
        assert abs(gain - psnr[method, image] + psnr["average", image]) < 2e-6

    config = run.config
    config["experiments"]["one"]["figures"] = {"bin_sets": [[100, 100, 100]]}
    config["report"] = {"megabytes": 10}
    config["experiments"]["one"]["png"] = True
    run.config = config
    assert drawn(run, "gain", "distribution") == ["draw the distribution of ensir in one"]


@pytest.mark.slow
def test_a_network_that_is_replaced_by_an_older_one(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    network = run.folder / "net.pt2"
    export(network, seed=0)
    config = run.config
    config["experiments"]["one"]["figures"] = {"network": network.name}
    run.config = config
    assert drawn(run, "features") == ["draw the features of test in one"]
    run.run("features")
    assert drawn(run, "features") == []
    network.write_bytes(b"another")
    os.utime(network, ns=(1, 1))
    assert drawn(run, "features") == ["draw the features of test in one"]
