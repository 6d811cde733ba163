"""Snakemake's between-workflow cache: a second folder gets expensive results from it, and never the wrong ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, prepare

from ensir.images import image_files
from ensir.storage import reading, verification
from ensir.storage.layout import Layout
from ensir.storage.upload import upload

EXPENSIVE = ("predict", "partition", "estimate", "merge")


def ran(run: Run) -> set[str]:
    """Return the expensive rules of which a job was at work here: only those have something in their logs."""
    logs = run.folder / "results/logs"
    return {rule for rule in EXPENSIVE if any(log.stat().st_size for log in (logs / rule).rglob("*.log"))}


@pytest.fixture
def cached(once: Callable, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose LUTs and predictions went into the cache."""

    def fill(folder: Path) -> None:
        (folder / "cache").mkdir()
        run = prepare(folder / "first", repository)
        run.run("--cache", "--", "luts", "predictions", SNAKEMAKE_OUTPUT_CACHE=str(folder / "cache"))
        assert ran(run) == set(EXPENSIVE)

    folder = once("cached", fill)
    shutil.copytree(folder / "cache", tmp_path / "cache")
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(tmp_path / "cache"))
    return Run(folder / "first", repository)


@pytest.mark.slow
def test_a_second_folder_gets_its_results_from_the_cache(cached: Run, tmp_path: Path, repository: Path):
    second = prepare(tmp_path / "second", repository)
    second.run("--cache", "--", "luts", "predictions")
    assert ran(second) == set()
    assert second.digests() == cached.digests()
    results = second.folder / "results"
    verified = {one.result: one.problems for one in verification.verify(results, Layout(str(results)))}
    assert len(verified) > len(EXPENSIVE)
    assert not any(verified.values())

    swapped = prepare(tmp_path / "swapped", repository)
    one, other = (swapped.folder / f"ref/pred/a/{name}.png" for name in ("r1", "r2"))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    swapped.run("--cache", "--", "predictions")
    assert ran(swapped) == {"predict"}
    for path in (swapped.folder / "results/predictions/ref/a.zarr").glob("[0-9a-f]*/"):
        part = reading.Part(path)
        for name in part.names:
            file = swapped.folder / f"ref/pred/a/{name}.png"
            np.testing.assert_array_equal(part.image(name), image_files.read(str(file)))
    assert "Nothing to be done" in swapped.run("--dry-run", "--", "predictions")  # without the cache, too


@pytest.mark.slow
def test_another_store_at_the_same_place_is_no_result_of_the_cache(
    cached: Run, tmp_path: Path, repository: Path
):
    statistics = []
    for model in ("a", "b"):
        shutil.rmtree(tmp_path / "shared", ignore_errors=True)
        for dataset in ("ref", "test"):
            predictions = cached.folder / f"results/predictions/{dataset}/{model}.zarr"
            upload(str(predictions), str(tmp_path / f"shared/{dataset}.zarr"), lambda done, total: None)
        run = prepare(tmp_path / model, repository)
        config = run.config
        config["models"]["a"] = {"kind": "store", "path": f"{tmp_path}/shared/{{dataset}}.zarr"}
        run.config = config
        run.run("--cache", "--", "luts", "predictions")
        assert ran(run) == {"partition", "estimate", "merge"}
        statistics.append(run.digests()["digests/statistics/one/bins.zarr.sha256"])
    assert statistics[0] != statistics[1]
