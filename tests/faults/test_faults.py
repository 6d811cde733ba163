"""Every stage survives an I/O error, a full disk and a kill, at every call that touches the disk; see `injector`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STAGES = ("ingest", "predict", "seal", "partition", "estimate", "merge", "fuse", "score", "publish")


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that fails calls of others."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler, cc")
    built = tmp_path_factory.mktemp("shim") / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", built, HERE / "shim.c", "-ldl"], check=True)
    return built


def inject(shim: Path, *options: str) -> str:
    told = subprocess.run(
        [sys.executable, HERE / "injector.py", *options, shim],
        env={**os.environ, "LD_PRELOAD": str(shim), "NUMBA_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


@pytest.mark.faults
def test_some_points(shim: Path):
    """Three faults at one point or two of each stage, where its result is new, and where there is one already."""
    told = inject(shim, "--sample", "1").splitlines()
    assert told[-1].endswith(" faults, 0 wrong")
    assert int(told[-1].split()[0]) >= 60


@pytest.mark.faults_all
@pytest.mark.parametrize("stage", STAGES)
def test_every_point(shim: Path, stage: str):
    told = inject(shim, "--stage", stage)
    print(told)
    assert told.splitlines()[-1].endswith(" faults, 0 wrong")
