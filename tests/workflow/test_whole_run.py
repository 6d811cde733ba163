"""Whole runs: the published predictions give the known numbers; stores, PNG files and tables are what they say."""

from __future__ import annotations

import csv
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from conftest import Run, write_dataset

from ensir.images import image_files
from ensir.storage import digests, reading
from ensir.storage.layout import Layout


def means(run: Run) -> dict[tuple[str, str], float]:
    with open(run.folder / "results/summary.csv", newline="") as file:
        return {(row["method"], row["metric"]): float(row["mean"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def published(data: Path, tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Run:
    """The shipped experiment for folders, on real predictions of three ×4 super-resolution networks."""
    run = Run(tmp_path_factory.mktemp("published"), repository)
    shutil.copy(repository / "config/folders.yaml", run.config_file)
    run.run(ROOT=str(data / "images/sr_x4"))
    return run


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
    verified = dict(digests.verify(results, Layout(str(results))))
    kinds = {path.relative_to(results).parts[0] for path in verified}
    assert kinds == {"datasets", "predictions", "statistics", "weights", "luts", "fused"}
    assert not any(verified.values())


@pytest.mark.parametrize("bits", [8, pytest.param(16, marks=pytest.mark.slow)])
def test_png_files_and_depth(fresh: Run, bits: int):
    """The same images with 16 bits give the same scores; PNG files are the rounded fused images."""
    config = fresh.config
    config["experiments"]["one"]["png"] = True
    config["experiments"]["one"]["models"] = ["a", "b"]
    fresh.config = config
    write_dataset(fresh.folder, "test", ["sub/t4"], {"a": 6, "b": 9})
    if bits == 16:
        for file in fresh.folder.glob("*/**/*.png"):
            image_files.write(file, image_files.read(str(file)).astype(np.uint16) * 257)
    text = (
        fresh.config_file.read_text()
        .replace("test/gt/*", "test/gt/**/*")
        .replace("test/lq/*", "test/lq/**/*")
    )
    fresh.config_file.write_text(text.replace("pred/a/*", "pred/a/**/*").replace("pred/b/*", "pred/b/**/*"))
    fresh.run()
    folder = fresh.folder / "results/images/one/test/ensir"
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
    assert names == ["sub/t4.png", "t1.png", "t2.png", "t3.png"]
    fused = fresh.folder / "results/fused/one/test/ensir.zarr"
    for path in fused.glob("[0-9a-f]*"):
        part = reading.Part(path)
        assert part.dtype == np.float32
        for name in part.names:
            written = image_files.read(str(folder / f"{name}.png"))
            assert written.dtype == (np.uint8 if bits == 8 else np.uint16)
            np.testing.assert_array_equal(written, np.clip(np.rint(part.image(name)), 0, 2**bits - 1))
    assert means(fresh)["ensir", "psnr"] == pytest.approx(
        EIGHT_BIT.setdefault("psnr", means(fresh)["ensir", "psnr"]), abs=1e-4
    )
    assert fresh.planned() == []


EIGHT_BIT: dict[str, float] = {}


@pytest.mark.slow
def test_a_damaged_chunk_stops_the_run(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    chunk = next((run.folder / "results/predictions/test/a.zarr").glob("*/value/c/0/0"))
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    shutil.rmtree(run.folder / "results/fused")
    output = run.run(ok=False)
    assert "value: chunk 0 is damaged" in output
    assert "Traceback" not in output


def test_snakemake_report(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    run.run("--report", "results/workflow-report.html")
    page = (run.folder / "results/workflow-report.html").read_text()
    assert "one value per row; base models appear as methods" in page  # a caption
    assert "summary.csv" in page
