"""Targets that run the workflow are short for commands of `ensir`, whatever the name of a configuration is."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GIVEN = '"my config.yaml" --results "my results"'


@pytest.mark.parametrize(
    ("target", "last"),
    [
        ("run", f"run {GIVEN}"),
        ("check", f"check {GIVEN}"),
        ("dry-run", f"plan {GIVEN}"),
        ("resume", f"resume {GIVEN}"),
        ("figures", f"run {GIVEN} -- figures"),
        ("workflow-report", f'run {GIVEN} -- --report "my results/workflow-report.html" -- all figures'),
    ],
)
def test_targets_are_commands(target: str, last: str):
    assert commands(target, "CONFIG=my config.yaml", "RESULTS=my results")[-1] == f'".venv/bin/ensir" {last}'


def test_the_default_is_the_embedded_one():
    assert commands("run")[-1].split() == ['".venv/bin/ensir"', "run"]
    assert commands("check")[-1].split() == ['".venv/bin/ensir"', "check", '"config/config.yaml"']


def test_help_names_the_targets():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (
        "run               run the workflow on CONFIG=config/config.yaml, into RESULTS=results\n"
        in done.stdout
    )


def commands(*arguments: str) -> list[str]:
    """Return the commands that make would run."""
    done = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()
