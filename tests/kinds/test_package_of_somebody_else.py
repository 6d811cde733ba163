"""The kinds of CONTRIBUTING.md, installed as a package of somebody else: found, checked, and used in a whole run."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from workflow.conftest import REPOSITORY, Run, copy_repository  # tests/workflow

from ensir.stages.partition import partition, runs
from ensir.storage import digests, fits, reading, writing
from ensir.storage.layout import Place

PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
CONFIG = yaml.safe_load(re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1])
ENTRY_POINTS = tomllib.loads(re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1])["project"]["entry-points"]
PACKED = 0.011  # levels by which fused images of 8-bit data may be off
KINDS = {group.removeprefix("ensir."): sorted(points) for group, points in ENTRY_POINTS.items()}


def install(site: Path, files: dict[str, str], entry_points: dict[str, dict[str, str]]) -> Path:
    """Put a package `somebody` into a folder, as pip would."""
    for name, text in files.items():
        path = site / "somebody" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    told = site / "somebody-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: somebody\nVersion: 1.0\n")
    lines = []
    for group, points in entry_points.items():
        lines += [f"[{group}]", *(f"{kind} = {module}" for kind, module in points.items())]
    (told / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return site


def python(site: Path, code: str, *arguments: str, ok: bool = True) -> str:
    """Run Python with the package; return what it prints, or its error."""
    variables = {**os.environ, "PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{site}"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == ok, done.stderr
    return done.stdout if ok else done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = dict(re.findall(r"```python\n# (\w+/\w+\.py)\n(.*?)```", PAGE, re.DOTALL))
    named = {
        module.partition(".")[2].replace(".", "/") + ".py"
        for points in ENTRY_POINTS.values()
        for module in points.values()
    }
    assert files.keys() == named
    return install(tmp_path_factory.mktemp("site"), files, ENTRY_POINTS)


# ── found and checked ────────────────────────────────────────────────────────────────────────────────────────


def test_the_reference_lists_them(site: Path):
    tables = python(site, "from ensir.config.reference import tables; print(tables())")
    listed = {kind for kind in re.findall(r"^### `kind: (\w+)`$", tables, re.MULTILINE)}
    for folder, kinds in KINDS.items():
        if folder != "figures":
            assert set(kinds) <= listed, folder
    assert "| `power` | weights are proportional to 1 / error^power | number, at least 0 | `1.0` |" in tables
    assert "| `worst` | how many images" in tables


def test_the_command_lists_them(site: Path):
    command = "from ensir.cli import app; app()"
    assert "### `kind: box`" in python(site, command, "reference", "models")
    assert "### `kind: median`" not in python(site, command, "reference", "models")


CHECK = """
import sys
from ensir.config.reading import load
from ensir.errors import InputError
try:
    load(sys.argv[1])
except InputError as error:
    print(error)
"""


def test_their_mistakes_are_told(site: Path, tmp_path: Path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    assert python(site, CHECK, str(path)) == ""
    config = yaml.safe_load(yaml.safe_dump(CONFIG))
    config["models"]["small"]["sise"] = 5
    config["models"]["large"]["size"] = 4
    config["datasets"]["test"]["kind"] = "stripe"
    experiment = config["experiments"]["stripes"]
    experiment["methods"]["edges"]["powr"] = 2.0
    experiment["methods"]["midian"] = {}
    experiment["figures"]["wurst"] = 2
    experiment["score"]["metrics"] = {"mae": {"digit": 3}}
    path.write_text(yaml.safe_dump(config))
    told = python(site, CHECK, str(path))
    for key, word in {
        "models.small.sise": "size",
        "datasets.test.kind": "stripes",
        "experiments.stripes.methods.edges.powr": "power",
        "experiments.stripes.methods.midian.kind": "median",
        "experiments.stripes.figures.wurst": "worst",
    }.items():
        assert re.search(rf"{key}: .*did you mean '{word}'\?", told), (key, told)
    assert "models.large.size: 4 is even; use 5" in told
    assert "experiments.stripes.score.metrics.mae.digit: unknown key" in told


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "import no_such_library",
            r"cannot be imported \(No module named 'no_such_library'\).* package somebody",
        ),
        ("", r"has no class that extends Section.* package somebody"),
        (
            "from typing import Literal\nfrom ensir.metrics import Metric\n"
            'class Other(Metric):\n    kind: Literal["other"] = "other"\n',
            r"Other is not of kind 'mine', as the package somebody says",
        ),
    ],
)
def test_a_module_that_is_no_kind(text: str, error: str, tmp_path: Path):
    site = install(tmp_path, {"mine.py": text}, {"ensir.metrics": {"mine": "somebody.mine"}})
    assert re.search(
        f"InputError: somebody.mine: {error}", python(site, "import ensir.config.schema", ok=False)
    )


# ── code ─────────────────────────────────────────────────────────────────────────────────────────────────────

DIGEST = "from ensir.storage.provenance import source_digest; print(source_digest('somebody.kinds.mine'))"
MINE = '''"""A kind."""
from abc import ABC
from typing import ClassVar, Literal
from torch.nn import Module

from somebody.kinds import compiled  # a module without source: not seen
from ensir.metrics import Metric
from ..measuring import measure
from . import beside
from ._base import Base

class Mine(Base):
    """TEXT"""
    kind: Literal["mine"] = "mine"

class Network(Module, ABC):
    pass

class Other(ABC):
    def measure(self):
        try:
            from somebody.inside import measured
        finally:
            return measured
'''
BASE = "from ensir.metrics import Metric\n\nclass Base(Metric):\n    a: int = LABEL\n"


def test_what_counts_as_code(tmp_path: Path):
    """What a kind imports from its own package counts, and sections do not: ours, and those of a base in a package."""
    files = {
        "kinds/mine.py": MINE,
        "kinds/_base.py": BASE,
        "kinds/beside.py": "b = 1",
        "measuring.py": "m = 1",
        "inside.py": "i = 1",
    }
    first = python(install(tmp_path / "site", files, {}), DIGEST)
    for name, text, changes in [
        ("measuring.py", "m = 2", True),
        ("inside.py", "i = 2", True),
        ("kinds/beside.py", "b = 2", True),
        ("kinds/beside.py", "b = 1  # a comment", False),
        ("kinds/mine.py", MINE.replace("TEXT", "Other words."), False),
        ("kinds/mine.py", MINE.replace("    pass", "    changed = True"), True),
        ("kinds/_base.py", BASE.replace("LABEL", "OTHER"), False),
    ]:
        path = tmp_path / "site/somebody" / name
        before = path.read_text()
        path.write_text(text)
        assert (python(tmp_path / "site", DIGEST) != first) == changes, (name, text)
        path.write_text(before)


NOTHING_HEAVY = """
import sys
from ensir import registry
from ensir.config import reading
from ensir.storage.provenance import COUNTED, source_digest
for folder in ("datasets", "restorers", "methods", "metrics", "figures"):
    for kind in registry.kinds(folder):
        source_digest(registry.module_name(folder, kind))
for stage in ("ingest", "predict", "partition", "estimate", "fit", "merge", "fuse", "score", "report", "draw"):
    source_digest(f"ensir.stages.{stage}")
print(*sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[1:])))
"""


def test_what_a_plan_asks_of_code_imports_nothing_heavy(site: Path):
    heavy = ("torch", "numba", "sklearn", "matplotlib", "zarr", "dask", "scipy", "skimage")
    assert python(site, NOTHING_HEAVY, *heavy) == "\n"


# ── a whole run ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_repository(REPOSITORY, tmp_path_factory.mktemp("repository"))


class RunWithPackage(Run):
    """A run that finds the package."""

    def __init__(self, folder: Path, repository: Path, site: Path):
        super().__init__(folder, repository)
        self.site = site
        folder.mkdir(parents=True)
        self.config = CONFIG

    def environment(self, **variables: str) -> dict[str, str]:
        found = super().environment(**variables)
        return found | {"PYTHONPATH": f"{found['PYTHONPATH']}{os.pathsep}{self.site}"}

    def parts(self, store: str) -> list[reading.Part]:
        found = sorted((self.folder / "results" / store).glob("[0-9a-f]*/zarr.json"))
        return [reading.Part(path.parent) for path in found]

    def images(self, store: str) -> dict[str, np.ndarray]:
        return {name: part.image(name) for part in self.parts(store) for name in part.names}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, repository: Path, site: Path) -> RunWithPackage:
    run = RunWithPackage(tmp_path_factory.mktemp("run") / "run", repository, site)
    run.run("--", "all", "worst")
    return run


def rows(run: Run, name: str) -> list[dict[str, str]]:
    with open(run.folder / "results" / name, newline="") as file:
        return list(csv.DictReader(file))


def windows(image: np.ndarray, size: int) -> np.ndarray:
    """Return the pixels of a window around each, along the last axis; images go on by themselves at the border."""
    reach = size // 2
    padded = np.pad(image, [(reach, reach)] * 2 + [(0, 0)] * (image.ndim - 2), mode="symmetric")
    shifts = [(y, x) for y in range(size) for x in range(size)]
    return np.stack([padded[y : y + len(image), x : x + image.shape[1]] for y, x in shifts], axis=-1)


def edges(predictions: list[np.ndarray]) -> np.ndarray:
    """Return which pixels lie at an edge: (height, width)."""
    mean = np.mean([p.astype(float).mean(axis=2) for p in predictions], axis=0)
    near = windows(mean, 3)
    return near.max(axis=-1) - near.min(axis=-1) > 32 + 1e-9


def test_the_dataset_and_the_restorer(run: RunWithPackage):
    targets = run.images("datasets/test.zarr")
    assert sorted(targets) == ["020", "060"]
    assert {image.shape for image in targets.values()} == {(64, 64, 3)}
    assert set(np.unique(targets["020"])) == {40, 200}
    (part,) = run.parts("datasets/test.zarr")
    for model, size in (("small", 3), ("large", 5)):
        for name, found in run.images(f"predictions/test/{model}.zarr").items():
            filtered = windows(part.input(part.names.index(name)).astype(float), size).mean(axis=-1)
            np.testing.assert_array_equal(found, np.rint(filtered))
    (prediction,) = run.parts("predictions/test/small.zarr")
    assert prediction.attributes["settings"] == {"kind": "box", "size": 3}
    assert prediction.attributes["parameters"]["versions"].keys() == {"ensir", "scipy"}


def test_the_method_without_statistics_and_the_metric(run: RunWithPackage):
    models = [run.images(f"predictions/test/{name}.zarr") for name in CONFIG["models"]]
    targets, fused = run.images("datasets/test.zarr"), run.images("fused/stripes/test/median.zarr")
    errors = []
    for name, found in fused.items():
        np.testing.assert_allclose(found, np.median([model[name] for model in models], axis=0), atol=PACKED)
        errors.append(np.abs(found - targets[name].astype(float)).mean())
    (row,) = [row for row in rows(run, "summary.csv") if (row["method"], row["metric"]) == ("median", "mae")]
    assert float(row["mean"]) == pytest.approx(np.mean(errors), abs=1e-6)
    assert row["n"] == "2"
    assert {row["metric"] for row in rows(run, "scores.csv")} >= {"psnr", "mae"}


def test_the_method_with_statistics_of_its_own(run: RunWithPackage):
    models = [run.images(f"predictions/reference/{name}.zarr") for name in CONFIG["models"]]
    targets = run.images("datasets/reference.zarr")
    count, error = np.zeros(2), np.zeros((2, 3))
    for name, target in targets.items():
        x = [model[name] for model in models]
        for region, inside in enumerate((~edges(x), edges(x))):
            count[region] += inside.sum() * 3
            for i, prediction in enumerate(x):
                error[region, i] += ((prediction.astype(float) - target)[inside] ** 2).sum()
    assert (count > 500).all()

    folders = sorted(path.name for path in (run.folder / "results/statistics/stripes").iterdir())
    assert folders == ["edges.zarr"]  # one for both methods, and none of bins, which no method needs
    path = run.folder / "results/statistics/stripes/edges.zarr"
    arrays = reading.read_arrays(reading.open_group(path, "statistics"), path)
    np.testing.assert_array_equal(arrays["count"], count)
    np.testing.assert_array_equal(arrays["error"], error)

    for method, power in (("edges", 1), ("edges_squared", 2)):
        weights = (1e-3 + error / count[:, None]) ** -power
        weights /= weights.sum(axis=1, keepdims=True)
        fitted = fits.load(str(run.folder / f"results/fits/stripes/{method}.zarr"))
        np.testing.assert_allclose(fitted.arrays["weights"], weights, rtol=1e-12)
        assert fitted.reference_images == ("000", "040", "080")
        tests = [run.images(f"predictions/test/{name}.zarr") for name in CONFIG["models"]]
        for name, found in run.images(f"fused/stripes/test/{method}.zarr").items():
            x = [model[name] for model in tests]
            here = weights[edges(x).astype(int)]
            expected = sum(here[..., i, None] * image for i, image in enumerate(x))
            np.testing.assert_allclose(found, expected, atol=PACKED)


def test_the_figure(run: RunWithPackage):
    stem = "figures/stripes/worst/test"
    psnr: dict[str, list[tuple[float, str]]] = {}
    for row in rows(run, "scores.csv"):
        if row["metric"] == "psnr":
            psnr.setdefault(row["method"], []).append((float(row["value"]), row["image"]))
    found = {row["method"]: (float(row["psnr"]), row["image"]) for row in rows(run, f"{stem}.csv")}
    assert found == {method: min(values) for method, values in psnr.items()}
    assert len(found) == 7
    for ending in ("svg", "pdf", "png"):
        assert (run.folder / f"results/{stem}.{ending}").stat().st_size > 1000


def test_what_follows(run: RunWithPackage):
    """The page shows them, nothing reruns, nothing is garbage, all is verified, and tables rank them."""
    assert run.planned() == []
    assert "MAE" in (run.folder / "results/report.html").read_text(encoding="utf-8")

    def ensir(*arguments: str) -> str:
        command = [sys.executable, "-c", "from ensir.cli import app; app()", *arguments]
        variables = run.environment(COLUMNS="200")
        return subprocess.check_output(command, cwd=run.folder, env=variables, text=True)

    assert "0 results" in ensir("gc", "config.yaml")
    assert ensir("verify").strip().endswith(" 0 damaged")
    assert "MAE" in ensir("table")


def test_a_change_of_their_code_reruns_what_it_made(run: RunWithPackage):
    for name, before, after, changed in [
        ("metrics/mae.py", "np.abs(target - result)", "np.abs(result - target)", "score"),
        ("methods/edges.py", "1e-3 + mean", "2e-3 + mean", "partition"),  # statistics stand in the same file
    ]:
        path = run.site / "somebody" / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))
        try:
            jobs = run.planned()
        finally:
            path.write_text(text)
        assert any(job.startswith(changed) for job in jobs), jobs
        assert not any(job.startswith(("ingest", "predict")) for job in jobs), jobs


@pytest.mark.slow
def test_parts_leave_no_trace_in_the_statistics(run: RunWithPackage, tmp_path: Path, repository: Path):
    other = RunWithPackage(tmp_path / "run", repository, run.site)
    config = other.config
    config["datasets"]["reference"]["images_per_part"] = 1
    other.config = config
    other.run("results/fits/stripes/edges.zarr")
    assert len(other.parts("datasets/reference.zarr")) == 3
    assert len(run.parts("datasets/reference.zarr")) == 1
    for name in ("statistics/stripes/edges.zarr.sha256", "fits/stripes/edges.zarr.sha256"):
        one, another = (r.folder / "results/digests" / name for r in (run, other))
        assert one.read_text() == another.read_text()


SHAPES = {f"{n:02}": ((23, 17, 3), (1, 40, 3), (30, 1, 3), (16, 32, 3))[n % 4] for n in range(16)}


@pytest.mark.parametrize("module", ["somebody.methods.edges", "ensir.cells.filter_statistics"])
def test_chunks_parts_and_threads_leave_no_trace(
    module: str, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Jobs begin and end anywhere in an image: with the rows around them, all see what the whole image shows."""
    monkeypatch.syspath_prepend(str(site))
    random = np.random.default_rng(0)
    stores = [
        {name: random.integers(0, 256, shape, np.uint8) // 4 + 90 for name, shape in SHAPES.items()}
        for _ in range(3)
    ]
    found = set()
    for values, per_part, threads in ((2**22, 16, 1), (192, 4, 8), (96, 1, 2)):
        folder, names = tmp_path / f"{values}_{per_part}", list(SHAPES)
        parts = []
        with monkeypatch.context() as small:
            small.setattr(writing, "CHUNK_VALUES", values)
            for start in range(0, len(names), per_part):
                some = names[start : start + per_part]
                paths = [write_part(folder / f"{i}.zarr/{start}", some, s) for i, s in enumerate(stores)]
                parts.append((paths[0], paths[1:]))
        jobs = sum(len(runs(reading.Part(target))) for target, _ in parts)
        assert (jobs > 20) == (values < 2**22)
        place = Place.beside(folder / "statistics.zarr")
        dask = {"scheduler": "threads"}
        partition(place, module, {}, "r", ["m", "n"], parts, dask, lambda done, total: None, threads)
        arrays = reading.read_arrays(reading.open_group(place.path), place.path)
        assert arrays["count"].sum() == sum(np.prod(shape) for shape in SHAPES.values())
        found.add(digests.digests(place.path))
    assert len(found) == 1


def write_part(path: Path, names: list[str], images: dict[str, np.ndarray]) -> str:
    with writing.new_group(Place.beside(path), {"kind": "dataset", "bits": 8}) as group:
        writer = writing.ImageWriter(group, names, [SHAPES[name] for name in names], np.uint8)
        for name in names:
            writer.append(writing.flatten(images[name]))
        writer.close()
    return str(path)
