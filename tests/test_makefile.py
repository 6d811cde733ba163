"""Every target that runs the workflow checks the configuration first, whatever the name of its file."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECK = '.venv/bin/ensir check --quiet "my config.yaml"'


@pytest.mark.parametrize("target", ["run", "dry-run", "resume", "figures", "workflow-report"])
def test_the_check_comes_first(target: str):
    command = ["make", "--dry-run", target, "CONFIG=my config.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    steps = [line for line in done.stdout.splitlines() if "ensir check" in line or "snakemake" in line]
    assert steps[0] == CHECK
    assert all('--configfile "my config.yaml"' in step for step in steps if "snakemake" in step)
