"""Whole runs of the workflow in a scratch folder, with tiny images and models that are PNG folders."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ensir.images import image_files
from ensir.storage import sources
from ensir.storage.layout import DIGESTED, Layout
from workflow import forked  # tests/workflow

REPOSITORY = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")


class Run:
    """A working folder with a configuration, in which the workflow is run.

    Parameters
    ----------
    folder : Path
    repository : Path
        Where the workflow and the package are taken from.
    """

    def __init__(self, folder: Path, repository: Path = REPOSITORY):
        self.folder, self.repository = folder, repository
        self.config_file = folder / "config.yaml"

    @property
    def config(self) -> dict[str, Any]:
        return yaml.safe_load(self.config_file.read_text())

    @config.setter
    def config(self, value: dict[str, Any]) -> None:
        self.config_file.write_text(yaml.safe_dump(value, sort_keys=False))

    def command(self, *arguments: str) -> list[str]:
        profile = self.repository / "workflow/profiles/local"
        return [
            str(SNAKEMAKE),
            *("--snakefile", str(self.repository / "Snakefile"), "--workflow-profile", str(profile)),
            *("--directory", str(self.folder), "--configfile", str(self.config_file), "--cores", "2"),
            *arguments,
        ]

    def environment(self, **variables: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.repository / "src"), **variables}

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen:
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment(**variables),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def execute(self, *arguments: str, **variables: str) -> tuple[int, str]:
        """Run snakemake to its end; returns its exit code, and what it printed."""
        return forked.snakemake(self.command(*arguments)[1:], self.folder, self.environment(**variables))

    def run(self, *arguments: str, ok: bool | None = True, **variables: str) -> str:
        """Run snakemake to its end, well or ill as told (None: either); returns what it printed."""
        code, output = self.execute(*arguments, **variables)
        assert ok in (code == 0, None), output
        return output

    def planned(self, *arguments: str, **variables: str) -> list[str]:
        """Return the messages of the jobs that a run would execute."""
        output = self.run("--dry-run", *arguments, **variables)
        return sorted(re.findall(r"^Job \d+: (.*)$", output, re.MULTILINE))

    def digests(self) -> dict[str, str]:
        """Return every digest file and table, by path; without how long things took, which differs."""
        results = self.folder / "results"
        files = [
            *(file for kind in (*DIGESTED, "scores") for file in results.glob(f"digests/{kind}/**/*.sha256")),
            *results.glob("*.csv"),
            *results.glob("scores/**/*.csv"),
        ]
        return {
            str(file.relative_to(results)): re.sub(
                r"^.*seconds,.*\n", "", file.read_text(), flags=re.MULTILINE
            )
            for file in files
        }

    def copy(self, folder: Path) -> Run:
        """Return a copy of the whole folder: dates, Snakemake's memory, and records of the copied sources."""
        shutil.copytree(self.folder, folder, symlinks=True)
        with chdir(folder):
            for result in Layout().made_from_sources():
                record = Layout().sources(result)
                held = sources.read(record)
                assert held is not None
                sources.write(record, sources.compared(held, list(held.files), lambda: None))
        return Run(folder, self.repository)


def write_images(
    folder: Path, names: list[str], seed: int = 0, noise: float = 0.0, shape: Any = (40, 48, 3)
) -> None:
    """Write smooth random images; the same names and seed give the same scene, plus noise of one's own."""
    for name in names:
        word = [seed, *name.encode()]
        random = np.random.default_rng(word)
        y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
        waves = random.uniform(0.05, 0.4, (shape[2], 2))
        scene = np.stack([128 + 100 * np.sin(a * x + b * y) for a, b in waves], axis=2)
        if noise:
            scene = scene + np.random.default_rng([int(noise * 10), *word]).normal(0, noise, shape)
        image_files.write(folder / f"{name}.png", np.clip(np.rint(scene), 0, 255).astype(np.uint8))


def write_dataset(folder: Path, dataset: str, names: list[str], models: dict[str, float]) -> None:
    """Write targets, inputs and the predictions of models, each with its own noise."""
    write_images(folder / dataset / "gt", names)
    write_images(folder / dataset / "lq", names, noise=20)
    for model, noise in models.items():
        write_images(folder / dataset / "pred" / model, names, noise=noise)


FUNCTION = '''
import numpy as np

def smooth(image, strength=2):
    """Mean over a window."""
    kernel = np.ones(strength) / strength
    value = image.astype(float)
    for axis in (0, 1):
        value = np.apply_along_axis(lambda row: np.convolve(row, kernel, "same"), axis, value)
    return value
'''


def small_config() -> dict[str, Any]:
    dataset = {"kind": "folder", "images_per_part": 2}
    return {
        "datasets": {
            name: {**dataset, "target": f"{name}/gt/*.png", "input": f"{name}/lq/*.png"}
            for name in ("ref", "test")
        },
        "models": {
            "a": {"kind": "folder", "path": "{dataset}/pred/a/*.png"},
            "b": {"kind": "folder", "path": "{dataset}/pred/b/*.png"},
            "f": {"kind": "function", "function": "own_models:smooth"},
            "c": {"kind": "classical", "algorithm": "gaussian"},
        },
        "experiments": {
            "one": {
                "models": ["a", "b", "f"],
                "reference": "ref",
                "tests": ["test"],
                "methods": {"average": {}, "ensir": {"bin_width": 64}},
            }
        },
        "compute": {"shards": 2},
    }


@pytest.fixture(scope="session")
def repository(once: Callable) -> Path:
    """A copy of the workflow and the package, as they were when the tests began."""
    return once("repository", lambda folder: copy_repository(REPOSITORY, folder))


def copy_repository(source: Path, target: Path) -> Path:
    """Copy what a run needs, with compiled code, but not what a process that runs meanwhile is about to rename."""
    for name in ("workflow", "src", "config", "envs"):
        shutil.copytree(source / name, target / name, ignore=shutil.ignore_patterns("*.pyc.*", "*.tmp.*"))
    shutil.copy(source / "Snakefile", target)
    return target


@pytest.fixture
def fresh(tmp_path: Path, repository: Path) -> Run:
    """A folder with images and a configuration, nothing run yet."""
    return prepare(tmp_path / "run", repository)


def prepare(folder: Path, repository: Path) -> Run:
    write_dataset(folder, "ref", ["r1", "r2", "r3"], {"a": 6, "b": 9})
    write_dataset(folder, "test", ["t1", "t2", "t3"], {"a": 6, "b": 9})
    (folder / "own_models.py").write_text(FUNCTION)
    run = Run(folder, repository)
    run.config = small_config()
    return run


@pytest.fixture(scope="session")
def finished(once: Callable, repository: Path) -> Run:
    """A finished run; copy it before you change it, and before Snakemake looks at it."""
    return Run(once("finished", lambda folder: prepare(folder, repository).run()), repository)
