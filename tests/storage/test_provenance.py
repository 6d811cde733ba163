"""What counts as code of a result, and what does not: digests of copies of the package, with one edit each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
READING = ("ensir.stages.ingest", "ensir.restorers.folder")  # image files, which may be TIFF
FITTING = (
    *(f"ensir.stages.{stage}" for stage in ("predict", "estimate", "merge", "fuse", "score")),
    *(f"ensir.methods.{method}" for method in ("ensir", "zzpm", "refesr", "hgbt", "local_filters", "ptgrm")),
    *(f"ensir.restorers.{kind}" for kind in ("classical", "exported", "dmsp", "ptgrm")),
    *(f"ensir.figures.{figure}" for figure in ("gain", "weight_maps", "features")),
)  # fmt: skip
BY_NAME = ("ensir.stages.partition", "ensir.stages.fit")  # load all that computes by name
DIGESTS = """
import json, sys
from ensir.storage.provenance import source_digest
print(json.dumps({module: source_digest(module) for module in sys.argv[1:]}))
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copied")
    shutil.copytree(
        SOURCE / "ensir", folder / "ensir", ignore=shutil.ignore_patterns("__pycache__", "weights")
    )
    return folder


def digests(folder: Path) -> dict[str, str]:
    command = [sys.executable, "-c", DIGESTS, *READING, *FITTING, *BY_NAME]
    found = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True, check=True
    )
    return json.loads(found.stdout)


@pytest.fixture(scope="module")
def before(copied: Path) -> dict[str, str]:
    return digests(copied)


@pytest.mark.parametrize(
    ("file", "text", "edited", "changes"),
    [
        ("images/formats/tiff.py", "save it whole", "save all of it", ()),
        (
            "images/formats/tiff.py",
            "{page.samplesperpixel} channels",
            "{page.samplesperpixel + 1} channels",
            (),
        ),
        ("images/formats/tiff.py", "colours >> 8", "colours >> 7", READING),
        ("images/formats/tiff.py", "if page.samplesperpixel > 4:", "if page.samplesperpixel > 3:", READING),
        ("images/patterns.py", "import re", "import re as _re", ()),
        ("networks/meanshift.py", "%d steps of", "%d steps, each of", ()),
        ("section.py", "`input` or `degradation`", "an input", ()),
        ("images/depth.py", "return 2**bits - 1", "return 2**bits", (*READING, *FITTING, "ensir.stages.fit")),
    ],
)
def test_what_an_edit_reruns(
    file: str, text: str, edited: str, changes: tuple[str, ...], copied: Path, before: dict[str, str]
):
    """Rewording nothing; the reader of TIFF files only what reads files; the unit of a depth nearly everything."""
    path = copied / "ensir" / file
    content = path.read_text(encoding="utf-8")
    assert text in content
    path.write_text(content.replace(text, edited), encoding="utf-8")
    after = digests(copied)
    path.write_text(content, encoding="utf-8")
    changed = {module for module in before if after[module] != before[module]}
    assert changed == set(changes)
