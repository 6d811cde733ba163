"""Shared stores of models are asked for their roots before a run: all that these tell to be wrong is told at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from ensir.cli import app
from ensir.config import reading as configurations
from ensir.images import image_files
from ensir.planning.plan import Plan, assign
from ensir.planning.shared_models import problems
from ensir.stages.seal import seal
from ensir.storage import writing
from ensir.storage.layout import Layout
from ensir.storage.shared import SharedStore

NAMES = {"ref": ["a", "b"], "test": ["c", "d"]}
FACTS = {
    "bits": 8,
    "value_range": [0, 255],
    "scale": 1,
    "degradation": None,
    "licence": None,
    "citation": None,
}


def publish(kind: str, dataset: str, model: str) -> None:
    """Write the sealed store of what a model made of a dataset, or of the dataset."""
    layout = Layout("publisher")
    store = layout.predictions(dataset, model) if kind == "prediction" else layout.dataset(dataset)
    parts = assign(NAMES[dataset], 2, [store])
    for part, names in parts.items():
        attributes = {"kind": kind, "dataset": dataset, "model": model, "images": names, **FACTS}
        if kind == "prediction":
            attributes["target_digests"] = ["0" * 64] * len(names)
        with writing.new_group(layout.place(layout.part(store, part)), attributes) as group:
            writer = writing.ImageWriter(group, names, [(4, 4, 3)] * 2, np.uint8)
            for _ in names:
                writer.append(np.zeros((3, 16), np.uint8))
            writer.close()
    seal(layout.place(layout.seal(store)), store, list(parts), layout)
    shutil.copytree(store, f"web/{dataset}/{model}.zarr")


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Path], str]) -> dict[str, Any]:
    """A configuration whose predictions are at URLs, and all is right."""
    monkeypatch.chdir(tmp_path)
    for dataset, names in NAMES.items():
        for name in names:
            image_files.write(Path(dataset, f"{name}.png"), np.full((16, 16, 3), ord(name), np.uint8))
        for model in ("IMDN", "CRAFT"):
            publish("prediction", dataset, model)
    publish("dataset", "ref", "targets")
    url = serve(tmp_path / "web")
    models = {
        model: {
            "kind": "store",
            "path": f"{url}/{{dataset}}/{model}.zarr",
            "digests": {dataset: SharedStore(f"web/{dataset}/{model}.zarr").digest for dataset in NAMES},
        }
        for model in ("IMDN", "CRAFT")
    }
    mine = {"models": ["IMDN", "CRAFT"], "reference": "ref", "tests": ["test"], "methods": {"average": {}}}
    datasets = {name: {"kind": "folder", "target": f"{name}/*.png"} for name in NAMES}
    return {"datasets": datasets, "models": models, "experiments": {"mine": mine}}


def check(config: dict[str, Any], code: int) -> list[str]:
    """Return the lines that `ensir check` prints."""
    Path("theirs.yaml").write_text(yaml.safe_dump(config))
    told = CliRunner().invoke(app, ["check", "theirs.yaml"], catch_exceptions=False)
    assert told.exit_code == code, told.output
    return told.output.replace("\ntheirs.yaml: ", "\n").splitlines()


def test_what_is_right(theirs: dict[str, Any], caplog: pytest.LogCaptureFixture):
    assert any("shared: ref, test" in line for line in check(theirs, 0))
    assert not caplog.records


def test_all_mistakes_are_told_at_once(theirs: dict[str, Any]):
    one, other = theirs["models"].values()
    url = one["path"].partition("/{dataset}")[0]
    one["digests"]["test"] = "0" * 64
    other |= {"path": f"{url}/{{dataset}}/NOPE.zarr"}
    lines = check(theirs, 2)
    assert len([line for line in lines if line.startswith("models.")]) == 3
    for wanted in (
        f"models.IMDN.path: {url}/test/IMDN.zarr: is another store than the configuration names",
        f"models.CRAFT.path: {url}/ref/NOPE.zarr: no store, or one that is not complete",
        f"models.CRAFT.path: {url}/test/NOPE.zarr: no store",
    ):
        assert any(line.startswith(wanted) for line in lines), lines


def test_the_store_of_another_dataset_or_model(theirs: dict[str, Any], caplog: pytest.LogCaptureFixture):
    shutil.copytree("web/ref/IMDN.zarr", "swapped/test.zarr")
    shutil.copytree("web/ref/targets.zarr", "swapped/ref.zarr")
    theirs["models"]["IMDN"] = {"kind": "store", "path": "swapped/{dataset}.zarr"}
    lines = check(theirs, 2)
    assert any("swapped/ref.zarr: holds 'dataset', not predictions" in line for line in lines)
    assert any("'test': has no prediction for images 'c', 'd'; fix the path" in line for line in lines)
    theirs["models"]["IMDN"] = {"kind": "store", "path": "web/{dataset}/CRAFT.zarr"}
    check(theirs, 0)
    assert {record.getMessage() for record in caplog.records} == {
        f"models.IMDN.path: web/{dataset}/CRAFT.zarr holds what its publisher calls CRAFT, and CRAFT is another of "
        "your models: is it the right store?"
        for dataset in NAMES
    }


def test_predictions_for_other_targets_than_those_of_a_shared_dataset(theirs: dict[str, Any]):
    theirs["datasets"]["ref"] = {"kind": "store", "path": "web/ref/targets.zarr"}
    lines = [line for line in check(theirs, 2) if line.startswith("models.")]
    assert len(lines) == 2
    assert all("was made with another target for images 'a', 'b'" in line for line in lines)


def test_predictions_of_another_depth(theirs: dict[str, Any]):
    for name in NAMES["ref"]:
        image_files.write(Path("ref", f"{name}.png"), np.full((16, 16, 3), 40_000 + ord(name), np.uint16))
    lines = [line for line in check(theirs, 2) if line.startswith("models.")]
    assert [line.partition(": ")[0] for line in lines] == ["models.CRAFT.path", "models.IMDN.path"]
    told = "for dataset 'ref': has other channels or another depth than the targets; use the publisher's"
    assert all(line.endswith(told) for line in lines)


def test_what_is_adopted_is_not_asked_for_again(theirs: dict[str, Any]):
    for section in theirs["models"].values():
        section["path"] = "http://127.0.0.1:9/{dataset}/x.zarr"  # nothing listens there
    Path("theirs.yaml").write_text(yaml.safe_dump(theirs))
    plan = Plan(configurations.load("theirs.yaml"))
    for dataset in NAMES:
        for part in plan.parts(dataset):
            place = plan.layout.part(plan.layout.predictions(dataset, "IMDN"), part)
            with writing.new_group(plan.layout.place(place), {"images": NAMES[dataset]}):
                pass
    assert [line.partition(":")[0] for line in problems(plan)] == ["models.CRAFT.path"] * 2
