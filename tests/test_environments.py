"""The environments agree with each other: pyproject.toml, envs/constraints.txt and envs/*.yaml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def pins() -> dict[str, str]:
    lines = (ROOT / "envs/constraints.txt").read_text().splitlines()
    return dict(line.lower().replace("_", "-").split("==") for line in lines if "==" in line)


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
def test_conda_environment_holds_the_pinned_dependencies(kind: str):
    environment = yaml.safe_load((ROOT / f"envs/{kind}.yaml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    held = dict(line.lower().removesuffix("+cpu").split("==") for line in pip if not line.startswith("--"))
    extras = project()["optional-dependencies"]
    wanted = [
        *project()["dependencies"],
        *(name for extra in ("pretrained", "onnx", "clip", "slurm") for name in extras[extra]),
    ]
    assert held == {name.lower(): pins()[name.lower()] for name in wanted}


def test_everything_that_is_installed_is_pinned():
    extras = project()["optional-dependencies"]
    wanted = [
        *project()["dependencies"],
        *extras["test"],
        *extras["pretrained"],
        *extras["onnx"],
        *extras["clip"],
        *extras["slurm"],
    ]
    assert [name for name in wanted if re.split(r"[\[ ]", name)[0].lower() not in pins()] == []
