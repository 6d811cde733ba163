"""List the licences of what is installed with this package: `make licences` writes docs/reference/licences.md."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

PAGE = Path(__file__).parents[1] / "reference" / "licences.md"
EXTRAS = ("", "clip", "exr", "onnx", "pretrained", "slurm")
NOT_HERE = re.compile(r"nvidia-|cuda-|triton")  # what the build of PyTorch for GPUs brings besides
HEAD = """\
# Licences

The package itself is under the [MIT licence](../../LICENSE). These are the licences that the packages state which are
installed with it and with its extras `clip`, `exr`, `onnx`, `pretrained` and `slurm`, as pip-licenses reads them;
UNKNOWN means that a package states none where such tools look. `make licences` renews the table. PyTorch for GPUs
brings NVIDIA's libraries besides, under NVIDIA's terms.

"""


def needed(package: str, extras: tuple[str, ...], found: set[str]) -> set[str]:
    """Add to a set the names of a package's requirements that are installed, and of theirs."""
    for text in metadata.requires(package) or ():
        requirement = Requirement(text)
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": each}) for each in extras
        )
        if wanted and name not in found and not NOT_HERE.match(name):
            found.add(name)
            needed(name, ("", *requirement.extras), found)
    return found


def table() -> str:
    """Return the table, as pip-licenses makes it."""
    of_package = Path(str(metadata.distribution("ensir-flow").locate_file("../../../bin/python")))
    command = [Path(sys.executable).with_name("pip-licenses"), "--python", of_package]
    command += ["--from", "mixed", "--format", "markdown", "--no-version"]
    command += ["--packages", *sorted(needed("ensir-flow", EXTRAS, set()))]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    PAGE.write_text(HEAD + table(), encoding="utf-8")
