"""`ensir reference` prints the tables of the reference: all, or those of one section."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner, Result

from ensir.cli import app
from ensir.config.reference import TABLES, tables


def reference(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["reference", *arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def test_all_sections():
    assert reference().stdout == tables()
    assert re.findall(r"^## .*`(\S+)`$", tables(), re.MULTILINE) == [path for _, path, _ in TABLES.values()]


@pytest.mark.parametrize("name", TABLES)
def test_one_section(name: str):
    printed = reference(name).stdout
    title, path, _ = TABLES[name]
    assert printed.startswith(f"## {title}: `{path}`\n")
    assert printed.count("\n## ") == 0
    assert printed in tables()


def test_the_sections_are_keys():
    assert {"datasets", "models", "methods", "metrics", "figures", "sweep", "dask"} <= set(TABLES)
    assert "### `kind: least_squares`" in reference("methods").stdout
    assert "| `bin_width` |" in reference("methods").stdout


def test_an_unknown_section():
    error = reference("metods", code=2).stderr
    assert error.startswith("error: metods: no such section; allowed: datasets, ")
    assert error.strip().endswith("did you mean 'methods'?")
