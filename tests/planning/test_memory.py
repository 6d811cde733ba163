"""The memory that rules ask for, beside what their jobs really take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ensir.config.reading import parse
from ensir.images import image_files
from ensir.planning.memory import Memory
from ensir.planning.plan import Plan
from ensir.storage.layout import Layout

SIZE = (1500, 2000)
MODELS = ("a", "b", "c")
CONFIG = {
    "datasets": {name: {"kind": "folder", "target": f"{name}/gt/*.png"} for name in ("ref", "test")},
    "models": {model: {"kind": "folder", "path": f"{{dataset}}/{model}/*.png"} for model in MODELS},
    "experiments": {
        "one": {
            "models": list(MODELS),
            "reference": "ref",
            "tests": ["test"],
            "methods": {"ensir": {}, "zzpm": {}},
        }
    },
}
JOB = """
import json, sys
from importlib import import_module
from ensir.execution import devices
from ensir.storage.layout import Layout

stage, where, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
module = import_module(f"ensir.stages.{stage}")
options = {"pointwise": True} if stage == "fuse" else {}
getattr(module, stage)(Layout("results").place(where), *arguments, lambda done, total: None, **options)
print(devices.peak_memory())
"""


def megabytes(folder: Path, stage: str, where: str, *arguments: object) -> float:
    """Run a stage in a process of its own; return its peak memory."""
    command = [sys.executable, "-c", JOB, stage, where, json.dumps(arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[0].replace(",", ""))


@pytest.mark.slow
def test_memory_is_right_within_a_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    random = np.random.default_rng(0)
    for dataset in ("ref", "test"):
        for kind in ("gt", *MODELS):
            for name in ("1", "2"):
                image = random.integers(0, 256, (*SIZE, 3), np.uint8)
                image_files.write(tmp_path / dataset / kind / f"{name}.png", image)
    monkeypatch.chdir(tmp_path)
    layout = Layout("results")
    plan = Plan(parse(CONFIG, "config.yaml"), layout)
    memory = Memory(plan)
    dask, wanted, found = {"scheduler": "threads"}, {}, {}
    parts = {}
    for dataset in ("ref", "test"):
        ((part, names),) = plan.parts(dataset).items()
        path = layout.part(layout.dataset(dataset), part)
        section = plan.config.datasets[dataset].traced
        files = plan.files(plan.targets(dataset), dataset, part)
        found["ingest"] = megabytes(tmp_path, "ingest", path, dataset, names, section, files, [], None)
        wanted["ingest"] = memory.ingest(dataset, part)
        predicted = [layout.part(layout.predictions(dataset, model), part) for model in MODELS]
        for model, place in zip(MODELS, predicted, strict=True):
            files = plan.files(plan.predictions(dataset, model), dataset, part)
            settings = plan.config.models[model].traced
            found["predict"] = megabytes(
                tmp_path, "predict", place, path, layout.digest(path), model, settings, files, None
            )
        wanted["predict"] = memory.predict(dataset, model, part)
        parts[dataset] = (part, path, predicted, names)
    part, path, predicted, names = parts["ref"]
    bins = ["ensir.cells.bins", {"bin_width": 32}, "ref", MODELS, [[path, predicted]], dask]
    found["partition"] = megabytes(tmp_path, "partition", layout.statistics("one", "bins"), *bins)
    wanted["partition"] = memory.partition("one", os.cpu_count() or 1)
    part, path, predicted, names = parts["test"]
    zzpm = plan.config.experiments["one"].methods["zzpm"].traced
    fused = layout.part(layout.fused("one", "test", "zzpm"), part)
    rest = ["zzpm", zzpm, None, path, MODELS, predicted, [], False, dask]
    found["fuse"] = megabytes(tmp_path, "fuse", fused, *rest)
    wanted["fuse"] = memory.fuse("one", "test", "zzpm", part)
    score = {"space": "rgb", "crop": 0, "rounded": False}
    score["metrics"] = {"psnr": {"kind": "psnr"}, "ssim": {"kind": "ssim"}}
    place = layout.scores("one", "test", "zzpm", part)
    found["score"] = megabytes(tmp_path, "score", place, "one", "test", "zzpm", score, path, fused)
    wanted["score"] = memory.score("one", "test", part)
    found["write_images"] = megabytes(tmp_path, "write_images", layout.images("one", "test", "zzpm"), [fused])
    wanted["write_images"] = memory.write_images("test")
    ratios = {stage: found[stage] / wanted[stage] for stage in wanted}
    assert all(1 / 1.5 <= ratio <= 1 for ratio in ratios.values()), "\n".join(map(str, (found, wanted)))


def test_memory_grows_with_images_and_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """From headers alone: an image of 12000×9000 that is nothing but zeros."""
    monkeypatch.chdir(tmp_path)
    for dataset, shape in (("ref", (64, 64, 3)), ("test", (9000, 12000, 1))):
        for kind in ("gt", *MODELS):
            image_files.write(tmp_path / dataset / kind / "1.png", np.zeros(shape, np.uint8))
    plan = Plan(parse(CONFIG, "config.yaml"), Layout("results"))
    memory = Memory(plan)
    (small,), (large,) = plan.parts("ref"), plan.parts("test")
    assert memory.ingest("test", large) > memory.ingest("ref", small) + 200
    assert memory.fuse("one", "test", "zzpm", large) < 400
    assert memory.score("one", "test", large) < 400
