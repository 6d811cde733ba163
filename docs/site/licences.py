"""List the licences of what is installed with this package: `make licences` writes docs/reference/licences.md."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/licences.md"
EXTRAS = ("clip", "exr", "lpips", "onnx", "pretrained", "slurm")
NOT_HERE = re.compile(r"nvidia-|cuda-|triton")  # what the build of PyTorch for GPUs brings besides
HEAD = """\
# Licences

The package itself is under the [MIT licence](../../LICENSE). These are the licences that the packages state which are
installed with it and with its extras `clip`, `exr`, `lpips`, `onnx`, `pretrained`, `s3` and `slurm`, as pip-licenses
reads them; UNKNOWN means that a package states none where such tools look. `make licences` renews the table. PyTorch
for GPUs brings NVIDIA's libraries besides, under NVIDIA's terms.

"""


def needed(requirements: Iterable[str], extras: tuple[str, ...], found: set[str]) -> set[str]:
    """Add to a set the names of requirements, and of what these need in turn, as far as this system needs them."""
    for text in requirements:
        requirement = Requirement(text)
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        marker = requirement.marker
        wanted = marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))
        if wanted and name not in found and not NOT_HERE.match(name):
            found.add(name)
            needed(metadata.requires(name) or (), tuple(requirement.extras), found)
    return found


def table() -> str:
    """Return the table, as pip-licenses makes it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = (project["optional-dependencies"][extra] for extra in EXTRAS)
    wanted = chain(project["dependencies"], *extras)
    of_package = Path(str(metadata.distribution("ensir-flow").locate_file("../../../bin/python")))
    command = [Path(sys.executable).with_name("pip-licenses"), "--python", of_package]
    command += ["--from", "mixed", "--format", "markdown", "--no-version"]
    command += ["--packages", *sorted(needed(wanted, (), set()))]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    PAGE.write_text(HEAD + table(), encoding="utf-8")
