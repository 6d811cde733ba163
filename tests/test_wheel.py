"""The wheel holds the workflow, to the byte."""

from __future__ import annotations

import re
from pathlib import Path
from zipfile import ZipFile

import ensir

ROOT = Path(__file__).parents[1]


def test_the_workflow_is_in_the_wheel(wheel: Path):
    expected = {"Snakefile": (ROOT / "Snakefile").read_bytes()}
    for folder in ("workflow", "config", "envs"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                expected[str(path.relative_to(ROOT))] = path.read_bytes()
    with ZipFile(wheel) as archive:
        inside = {
            name.removeprefix("ensir/embedded/"): archive.read(name)
            for name in archive.namelist()
            if name.startswith("ensir/embedded/")
        }
        package = {name for name in archive.namelist() if name.startswith("ensir/")} - {
            f"ensir/embedded/{name}" for name in inside
        }
    assert inside == expected
    source = (path.relative_to(ROOT / "src") for path in (ROOT / "src/ensir").rglob("*") if path.is_file())
    assert package == {str(path) for path in source if path.suffix not in (".pyc", ".nbi", ".nbc", ".o")}


def test_the_version_is_the_same_everywhere(wheel: Path):
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = re.search(r"^## (\d[\d.]*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert f"\nversion: {ensir.__version__}\n" in citation
    assert changes is not None
    assert changes[1] == ensir.__version__
    assert wheel.name.startswith(f"ensir_flow-{ensir.__version__}-")
