"""Write cpu.yaml and gpu.yaml, for `snakemake --sdm conda`: what the workflow needs, as pinned in constraints.txt."""

import re
import tomllib
from pathlib import Path

FOLDER = Path(__file__).parent
EXTRAS = (
    "pretrained",
    "onnx",
    "clip",
    "exr",
    "lpips",
    "s3",
    "slurm",
)  # all that a configuration may ask for, as pinned
ABOUT = {
    "cpu": "# PyTorch is the build for CPUs where pip knows an index of those builds, as by PIP_EXTRA_INDEX_URL; the\n"
    "# build for GPUs otherwise, which is larger and runs on CPUs as well.\n",
    "gpu": "# PyTorch is the build for GPUs: the one that pip finds without further settings.\n",
}


def pins() -> dict[str, str]:
    """Return the pinned version of each package, by its normalized name."""
    lines = (FOLDER / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {
        normalized(name): version for name, _, version in (line.partition("==") for line in lines) if version
    }


def normalized(name: str) -> str:
    """Return the name of a package as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def environment(kind: str) -> str:
    """Return the text of an environment: `cpu` or `gpu`."""
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    names = {*project["dependencies"], *(name for extra in EXTRAS for name in extras[extra])}
    versions = pins()
    return "".join(
        [
            "# Generated from constraints.txt and pyproject.toml by `make environments`.\n",
            ABOUT[kind],
            f"name: ensir-{kind}\n",
            "channels:\n  - conda-forge\n  - nodefaults\n",
            "dependencies:\n  - python=3.11\n  - pip\n  - pip:\n",
            *(f"      - {name}=={versions[normalized(name)]}\n" for name in sorted(names, key=str.lower)),
        ]
    )


if __name__ == "__main__":
    for kind in ABOUT:
        (FOLDER / f"{kind}.yaml").write_text(environment(kind), encoding="utf-8")
