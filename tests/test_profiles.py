"""The profiles name rules and options that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from snakemake.cli import get_argument_parser

ROOT = Path(__file__).parents[1]


def profile(name: str) -> dict:
    return yaml.safe_load((ROOT / "workflow/profiles" / name / "config.yaml").read_text())


def test_groups_hold_rules_that_there_are():
    rules = "\n".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    groups, components = profile("slurm")["groups"], profile("slurm")["group-components"]
    assert set(groups) <= set(re.findall(r"^rule (\w+):", rules, re.MULTILINE))
    assert set(components) <= set(groups.values())


@pytest.mark.parametrize("name", ["local", "slurm", "kubernetes"])
def test_keys_are_options_that_there_are(name: str):
    options = {
        word.lstrip("-") for action in get_argument_parser()._actions for word in action.option_strings
    }
    unknown = [key for key in profile(name) if key not in options]
    assert all(key.startswith("kubernetes-") for key in unknown), (
        unknown
    )  # of a plugin that is not installed here
