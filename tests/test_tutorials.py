"""The tutorials run, and print what their pages show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs/tutorials"
NAMES = sorted(path.stem for path in TUTORIALS.glob("*.md"))


def python(folder: Path, *arguments: str, packages: str = "") -> str:
    """Run Python in a folder; return what it prints."""
    variables = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{packages}"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_tutorial_prints_what_its_page_shows(tmp_path: Path, name: str):
    printed = [line for line in python(tmp_path, str(TUTORIALS / f"{name}.py")).splitlines() if line.strip()]
    shown = (TUTORIALS / f"{name}.md").read_text(encoding="utf-8").splitlines()
    assert len(printed) > 10
    assert [line for line in printed if f"    {line}" not in shown] == [], "type `make tutorials`"
    if name == "add_a_method":  # it is known to the commands, too, as the page says
        command = "from ensir.cli import app; app(['reference', 'methods'])"
        packages = str(tmp_path / "packages")
        assert "`kind: inverse_error`" in python(tmp_path, "-c", command, packages=packages)


def test_pages_are_those_of_the_tutorials():
    """Text and code of each tutorial are in its page; what it prints, the test above compares."""
    assert len(NAMES) == 3
    for name in NAMES:
        page = (TUTORIALS / f"{name}.md").read_text(encoding="utf-8")
        cells = (TUTORIALS / f"{name}.py").read_text(encoding="utf-8").split("\n# %%")[1:]
        for cell in cells:
            title, _, text = cell.partition("\n")
            lines = (
                [line.removeprefix("# ").rstrip("#") for line in text.splitlines()]
                if title
                else text.splitlines()
            )
            missing = [line for line in lines if line.strip() and line not in page]
            assert missing == [], "type `make tutorials`"
        pictures = {path.name for path in TUTORIALS.glob(f"{name}_*.png")}
        assert pictures
        assert all(f"]({picture})" in page for picture in pictures)
