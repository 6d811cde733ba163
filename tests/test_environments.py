"""The environments agree with each other: pyproject.toml, envs/constraints.txt and envs/*.yaml."""

from __future__ import annotations

import re
import runpy
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GENERATE = runpy.run_path(str(ROOT / "envs/generate.py"))
PINS = GENERATE["pins"]()
SET_UP = runpy.run_path(str(ROOT / "envs/set_up.py"))


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
        *extras["lpips"],
        *extras["slurm"],
    ]
    names = [re.split(r"[\[ ><=]", name)[0] for name in wanted]
    assert [name for name in names if GENERATE["normalized"](name) not in PINS] == []


def test_versions_are_pinned_once():
    assert "==" not in (ROOT / "pyproject.toml").read_text()
    assert len(PINS) == sum("==" in line for line in (ROOT / "envs/constraints.txt").read_text().splitlines())


def test_what_makes_the_documentation_agrees_with_the_pins():
    """The environment of the documentation sees the packages of the other, so both must have the same ones."""
    lines = (ROOT / "envs/docs.txt").read_text().splitlines()
    of_docs = [re.match(r"([\w.-]+)==([\w.]+)", line) for line in lines if line[0] != "#"]
    shared = {
        GENERATE["normalized"](pin[1])
        for pin in of_docs
        if PINS.get(GENERATE["normalized"](pin[1]), pin[2]) != pin[2]
    }
    assert shared == {"jsonschema"}  # cffconvert wants an old one


def test_licences_of_all_dependencies_are_listed():
    page = (ROOT / "docs/reference/licences.md").read_text()
    listed = {GENERATE["normalized"](name) for name in re.findall(r"^\| ([\w.-]+) +\|", page, re.MULTILINE)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(name for extra in GENERATE["EXTRAS"] for name in extras[extra])]
    assert {GENERATE["normalized"](name) for name in wanted} <= listed, "type `make licences`"


def test_pythons_are_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pythons = [".".join(map(str, version)) for version in SET_UP["PYTHONS"]]
    assert [line.rpartition(" ")[2] for line in project["classifiers"]] == pythons
    assert project["requires-python"] == f">={pythons[0]},<3.{SET_UP['PYTHONS'][-1][1] + 1}"
    assert f"tests/pythons.py {' '.join(pythons)}\n" in (ROOT / "Makefile").read_text()


def test_uv_is_pinned():
    assert "uv" in PINS


def test_the_settings_of_pip_are_those_of_uv():
    """As `pip config list` prints them, variables of the environment among them."""
    of_pip = """\
:env:.find-links='/wheels /more'
global.cert='/etc/certificates.crt'
global.extra-index-url='file:///one file:///two'
global.find-links='/other'
global.index-url='https://mirror/simple'
install.no-compile='true'
"""
    assert SET_UP["uv_settings"](of_pip) == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/more",
        "SSL_CERT_FILE": "/etc/certificates.crt",
        "UV_INDEX": "file:///one file:///two",
        "UV_DEFAULT_INDEX": "https://mirror/simple",
    }


def test_a_python_that_will_not_do(tmp_path: Path):
    done = subprocess.run(
        ["make", "set-up", "PYTHON=", f"VENV={tmp_path}/v"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "found no Python 3.11, 3.12 or 3.13; install one, or name it" in done.stderr
