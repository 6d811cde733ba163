"""Install the wheel in an empty environment for each Python, and compare the default run with the table of the README.

``python tests/pythons.py 3.11 3.12 3.13``; of PyTorch, the build that the package index gives may take 5 GB.
"""

from __future__ import annotations

import csv
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "envs/constraints.txt"
SET_UP = runpy.run_path(str(ROOT / "envs/set_up.py"))
COLUMNS = [
    (dataset, metric) for dataset in ("test_noise", "test_x2", "test_blur") for metric in ("psnr", "ssim")
]


def interpreter(version: str) -> str:
    """Return the path of a Python: on the PATH, or one of pyenv's."""
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    found = shutil.which(f"python{version}")
    if found and subprocess.run([found, "--version"], capture_output=True).returncode == 0:
        return found
    if not installed:
        sys.exit(f"found no Python {version}")
    return str(installed[-1])


def expected() -> dict[str, list[str]]:
    """Return the table of the README: the cells of each model and method."""
    rows = re.findall(
        r"^\| (\w+) \|(.*\d.*)\|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    return {name: [re.sub(r"[^\d.]", "", cell) for cell in cells.split("|")] for name, cells in rows}


def measured(summary: Path) -> dict[str, list[str]]:
    """Return the same of a run."""
    with open(summary, newline="", encoding="utf-8") as file:
        rows = {
            (row["method"], row["dataset"], row["metric"]): float(row["mean"]) for row in csv.DictReader(file)
        }
    decimals = {"psnr": 2, "ssim": 4}
    table: dict[str, list[str]] = {}
    for method in dict.fromkeys(method for method, _, _ in rows):
        means = [(rows.get((method, *column)), column[1]) for column in COLUMNS]
        table[method] = ["" if mean is None else f"{mean:.{decimals[metric]}f}" for mean, metric in means]
    return table


def try_python(version: str, folder: Path) -> None:
    """Install the wheel in an empty environment, and run the default configuration in an empty folder."""
    environment = folder / f"environment of {version}"  # a path with spaces
    subprocess.run([interpreter(version), "-m", "venv", environment], check=True)
    python = environment / "bin/python"
    uv = shutil.which("uv") or SET_UP["installed_uv"](python)
    of_pip = subprocess.run(
        [python, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    settings = SET_UP["uv_settings"](of_pip) | os.environ
    pins = ["--constraint", CONSTRAINTS, "--build-constraint", CONSTRAINTS]
    install = [uv, "pip", "install", "--quiet", "--python", python, "--compile-bytecode", *pins, ROOT]
    subprocess.run(install, check=True, env=settings)
    run = folder / f"run of {version}"
    run.mkdir()
    subprocess.run(
        [environment / "bin/ensir", "run"], cwd=run, env=os.environ | {"PYTHONPATH": ""}, check=True
    )
    found, wanted = measured(run / "results/summary.csv"), expected()
    wrong = [
        f"{name}: {found.get(name)}, not {cells}"
        for name, cells in wanted.items()
        if found.get(name) != cells
    ]
    if wrong or not wanted:
        sys.exit("\n".join([f"Python {version} gives another table than the README:", *wrong]))
    print(f"Python {version}: the table of the README", flush=True)
    shutil.rmtree(environment)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ensir pythons ") as scratch:
        for name in sys.argv[1:]:
            try_python(name, Path(scratch))
