"""Where the workflow and the package are found: in a clone, in an unpacked wheel, by the jobs of other environments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from ensir.errors import InputError
from ensir.execution import workflow_files

ROOT = Path(__file__).parents[2]


def test_in_a_clone():
    assert workflow_files.folder() == ROOT
    assert workflow_files.source_folder() == ROOT / "src"  # for jobs in an environment without the package
    assert workflow_files.default_configuration() == ROOT / "config/config.yaml"


def test_in_a_wheel(wheel: Path, tmp_path: Path):
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site-packages")
    code = """
from snakemake.common import get_snakemake_searchpaths
from ensir.execution import workflow_files
print(workflow_files.folder(), workflow_files.source_folder(), *get_snakemake_searchpaths(), sep="\\n")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path / "site-packages")},
        capture_output=True,
        text=True,
        check=True,
    )
    folder, source, *searched = done.stdout.splitlines()
    assert folder == str(tmp_path / "site-packages/ensir/embedded")
    assert source == "None"
    assert str(tmp_path / "site-packages") in searched  # where jobs find it


def test_profiles(tmp_path: Path):
    assert workflow_files.profile("slurm") == ROOT / "workflow/profiles/slurm"
    with pytest.raises(InputError, match="none of kubernetes, local, slurm"):
        workflow_files.profile(str(tmp_path))
    (tmp_path / "config.yaml").touch()
    assert workflow_files.profile(str(tmp_path)) == tmp_path
