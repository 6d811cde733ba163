"""`ensir select`: which models are worth running."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from examples import NAMES, pixels, silent
from typer.testing import CliRunner

from ensir.cells import statistics
from ensir.cells.counting import count
from ensir.cli import app
from ensir.stages.estimate import estimate
from ensir.stages.merge import merge
from ensir.stages.select import select
from ensir.storage.layout import Layout

SETTINGS = {"kind": "least_squares", "bin_width": 64, "channels": "joint", "strength": "auto"}


def ensir(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "160"})
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """Statistics, a LUT of least squares and what the workflow says of its models."""
    layout = Layout(str(tmp_path_factory.mktemp("run") / "results"))
    images = [count(*pixels(seed, size=400), NAMES[:3], 64, seed) for seed in range(4)]
    path, weights = layout.statistics("one", "bins"), layout.weights("one", "least_squares", 0)
    texts = {"image": list("wxyz"), "digest": list("wxyz")}
    attributes = {"reference": "ref", "model_digests": "", "versions": {}}
    statistics.save(statistics.total(images), layout.place(path), attributes, texts)
    estimate(layout.place(weights), path, SETTINGS, 0, 1, "cpu", silent)
    merge(layout.place(layout.lut("one", "least_squares")), "least_squares", SETTINGS, path, [weights])
    asked = {
        "settings": SETTINGS,
        "statistics": ("ensir.cells.bins", path),
        "predictions": dict.fromkeys("abc", ()),
    }
    asked |= {"given": {}, "folder": layout.selection("one", "least_squares")}
    select(layout, [asked], 1, silent)
    return layout


def test_a_lut_and_the_run_say_the_same(run: Layout, tmp_path: Path):
    of_run = ensir("select", run.root).output
    assert "one/least_squares: PSNR of 4 reference images, each held out in turn" in of_run
    assert "a + b + c" in of_run
    of_lut = ensir("select", run.lut("one", "least_squares"), "--csv", tmp_path / "tables").output
    assert of_lut.startswith(of_run)
    for name in ("subsets", "gains", "images"):
        written = (tmp_path / f"tables/{name}.csv").read_text()
        assert written == Path(run.selection("one", "least_squares"), f"{name}.csv").read_text()
    with open(tmp_path / "tables/subsets.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2**3 - 1


def test_what_is_missing_is_named(run: Layout, tmp_path: Path):
    lut = shutil.copy(run.lut("one", "least_squares"), tmp_path / "mine.lut")
    assert "lies in no results folder, and holds no statistics itself" in ensir("select", lut, code=2).output
    assert "holds no selection of models" in ensir("select", tmp_path, code=2).output
    assert "no such file" in ensir("select", tmp_path / "other.lut", code=2).output
    moved = Layout(str(tmp_path / "results"))
    shutil.copytree(Path(run.root, "luts"), Path(moved.root, "luts"))
    shutil.copytree(Path(run.root, "digests"), Path(moved.root, "digests"))
    told = ensir("select", moved.lut("one", "least_squares"), code=2).output
    assert f"{moved.statistics('one', 'bins')}: is missing" in told
