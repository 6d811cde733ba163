"""Test sets without targets: stored, predicted, fused, exported; not scored."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from examples import silent
from typer.testing import CliRunner

from ensir.cli import app
from ensir.config import reading as configurations
from ensir.errors import InputError
from ensir.images import image_files
from ensir.planning.jobs import jobs
from ensir.planning.overlap import shared_images
from ensir.planning.plan import Plan
from ensir.planning.reads import Reads
from ensir.report import findings, tables
from ensir.scoring.scores import Scores
from ensir.stages.adopt import find
from ensir.stages.fuse import fuse
from ensir.stages.ingest import ingest
from ensir.stages.predict import predict
from ensir.stages.seal import seal
from ensir.stages.tables import sheets
from ensir.storage.reading import Part
from ensir.storage.shared import SharedStore

NAMES = {"ref": ["r1", "r2"], "hidden": ["a/1", "b/2"]}
CONFIG: dict[str, Any] = {
    "datasets": {
        "ref": {"kind": "folder", "target": "ref/gt/*.png", "input": "ref/lq/*.png", "scale": 2},
        "hidden": {"kind": "folder", "input": "in/{scene}/x2_{frame}.png", "scale": 2},
    },
    "models": {
        "one": {"kind": "folder", "path": "{dataset}/one/**/*.png"},
        "two": {"kind": "folder", "path": "{dataset}/two/**/*.png"},
        "big": {"kind": "classical", "algorithm": "nearest"},
    },
    "experiments": {
        "mine": {
            "models": ["one", "two", "big"],
            "reference": "ref",
            "tests": ["hidden"],
            "methods": {"average": {}, "ensir": {"bin_width": 64}},
        }
    },
}
DASK = {"scheduler": "threads", "workers": 1, "cores": 1}


def write(path: Path, height: int, width: int) -> None:
    random = np.random.default_rng([*path.as_posix().encode()])
    image_files.write(path, random.integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """A reference with targets, a test set of inputs, predictions for both."""
    monkeypatch.chdir(tmp_path)
    for dataset, names in NAMES.items():
        for name in names:
            for model in ("one", "two", *(["gt"] if dataset == "ref" else [])):
                write(Path(dataset, model, f"{name}.png"), 16, 20)
            scene, _, frame = name.rpartition("/")
            low = Path("in", scene, f"x2_{frame}.png") if scene else Path("ref/lq", f"{name}.png")
            write(low, 8, 10)
    Path("mine.yaml").write_text(yaml.safe_dump(CONFIG))
    plan = Plan(configurations.load("mine.yaml"))
    plan.check()
    return plan


def stored(plan: Plan, dataset: str) -> str:
    """Ingest, predict, seal; return the only part of a dataset."""
    layout, reads = plan.layout, Reads(plan)
    (part,) = plan.parts(dataset)
    sources, settings = reads.ingest(dataset, part).sources, plan.config.datasets[dataset].traced
    ours = layout.part(layout.dataset(dataset), part)
    place, names = layout.place(ours), plan.parts(dataset)[part]
    ingest(place, dataset, names, settings, sources["targets"], sources["inputs"], None, silent)
    stores = [layout.dataset(dataset)]
    for model, section in plan.config.models.items():
        stores.append(layout.predictions(dataset, model))
        made, files = layout.part(stores[-1], part), reads.predict(dataset, model, part).sources["files"]
        predict(layout.place(made), ours, layout.digest(ours), model, section.traced, files, None, silent)
    for store in stores:
        seal(layout.place(layout.seal(store)), store, [part], layout)
    return ours


def run(plan: Plan) -> str:
    """Ingest, predict, seal, fuse by the average; return the only part of the test set."""
    layout, dataset, models = plan.layout, "hidden", list(plan.config.models)
    ours, (part,) = stored(plan, dataset), plan.parts(dataset)
    predicted = [layout.part(layout.predictions(dataset, model), part) for model in models]
    average = layout.fused("mine", dataset, "average")
    method = plan.config.experiments["mine"].methods["average"].traced
    place = layout.place(layout.part(average, part))
    fuse(place, "average", method, None, ours, models, predicted, [], False, DASK, silent, pointwise=True)
    seal(layout.place(layout.seal(average)), average, [part], layout)
    return ours


def test_there_is_everything_but_scores(plan: Plan):
    part = Part(run(plan))
    assert (part.has_targets, part.shapes, part.bits, part.dtype) == (False, [(16, 20, 3)] * 2, 8, np.uint8)
    assert "value" not in part.group
    np.testing.assert_array_equal(part.input(1), image_files.read("in/b/x2_2.png"))
    results = [result for job in jobs(Reads(plan)) for result in job.results]
    assert [result for result in results if "/fused/" in result]
    assert not [result for result in results if "/scores/" in result]


def test_an_archive_is_named_as_the_inputs_and_has_the_same_bytes_again(plan: Plan):
    run(plan)
    asked = ["export", "mine.yaml", "--method", "average", "--zip"]
    for file in ("one.zip", "two.zip"):
        done = CliRunner().invoke(app, [*asked, file])
        assert (done.exit_code, done.stdout) == (
            0, f"wrote 2 images of hidden, made by average, to {file}\n",
        )  # fmt: skip
    assert Path("one.zip").read_bytes() == Path("two.zip").read_bytes()
    with zipfile.ZipFile("one.zip") as archive:
        assert archive.namelist() == ["a/x2_1.png", "b/x2_2.png"]
        Path("shown.png").write_bytes(io.BytesIO(archive.read("b/x2_2.png")).getvalue())
    low = image_files.read("in/b/x2_2.png").repeat(2, axis=0).repeat(2, axis=1)
    read = [image_files.read(f"hidden/{model}/b/2.png").astype(float) for model in ("one", "two")]
    expected = np.mean([*read, low], axis=0)
    assert np.abs(image_files.read("shown.png") - expected).max() <= 0.51
    for option, fix in (
        (["--method", "ensir"], "results/fused/mine/hidden/ensir.zarr: is not complete"),
        (["--method", "avg"], "--method: experiment mine has no 'avg'"),
        ([], "--method: experiment mine has average, ensir; name one of them"),
    ):
        done = CliRunner().invoke(app, ["export", "mine.yaml", *option, "--zip", "three.zip"])
        assert done.exit_code == 2
        assert fix in done.stderr


def test_predictions_are_adopted_by_their_inputs(plan: Plan):
    part = Part(run(plan))
    shared = SharedStore(plan.layout.predictions("hidden", "one"))
    assert [image.position for image in find(part, shared)] == [0, 1]
    other = shared.images["b/2"]._replace(input="0" * 64)
    shared.images["b/2"] = other
    with pytest.raises(InputError, match="made with another input for image 'b/2'"):
        find(part, shared)
    shared.images["b/2"] = other._replace(input="")
    with pytest.raises(InputError, match="made with another input for image 'b/2'"):
        find(part, shared)


def test_images_of_the_reference_are_found_by_their_inputs(plan: Plan):
    assert list(shared_images(plan)) == []
    Path("in/b/x2_2.png").write_bytes(Path("ref/lq/r2.png").read_bytes())
    (line,) = shared_images(Plan(plan.config))
    assert "image 'b/2' of hidden and image 'r2' of the reference ref have one content" in line


def test_tables_have_no_place_for_it(plan: Plan):
    experiment = Reads(plan).experiments()["mine"] | {"tests": ["hidden", "scored"]}
    times = {("mine", "hidden", "average", "seconds"): {"a/1": 1.0}}
    none = Scores({}, times)
    assert tables.results("mine", experiment, none, {}).groups == []
    assert list(sheets("mine", experiment, none)) == []
    rows = [*experiment["models"], *experiment["methods"]]
    values = {("mine", "scored", row, "psnr"): {"x": 30.0} for row in rows}
    some = Scores({key: 30.0 for key in values}, times | values)
    assert [group for group, _ in tables.results("mine", experiment, some, {}).groups] == ["scored"]
    hidden, _ = findings.of_experiment("mine", experiment, some)
    assert (hidden.scored, hidden.sentences) == (False, "No targets: the images are fused, and not scored.")
    compared = next(sheets("mine", experiment, some))
    assert {record[1] for record in compared.records} == {"scored"}


def test_all_of_a_configuration_is_published_with_a_licence(plan: Plan, tmp_path: Path):
    command = ["publish", "mine.yaml", "shared"]
    lines = CliRunner().invoke(app, command).stderr.splitlines()
    for line in (
        "datasets.ref.licence: is missing; say under which licence its images, and predictions for them, may be shared",
        "results/datasets/hidden.zarr: is not complete; run the configuration to its end first",
        "results/predictions/hidden/two.zarr: is not complete; run the configuration to its end first",
    ):
        assert line in [found.removeprefix("error: ") for found in lines]
    config = {
        **CONFIG,
        "datasets": {name: {**one, "licence": "CC0"} for name, one in CONFIG["datasets"].items()},
    }
    measured = {"psnr": {}, "own": {"function": "own:measure", "higher_is_better": True}}
    experiment = {
        **CONFIG["experiments"]["mine"],
        "sweep": {"bin_width": [32]},
        "score": {"metrics": measured},
    }
    config["experiments"] = {"mine": experiment}
    Path("mine.yaml").write_text(yaml.safe_dump(config))
    for dataset in config["datasets"]:
        stored(plan, dataset)
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, done.stderr.count("objects uploaded")) == (0, 8)
    assert "# experiments.mine.score.metrics.own also needs own:measure\n" in done.stdout
    shutil.rmtree("in")
    theirs = Plan(configurations.parse({**yaml.safe_load(done.stdout), "results": "theirs"}, "their.yaml"))
    theirs.check()
    assert [*theirs.scored("mine"), *theirs.config.experiments["mine"].tests] == ["hidden"]
    assert list(theirs.config.experiments["mine"].methods) == ["average", "ensir", "ensir_b32"]
    for dataset in config["datasets"]:
        assert list(theirs.targets(dataset)) == NAMES[dataset]
        section = theirs.config.datasets[dataset]
        assert (section.licence, section.path) == ("CC0", f"{tmp_path}/shared/{dataset}.zarr")
        for model in config["models"]:
            shared = theirs.shared(dataset, model)
            (part,) = plan.parts(dataset)
            ours = Part(plan.layout.part(plan.layout.dataset(dataset), part))
            assert len(find(ours, SharedStore(shared["location"], shared["digest"]))) == 2
