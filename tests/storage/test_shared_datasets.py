"""Shared datasets: planned from the root of a store, copied to the bit, and refused where they are not what they were."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import chdir
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
from ensir.planning.check import check
from ensir.planning.headers import Headers
from ensir.planning.memory import Memory
from ensir.planning.overlap import shared_images
from ensir.planning.plan import Plan
from ensir.stages.adopt_dataset import adopt_dataset
from ensir.stages.ingest import ingest
from ensir.stages.seal import seal
from ensir.storage import verification
from ensir.storage.layout import Layout
from ensir.storage.reading import Part
from ensir.storage.upload import upload

NAMES = {"ref": ["r1", "r2"], "test": ["a/1", "a/2", "b", "c", "d"], "hidden": ["h"]}
SIZES = {"b": (24, 28)}
CONFIG: dict[str, Any] = {
    "datasets": {
        "ref": {"kind": "folder", "target": "ref/gt/*.png", "input": "ref/lq/*.png", "scale": 2},
        "test": {
            "kind": "folder",
            "target": "test/gt/**/*.png",
            "degradation": {"kind": "downscale", "scale": 2},
        },
        "hidden": {"kind": "folder", "input": "hidden/lq/*.png", "scale": 2},
    },
    "models": {
        "one": {"kind": "folder", "path": "{dataset}/one/**/*.png"},
        "big": {"kind": "classical", "algorithm": "bicubic"},
    },
    "experiments": {
        "mine": {
            "models": ["one", "big"],
            "reference": "ref",
            "tests": ["test", "hidden"],
            "methods": {"average": {}, "refesr": {}},
        }
    },
}
LICENCES = {"ref": "CC0-1.0", "test": "CC-BY-4.0", "hidden": "CC0-1.0"}


def write(path: Path, height: int, width: int) -> None:
    random = np.random.default_rng([*path.as_posix().encode()])
    image_files.write(path, random.integers(0, 256, (height, width, 3), np.uint8))


def make(plan: Plan, dataset: str) -> str:
    """Ingest and seal a dataset, as the rules do."""
    layout, store = plan.layout, plan.layout.dataset(dataset)
    settings = plan.config.datasets[dataset].model_dump(mode="json")
    for part, names in plan.parts(dataset).items():
        files = [plan.files(listed(dataset), dataset, part) for listed in (plan.targets, plan.inputs)]
        ingest(layout.place(layout.part(store, part)), dataset, names, settings, *files, None, silent)
    seal(layout.place(layout.seal(store)), store, list(plan.parts(dataset)), layout)
    return store


def adopt(plan: Plan, dataset: str) -> list[Part]:
    """Copy and seal a shared dataset, as the rules do."""
    layout, store, section = plan.layout, plan.layout.dataset(dataset), plan.config.datasets[dataset]
    paths = [layout.part(store, part) for part in plan.parts(dataset)]
    for path, names in zip(paths, plan.parts(dataset).values(), strict=True):
        shared = section.shared(f"datasets.{dataset}")
        adopt_dataset(layout.place(path), dataset, names, plan.ingested(dataset), **shared, progress=silent)
    seal(layout.place(layout.seal(store)), store, list(plan.parts(dataset)), layout, section.digest)
    return [Part(path) for path in paths]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("publisher"))


def publish(folder: Path) -> Path:
    """Fill a publisher's folder: images, predictions, datasets in parts of two, and a copy of the stores at `web`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for dataset, names in NAMES.items():
            for name in names:
                height, width = SIZES.get(name, (16, 20))
                write(Path(dataset, "gt", f"{name}.png"), height, width)
                write(Path(dataset, "lq", f"{name}.png"), height // 2, width // 2)
                write(Path(dataset, "one", f"{name}.png"), height, width)
        datasets = {
            name: {**section, "images_per_part": 2, "licence": LICENCES[name]}
            for name, section in CONFIG["datasets"].items()
        }
        Path("mine.yaml").write_text(yaml.safe_dump({**CONFIG, "datasets": datasets}))
        plan = Plan(configurations.load("mine.yaml"))
        for dataset in NAMES:
            upload(make(plan, dataset), str(folder / f"web/{dataset}.zarr"), silent)
    return folder


def shared(made: Path, web: str | Path | None = None, results: str = "results", **changes: Any) -> Plan:
    """Return the plan of the other side: datasets in stores, predictions of model `one` in files."""
    web = web or made / "web"
    datasets = {}
    for name in NAMES:
        digest = digest_of(made / f"web/{name}.zarr")
        datasets[name] = {
            "kind": "store",
            "path": f"{web}/{{dataset}}.zarr",
            "digest": digest,
            **changes.get(name, {}),
        }
    one = {"kind": "folder", "path": f"{made}/{{dataset}}/one/**/*.png"}
    raw = {**CONFIG, "datasets": datasets, "models": {**CONFIG["models"], "one": one}, "results": results}
    Path("theirs.yaml").write_text(yaml.safe_dump(raw))
    return Plan(configurations.load("theirs.yaml"))


def digest_of(store: Path) -> str:
    return hashlib.sha256((store / "zarr.json").read_bytes()).hexdigest()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_plan_knows_all_that_files_would_tell(made: Path, monkeypatch: pytest.MonkeyPatch):
    plan = shared(made)
    assert plan.problems() == []
    assert {name: list(plan.targets(name)) for name in NAMES} == NAMES
    assert [plan.has_targets(name) for name in NAMES] == [True, True, False]
    assert [plan.input_scale(name) for name in NAMES] == [2, 2, 2]
    assert all(map(plan.has_inputs, NAMES))
    headers = check("theirs.yaml").headers
    assert headers.sizes["test"] == {(16, 20), (24, 28)}
    assert Memory(plan).largest("test", *plan.parts("test")) == (24 * 28 * 3 / 1e6, 1)
    monkeypatch.chdir(made)
    ours = Headers(Plan(configurations.load("mine.yaml")))
    assert list(ours.problems()) == []
    assert headers.values == ours.values
    assert plan.parts("test") != ours.plan.parts("test")  # 16 images to a part


@pytest.mark.parametrize(("kind", "per_part"), [("path", 2), ("http", 3), ("s3", 3)])
def test_images_are_copied_to_the_bit(made: Path, bucket: str, serve: Callable, kind: str, per_part: int):
    if kind == "s3":
        for name in NAMES:
            upload(str(made / f"results/datasets/{name}.zarr"), f"{bucket}/{name}.zarr", silent)
    web = {"path": None, "http": serve(made / "web") if kind == "http" else "", "s3": bucket}[kind]
    plan = shared(made, web, **{name: {"images_per_part": per_part} for name in NAMES})
    theirs = Layout(str(made / "results"))
    for name in NAMES:
        originals = {
            n: part
            for path in Path(theirs.dataset(name)).glob("*/")
            for part in [Part(path)]
            for n in part.names
        }
        for part in adopt(plan, name):
            assert (part.bits, part.has_targets) == (8, name != "hidden")
            for i, image in enumerate(part.names):
                original = originals[image]
                j = original.names.index(image)
                assert part.shapes[i] == original.shapes[j]
                np.testing.assert_array_equal(part.input(i), original.input(j))
                if part.has_targets:
                    np.testing.assert_array_equal(part.image(image), original.image(image))
            for attribute in ("scale", "degradation", "licence", "dataset", "value_range"):
                assert part.attributes[attribute] == original.attributes[attribute]
    found = list(verification.verify(plan.layout.root, plan.layout))
    assert found
    assert not any(one.problems for one in found)


def test_once_all_is_copied_a_url_is_not_asked(made: Path, serve: Callable):
    plan = shared(made, serve(made / "web"), test={"licence": "CC0-1.0"})
    before = {name: plan.index(name).content(NAMES[name]) for name in NAMES}
    for name in NAMES:
        adopt(plan, name)
    later = shared(made, "http://127.0.0.1:9")  # nothing listens there
    assert later.problems() == []
    assert {name: later.index(name).content(NAMES[name]) for name in NAMES} == before
    Path(later.layout.seal(later.layout.dataset("test"))).unlink()
    (problem,) = shared(made, "http://127.0.0.1:9").problems()
    assert problem.startswith("datasets.test.path: http://127.0.0.1:9/test.zarr/zarr.json: cannot be read")
    assert problem.endswith("check the address and that its server answers, then run again")


def test_a_copy_can_be_published_again(made: Path, tmp_path: Path):
    plan = shared(made)
    adopt(plan, "test")
    done = upload(plan.layout.dataset("test"), str(tmp_path / "third/test.zarr"), silent)
    third = shared(made, test={"path": str(tmp_path / "third/test.zarr"), "digest": done.digest})
    assert third.index("test").content(NAMES["test"]) == plan.index("test").content(NAMES["test"])


def test_every_mistake_is_told_while_planning(made: Path, tmp_path: Path):
    shutil.copytree(made / "web", tmp_path / "web")
    plan = shared(made, test={"digest": "0" * 64}, hidden={"path": "nowhere.zarr"})
    assert plan.problems() == [
        f"datasets.test.path: {made}/web/test.zarr: is another store than the configuration names (its root has the "
        f"SHA-256 {digest_of(made / 'web/test.zarr')}, not {'0' * 64}); fix the digest or the path",
        "datasets.hidden.path: nowhere.zarr/zarr.json: no such file; fix the path, or seal the store",
    ]
    plan = shared(made, tmp_path / "web")
    root = tmp_path / "web/test.zarr/zarr.json"
    root.write_text(root.read_text().replace("dataset", "prediction"))
    (problem,) = shared(made, tmp_path / "web", test={"digest": None}).problems()
    assert problem.endswith("test.zarr: holds 'prediction', not a dataset; fix the path")
    for key, value in (
        ("input", "lq/*.png"),
        ("degradation", {"kind": "noise", "sigma": 5}),
        ("target", "x"),
    ):
        with pytest.raises(
            InputError, match=rf"theirs.yaml: datasets.test: unknown key '{key}'|datasets.test.{key}"
        ):
            shared(made, test={key: value})
    with pytest.raises(InputError, match=r"datasets.test.digest: is missing: what is at a URL"):
        shared(made, "https://example.org", test={"digest": None})


def test_models_and_methods_are_compared_with_what_is_shared(made: Path):
    raw = yaml.safe_load(Path(made, "mine.yaml").read_text())
    plan = shared(made)
    assert plan.problems() == []
    config = yaml.safe_load(Path("theirs.yaml").read_text())
    config["models"]["wild"] = {"kind": "dmsp", "dae": "x.safetensors"}
    config["experiments"]["mine"]["models"].append("wild")
    Path("theirs.yaml").write_text(yaml.safe_dump(config))
    problems = Plan(configurations.load("theirs.yaml")).problems()
    assert (
        "models.wild.kind: 'dmsp' does not enlarge, but the scale of dataset 'ref' is 2; use `kind: daep`"
        in problems
    )
    assert raw["datasets"]["test"]["degradation"]["scale"] == 2


def test_predictions_of_another_size_are_told(made: Path, tmp_path: Path):
    shutil.copytree(made / "test/one", tmp_path / "test/one")
    write(tmp_path / "test/one/b.png", 20, 20)
    plan = shared(made)
    config = yaml.safe_load(Path("theirs.yaml").read_text())
    config["models"]["one"]["path"] = f"{tmp_path}/{{dataset}}/one/**/*.png"
    for dataset in ("ref", "hidden"):
        shutil.copytree(made / dataset / "one", tmp_path / dataset / "one")
    Path("theirs.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match=r"one/b.png is 20×20, its target image 'b' 28×24"):
        check("theirs.yaml")
    assert plan


def test_one_image_in_reference_and_test(made: Path, tmp_path: Path):
    (tmp_path / "test").mkdir()
    shared(made, test={"path": str(made / "web/ref.zarr"), "digest": None})
    with pytest.raises(InputError) as told:
        check("theirs.yaml")
    assert (
        "theirs.yaml: experiments.mine.tests: image 'r1' of test and image 'r1' of the reference ref have one digest; "
        "choose another dataset, or name it in `allow_overlap` (2 of 2 images)"
    ) in str(told.value).splitlines()


def test_one_input_in_reference_and_a_test_without_targets(made: Path, tmp_path: Path):
    section = {**CONFIG["datasets"]["hidden"], "input": f"{made}/ref/lq/*.png"}
    raw = {**CONFIG, "datasets": {**CONFIG["datasets"], "hidden": section}, "results": "ours"}
    with chdir(made):
        hidden = make(Plan(configurations.parse({**raw, "results": str(tmp_path / "ours")}, "")), "hidden")
    plan = shared(made, hidden={"path": hidden, "digest": None})
    (line,) = shared_images(plan)
    assert "image 'r1' of hidden and image 'r1' of the reference ref have one digest" in line


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "value/c/0/0": flip,
    "input/c/0/0": Path.unlink,
    "height/c/0": Path.unlink,
    "input_width/c/0": flip,
    "value/zarr.json": flip,
}


@pytest.mark.parametrize(("key", "damage"), DAMAGE.items())
def test_what_has_changed_is_an_error(made: Path, tmp_path: Path, key: str, damage: Callable):
    shutil.copytree(made / "web", tmp_path / "web")
    plan = shared(made, tmp_path / "web")
    for path in tmp_path.glob(f"web/test.zarr/*/{key}"):
        damage(path)
    with pytest.raises(InputError, match=rf"test.zarr: \w+/{key} is "):
        adopt(plan, "test")
    assert not Path(plan.layout.dataset("test")).exists()


NONSENSE = {
    "name out of the folder": ("images", lambda names: ["../../x", *names[1:]]),
    "absolute name": ("images", lambda names: ["/x", *names[1:]]),
    "one name twice": ("images", lambda names: [names[-1]] * len(names)),
    "too few names": ("images", lambda names: names[1:]),
    "no size": ("height", lambda sizes: [0 for _ in sizes]),
    "a huge size": ("height", lambda sizes: [2**40 for _ in sizes]),
    "text": ("width", lambda sizes: ["20" for _ in sizes]),
    "no digest": ("digest", lambda digests: ["x" for _ in digests]),
    "depth": ("bits", lambda bits: 12),
    "range": ("value_range", lambda levels: [0, 1]),
    "text for a licence": ("licence", lambda text: ["CC0"]),
    "scale": ("scale", lambda scale: "2"),
    "a degradation": (
        "degradation",
        lambda known: {"kind": "blur", "kernel": "/etc/passwd.mat", "values": "x"},
    ),
    "a long story": ("citation", lambda text: "x" * 2**20),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_in_the_root_is_an_error(made: Path, tmp_path: Path, nonsense: str):
    shutil.copytree(made / "web", tmp_path / "web")
    path, (key, wrong) = tmp_path / "web/test.zarr/zarr.json", NONSENSE[nonsense]
    root = json.loads(path.read_text())
    nodes = root["consolidated_metadata"]["metadata"]
    for part in root["attributes"]["parts"]:
        for held in (nodes[part]["attributes"], root["attributes"]["index"][part]):
            if key in held:
                held[key] = wrong(held[key])
    path.write_text(json.dumps(root))
    problems = shared(made, tmp_path / "web", test={"digest": None}).problems()
    assert problems
    assert all(line.startswith(f"datasets.test.path: {tmp_path}/web/test.zarr: ") for line in problems)


def test_a_root_that_lies_is_an_error(made: Path, tmp_path: Path):
    shutil.copytree(made / "web", tmp_path / "web")
    path = tmp_path / "web/test.zarr/zarr.json"
    root = json.loads(path.read_text())
    for columns in root["attributes"]["index"].values():
        columns["height"], columns["width"] = columns["width"], columns["height"]
    path.write_text(json.dumps(root))
    plan = shared(made, tmp_path / "web", test={"digest": None})
    with pytest.raises(InputError, match="its arrays have other sizes or another depth than its root names"):
        adopt(plan, "test")


def test_a_shared_dataset_may_grow_and_what_has_changed_is_copied_again(made: Path, tmp_path: Path):
    publisher = tmp_path / "publisher"
    shutil.copytree(made, publisher)
    first = shared(made)

    def made_again() -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(publisher)
            return str(Path(make(Plan(configurations.load("mine.yaml")), "test")).absolute())

    (publisher / "test/gt/e.png").write_bytes((made / "test/gt/d.png").read_bytes())
    digest = upload(made_again(), str(publisher / "web/test.zarr"), silent).digest
    adopt(first, "test")
    grown = shared(made, test={"path": str(tmp_path / "publisher/web/test.zarr"), "digest": digest})
    assert list(grown.targets("test")) == [*NAMES["test"], "e"]
    assert grown.parts("test").items() > first.parts("test").items()  # one more part
    (part,) = first.parts("test")
    before = first.index("test").content(NAMES["test"])
    assert grown.index("test").content(grown.parts("test")[part]) == before
    (publisher / "test/gt/b.png").write_bytes((made / "test/gt/c.png").read_bytes())
    changed = shared(made, test={"path": made_again(), "digest": None})
    assert changed.index("test").content(NAMES["test"]) != before


def test_a_dataset_is_published_with_its_licence(made: Path, tmp_path: Path):
    store = made / "results/datasets/test.zarr"
    told = CliRunner().invoke(
        app, ["publish", str(store), str(tmp_path / "out.zarr")], catch_exceptions=False
    )
    digest = digest_of(store)
    assert (
        told.stdout.splitlines()[-1]
        == f'  test: {{kind: store, path: "{tmp_path}/out.zarr", digest: {digest}}}'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        raw = yaml.safe_load(Path("mine.yaml").read_text())
        raw["datasets"]["test"]["licence"] = None
        plan = Plan(configurations.parse({**raw, "results": str(tmp_path / "unlicensed")}, ""))
        bare = make(plan, "test")
    told = CliRunner().invoke(app, ["publish", bare, str(tmp_path / "other.zarr")])
    assert told.exit_code == 2
    assert f"{bare}: says no licence; give one to its dataset in the configuration" in told.stderr
    assert not (tmp_path / "other.zarr").exists()
