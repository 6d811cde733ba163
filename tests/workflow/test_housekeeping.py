"""`ensir gc` and the record of a run: every result is accounted for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Run
from typer.testing import CliRunner

from ensir.cli import app
from ensir.config import reading
from ensir.errors import InputError
from ensir.planning import jobs
from ensir.planning.garbage import needed
from ensir.planning.plan import Plan
from ensir.planning.reads import Reads
from ensir.storage import digests, verification
from ensir.storage.layout import DIGESTED, Layout


def digested(run: Run) -> set[str]:
    folder = run.folder / "results/digests"
    return {
        f"results/{path.relative_to(folder)}".removesuffix(".sha256") for path in folder.rglob("*.sha256")
    }


def test_every_result_is_needed_and_recorded(finished: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(finished.folder)
    plan = Plan(reading.load("config.yaml"), Layout("results"))
    wanted = {str(path) for path in needed(Reads(plan)) if path.exists() and path.parts[1] != "sources"}
    assert wanted == digested(finished)

    measured = Path("results/benchmarks")
    names = {path.relative_to(measured).with_suffix("").as_posix() for path in measured.glob("*/**/*.tsv")}
    assert {name.partition("/")[2] for name in names} <= set(jobs.names(Reads(plan)))

    record = json.loads(Path("results/provenance.json").read_text())
    assert record["results"].keys() == {path for path in wanted if path.split("/")[1] in DIGESTED}
    assert record["run"]["packages"]["numpy"]
    lut = record["results"]["results/luts/one/ensir.lut"]
    assert lut["sha256"] == digests.sha256("results/digests/luts/one/ensir.lut.sha256")
    assert {"host", "time", "commit", "options", "versions"} <= lut.keys()


def test_gc_removes_what_a_smaller_configuration_leaves(
    finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = finished.copy(tmp_path / "run")
    monkeypatch.chdir(run.folder)
    (run.folder / "results/figures/gone").mkdir(parents=True)
    before = (run.folder / "config.yaml").rename(run.folder / "before.yaml")
    smaller = {**finished.config}
    smaller["experiments"]["one"]["models"].remove("f")
    smaller["experiments"]["one"]["methods"].pop("average")
    run.config = smaller

    def collected(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["gc", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert "1 results, 0.00 MB: not needed" in collected(str(before))  # figures of an experiment that is gone
    assert "1 results" in collected("config.yaml", str(before))  # what either needs stays
    listed = collected("config.yaml")
    for path in (
        "predictions/ref/f.zarr",
        "predictions/test/f.zarr",
        "fused/one/test/average.zarr",
        "scores/one/test/f",
    ):
        assert f"results/{path}\n" in listed
        assert (run.folder / "results" / path).exists()
    assert "predictions/test/a.zarr" not in listed

    assert "deleted" in collected("config.yaml", "--remove")
    assert not (run.folder / "results/predictions/test/f.zarr").exists()
    run.run()
    assert not any(one.problems for one in verification.verify("results", Layout("results")))
    assert "0 results" in collected("config.yaml")


def test_gc_leaves_a_running_workflow_alone(finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = finished.copy(tmp_path / "run")
    monkeypatch.chdir(run.folder)
    (run.folder / ".snakemake/locks").mkdir(exist_ok=True)
    (run.folder / ".snakemake/locks/0.input.lock").touch()
    result = CliRunner().invoke(app, ["gc", "config.yaml", "--remove"])
    assert result.exit_code == 2
    assert "ensir resume" in result.output
    assert isinstance(result.exception, SystemExit | InputError)
