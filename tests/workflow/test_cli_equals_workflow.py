"""`ensir fit`, `fuse` and `score` on folders give the numbers of the workflow."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from examples import as_stored
from typer.testing import CliRunner

import ensir as ensir_library
from ensir.cells import lut
from ensir.cli import app
from ensir.images import image_files
from ensir.images.depth import to_integers
from ensir.storage.layout import Layout
from ensir.storage.reading import Part

MODELS = ("a", "b", "f")


def ensir(*arguments: object) -> None:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, (result.output, result.exception)


def parts(store: str) -> list[Part]:
    return [Part(path.parent) for path in sorted(Path(store).glob("*/zarr.json"))]


@pytest.fixture(scope="module")
def predictions(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of what the models predicted, the function among them."""
    root = tmp_path_factory.mktemp("predictions")
    layout = Layout(str(finished.folder / "results"))
    for dataset in ("ref", "test"):
        for model in MODELS:
            for part in parts(layout.predictions(dataset, model)):
                for name in part.names:
                    image_files.write(root / dataset / model / f"{name}.png", part.image(name))
    return root


def given(folder: Path, *models: str) -> list[str]:
    return [word for model in models for word in ("--prediction", f"{model}={folder / model}")]


def test_fit_and_fuse(finished: Run, predictions: Path, tmp_path: Path):
    target = finished.folder / "ref/gt"
    path = tmp_path / "x.lut"
    ensir("fit", "--target", target, *given(predictions / "ref", *MODELS), "--bin-width", 64, "-o", path)
    layout = Layout(str(finished.folder / "results"))
    found, expected = lut.load(str(path)), lut.load(layout.lut("one", "ensir"))
    for column in ("key", "channel", "count", "weights", "iterations", "status", "expected_squared_error"):
        np.testing.assert_array_equal(getattr(found, column), getattr(expected, column))
    assert found.reference_digests == expected.reference_digests
    assert found.prediction_digests == expected.prediction_digests
    assert len(found.prediction_digests) == len(MODELS)
    for name in ("model_digests", "options", "held_out"):
        np.testing.assert_array_equal(found.attributes[name], expected.attributes[name])

    ensir("fuse", "--lut", path, *given(predictions / "test", *reversed(MODELS)), "-o", tmp_path / "fused")
    for part in parts(layout.fused("one", "test", "ensir")):
        for name in part.names:
            fused = image_files.read(str(tmp_path / f"fused/{name}.png"))
            np.testing.assert_array_equal(fused, to_integers(part.image(name), np.uint8, name))


def test_arrays_give_the_same(finished: Run):
    """The functions of `ensir`, on a generator."""
    layout = Layout(str(finished.folder / "results"))
    targets = parts(layout.dataset("ref"))
    names = [name for part in targets for name in part.names]
    stores = [parts(layout.predictions("ref", model)) for model in MODELS]

    def images() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for target, *predicted in zip(targets, *stores, strict=True):
            for i in range(len(target.names)):
                yield np.stack([part.planes(i) for part in predicted]), target.planes(i)

    table = ensir_library.fit(images(), models=MODELS, names=names, bin_width=64, reference="ref").table
    expected = lut.load(layout.lut("one", "ensir"))
    for column in ("key", "channel", "count", "weights", "iterations", "status", "expected_squared_error"):
        np.testing.assert_array_equal(getattr(table, column), getattr(expected, column))
    for name in ("reference_images", "reference_digests", "prediction_digests"):
        assert getattr(table, name) == getattr(expected, name)
    for name in ("options", "settled", "held_out", "reference", "model_digests"):
        np.testing.assert_array_equal(table.attributes[name], expected.attributes[name])
    whole = lut.LutMethod({}, expected)
    for fused, *predicted in zip(
        parts(layout.fused("one", "test", "ensir")),
        *(parts(layout.predictions("test", model)) for model in MODELS),
        strict=True,
    ):
        x = [np.stack([part.planes(i) for part in predicted]) for i in range(len(fused.names))]
        for i, found in enumerate(ensir_library.fuse(x, layout.lut("one", "ensir"))):
            np.testing.assert_array_equal(found, whole.fuse(x[i]))
            np.testing.assert_array_equal(as_stored(found.reshape(len(found), -1), 8), fused.rows(i))


def test_score(finished: Run, predictions: Path, tmp_path: Path):
    target = finished.folder / "test/gt"
    ensir("score", "--target", target, *given(predictions / "test", *MODELS), "-o", tmp_path / "scores.csv")
    with open(finished.folder / "results/scores.csv", newline="") as file:
        expected = {
            (row["method"], row["image"], row["metric"]): row["value"]
            for row in csv.DictReader(file)
            if row["method"] in MODELS
        }
    with open(tmp_path / "scores.csv", newline="") as file:
        found = {(row["method"], row["image"], row["metric"]): row["value"] for row in csv.DictReader(file)}
    assert found == expected


def test_the_estimate_counts_the_jobs(fresh: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(fresh.folder)
    monkeypatch.syspath_prepend(fresh.folder)
    raw = fresh.config
    raw["experiments"]["one"]["methods"] |= {"least_squares": {}, "hgbt": {"samples": 500}}
    fresh.config = raw
    checked = CliRunner().invoke(app, ["check", "--json", "config.yaml"])
    (found,) = json.loads(checked.stdout)
    assert found["estimate"]["jobs"] == len(fresh.planned())
    assert sorted(found["estimate"]["untimed"]) == ["f", "hgbt"]
