"""Snakemake as a child process: what it says where it fails, and for whom it runs."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest
import typer

from ensir.cli import snakemake_process


def test_a_user_without_a_name_and_a_plan_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """As in a container, where a number is all that a user has; Snakemake fails in its own words."""

    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 2001")

    monkeypatch.setattr(getpass, "getuser", unknown)
    monkeypatch.chdir(tmp_path)
    Path("Snakefile").write_text(
        "import getpass\nimport sys\nassert getpass.getuser().isdigit()\nprint('told', file=sys.stderr)\n"
        "rule all:\n    input: 'nobody makes this'\n"
    )
    for variable in ("LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(typer.Exit):
        snakemake_process.execute(["--dry-run", "--quiet", "host"], True, None, warnings=["told"])
    said = capsys.readouterr().err
    assert said.startswith("MissingInputException in rule all")
    assert "nobody makes this" in said
    assert "told" not in said, "what was printed before is not printed again"
