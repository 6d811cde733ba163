"""The environments agree with each other: pyproject.toml, envs/constraints.txt and envs/*.yaml."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GENERATE = runpy.run_path(str(ROOT / "envs/generate.py"))
PINS = GENERATE["pins"]()


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_conda_environment_is_generated_from_the_pins(kind: str):
    text = (ROOT / f"envs/{kind}.yaml").read_text()
    assert text == GENERATE["environment"](kind), "type `make environments`"
    environment = yaml.safe_load(text)
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert {"torch", "numpy", "pyyaml", "spandrel"} <= {pin.partition("==")[0].lower() for pin in pip}


def test_everything_that_is_installed_is_pinned():
    file = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = file["project"]["optional-dependencies"]
    wanted = [
        *file["build-system"]["requires"],
        *file["project"]["dependencies"],
        *extras["test"],
        *extras["pretrained"],
        *extras["onnx"],
        *extras["clip"],
        *extras["slurm"],
    ]
    names = [re.split(r"[\[ ><=]", name)[0] for name in wanted]
    assert [name for name in names if GENERATE["normalized"](name) not in PINS] == []


def test_versions_are_pinned_once():
    assert "==" not in (ROOT / "pyproject.toml").read_text()
    assert len(PINS) == sum("==" in line for line in (ROOT / "envs/constraints.txt").read_text().splitlines())
