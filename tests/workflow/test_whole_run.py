"""Whole runs: the published predictions give the known numbers; stores, PNG files and tables are what they say."""

from __future__ import annotations

import csv
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from conftest import Run, write_dataset

from ensir.images import image_files
from ensir.storage import reading, verification
from ensir.storage.layout import Layout


def means(run: Run) -> dict[tuple[str, str], float]:
    with open(run.folder / "results/summary.csv", newline="") as file:
        return {(row["method"], row["metric"]): float(row["mean"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="session")
def published(data: Path, once: Callable, repository: Path) -> Run:
    """The shipped experiment for folders, on real predictions of three ×4 super-resolution networks."""

    def fill(folder: Path) -> None:
        run = Run(folder, repository)
        shutil.copy(repository / "config/folders.yaml", run.config_file)
        run.run(ROOT=str(data / "images/sr_x4"))

    return Run(once("published", fill), repository)


@pytest.mark.parametrize(
    ("method", "psnr"),
    [
        ("IMDN", 30.208), ("MobileSR", 30.057), ("CRAFT", 30.256), ("average", 30.408), ("zzpm", 30.408),
        ("ensir", 30.397), ("ensir_separate", 30.397), ("ensir_paper", 30.398),
    ],
)  # fmt: skip
def test_published_predictions(published: Run, method: str, psnr: float):
    assert means(published)[method, "psnr"] == pytest.approx(psnr, abs=0.001)


def test_a_prediction_store_explains_itself(published: Run, data: Path):
    (path,) = (published.folder / "results/predictions/set5/IMDN.zarr").glob("[0-9a-f]*")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        part = xr.open_zarr(path)
    assert part["value"].dims == ("channel", "pixel")
    assert part["image"].values.tolist() == ["baby", "bird", "butterfly", "head", "woman"]
    assert part.attrs["kind"] == "prediction"
    assert (part.attrs["dataset"], part.attrs["model"], part.attrs["bits"]) == ("set5", "IMDN", 8)
    for name in part["image"].values:
        file = data / f"images/sr_x4/set5/pred/IMDN/{name}.png"
        np.testing.assert_array_equal(reading.Part(path).image(name), image_files.read(str(file)))


def test_the_lut_opens_in_xarray(published: Run):
    lut = xr.open_dataset(published.folder / "results/luts/sr_x4/ensir.lut")
    assert lut["weights"].dims == ("cell", "model")
    assert lut["model"].values.tolist() == ["IMDN", "MobileSR", "CRAFT"]
    np.testing.assert_allclose(lut["weights"].sum("model"), 1, atol=1e-6)
    assert (lut["expected_squared_error"] >= 0).all()
    assert lut["image"].size == 12


def test_everything_is_verified(published: Run):
    results = published.folder / "results"
    verified = {one.result: one.problems for one in verification.verify(results, Layout(str(results)))}
    kinds = {path.relative_to(results).parts[0] for path in verified}
    stores = {"datasets", "predictions", "statistics", "weights", "luts", "fused"}
    assert kinds >= stores | {"scores", "scores.csv", "tables", "report.html", "provenance.json"}
    assert not any(verified.values())


def test_png_files_and_depth(fresh: Run):
    """The same images with 16 bits give the same results; PNG files are the rounded fused images.

    Images of one channel, and a reference of one image.
    """
    write_dataset(fresh.folder, "test", ["sub/t4"], {"a": 6, "b": 9})
    for file in fresh.folder.glob("ref/**/r[23].png"):
        file.unlink()
    for name in ("ref", "test"):
        for file in (fresh.folder / name).glob("**/*.png"):
            wide = fresh.folder / f"{name}16" / file.relative_to(fresh.folder / name)
            grey = image_files.read(str(file))[..., :1]
            image_files.write(file, grey)
            image_files.write(wide, grey.astype(np.uint16) * 257)
    names = ("ref", "test", "ref16", "test16")
    fresh.config = {
        "datasets": {name: {"kind": "folder", "target": f"{name}/gt/**/*.png"} for name in names},
        "models": {m: {"kind": "folder", "path": f"{{dataset}}/pred/{m}/**/*.png"} for m in ("a", "b")},
        "experiments": {
            f"bits{bits}": {
                "models": ["a", "b"],
                "reference": reference,
                "tests": [test],
                "methods": {"ensir": {"bin_width": 64}},
                "png": True,
            }
            for bits, reference, test in ((8, "ref", "test"), (16, "ref16", "test16"))
        },
    }
    fresh.run()
    fused = {}
    for bits, test in ((8, "test"), (16, "test16")):
        folder = fresh.folder / f"results/images/bits{bits}/{test}/ensir"
        names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
        assert names == ["sub/t4.png", "t1.png", "t2.png", "t3.png"]
        (path,) = (fresh.folder / f"results/fused/bits{bits}/{test}/ensir.zarr").glob("[0-9a-f]*")
        part = reading.Part(path)
        assert part.dtype == np.float32
        fused[bits] = {name: part.image(name) for name in part.names}
        for name, image in fused[bits].items():
            written = image_files.read(str(folder / f"{name}.png"))
            assert written.dtype == (np.uint8 if bits == 8 else np.uint16)
            np.testing.assert_array_equal(written, np.clip(np.rint(image), 0, 2**bits - 1))
    for name, image in fused[8].items():
        np.testing.assert_allclose(fused[16][name] / 257, image, rtol=0, atol=0.01)
    scores = {8: {}, 16: {}}
    with open(fresh.folder / "results/scores.csv", newline="") as file:
        for row in csv.DictReader(file):
            key = row["method"], row["image"], row["metric"]
            if "seconds" not in row["metric"]:
                scores[int(row["experiment"].removeprefix("bits"))][key] = float(row["value"])
    assert len(scores[8]) == 3 * 4 * 2
    assert scores[16] == pytest.approx(scores[8], abs=5e-4)  # fused images are stored within 0.01 levels
    assert fresh.planned() == []


@pytest.mark.slow
def test_a_damaged_chunk_stops_the_run(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    chunk = next((run.folder / "results/predictions/test/a.zarr").glob("*/value/c/0/0"))
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    written = chunk.stat().st_mtime_ns
    chunk.write_bytes(content)
    os.utime(chunk, ns=(written, written))  # with a new date, it would be made again
    shutil.rmtree(run.folder / "results/fused")
    output = run.run(ok=False)
    assert "value: chunk 0 is damaged" in output
    assert "Traceback" not in output


def test_snakemake_report(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    run.run("--report", "results/workflow-report.html")
    assert not any(
        found.problems
        for found in verification.verify(run.folder / "results", Layout(str(run.folder / "results")))
    )
    page = (run.folder / "results/workflow-report.html").read_text()
    assert "one value per row; base models appear as methods" in page  # a caption
    assert "summary.csv" in page
