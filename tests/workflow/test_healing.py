"""What is missing or damaged is named, and the next run makes it again and nothing else."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h5netcdf
import pytest
from conftest import Run
from typer.testing import CliRunner

from ensir.cli import app
from ensir.config import reading
from ensir.planning.jobs import jobs
from ensir.planning.lost import Lost
from ensir.planning.plan import Plan
from ensir.planning.reads import Reads
from ensir.storage import digests, verification
from ensir.storage.layout import Layout

PART = "predictions/test/a.zarr/*[0-9a-f]"  # and not the seal
LATER = 2_000_000_000 * 10**9  # nanoseconds: in 2033


@pytest.fixture
def run(finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    copy = finished.copy(tmp_path / "run")
    monkeypatch.chdir(copy.folder)
    return copy


def the(run: Run, pattern: str) -> Path:
    """Return a result, or a file of one, relative to the folder of the run."""
    found = (path.relative_to(run.folder) for path in sorted((run.folder / "results").glob(pattern)))
    return next(path for path in found if path.name != "zarr.json" or pattern.endswith("zarr.json"))


def lost() -> list[list[str]]:
    reads = Reads(Plan(reading.load("config.yaml")))
    return Lost(reads).levels("all", reads.targets.all())


def remembered(result: str) -> SimpleNamespace | None:
    """Return what Snakemake keeps of a job, as it does."""
    kept = Path(".snakemake/metadata", base64.b64encode(result.encode()).decode())
    return SimpleNamespace(**json.loads(kept.read_text())) if kept.exists() else None


def delete(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def change(path: Path) -> None:
    """Change a byte, and neither the size nor, in a folder, more than dates show."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(LATER, LATER))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])
    os.utime(path, ns=(LATER, LATER))


def test_jobs_make_every_result(run: Run):
    plan = Plan(reading.load("config.yaml"))
    made = {result for job in jobs(Reads(plan)) for result in job.results if "/figures/" not in result}
    digests = Path("results/digests").rglob("*.sha256")
    assert made == {str(plan.layout.result_of(digest)) for digest in digests}


def test_nothing_is_lost_whatever_the_dates(run: Run):
    assert lost() == []
    for file in Path("results").rglob("*"):
        os.utime(file)
    assert lost() == []


KINDS = ["datasets/ref.zarr/*[0-9a-f]", PART, "statistics/one/bins.zarr", "weights/one/ensir/0.zarr",
         "luts/one/ensir.lut", "fused/one/test/ensir.zarr/*[0-9a-f]", "scores/one/test/a/*.csv",
         "seconds/fuse/one/test/ensir/*.csv", "summary.csv", "tables", "report.html", "provenance.json",
         "predictions/test/a.zarr/zarr.json"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", [delete, change, truncate])
def test_planning_notices_what_is_missing_or_damaged(run: Run, kind: str, damage: Callable):
    result = file = the(run, kind)
    if result.is_dir() and damage is not delete:
        file = max(
            (file for file in result.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size
        )
    damage(file)
    found = [result for level in lost() for result in level]
    # A target that is missing, Snakemake itself makes again.
    is_target = kind in ("tables", "report.html", "provenance.json") or kind.endswith("zarr.json")
    assert (str(result) in found) != (is_target and damage is delete)
    (finding,) = [one for one in verification.verify("results", Layout()) if one.problems]
    assert finding.result == result


def test_a_backup_that_was_put_back_is_noticed(run: Run):
    """Another LUT with its digest, both whole: what was made of it is made again, too, for that may be another as well."""
    reads = Reads(Plan(reading.load("config.yaml")))

    def found() -> list[list[str]]:
        return Lost(reads, remembered=remembered).levels("all", reads.targets.all())

    assert found() == []
    lut = Path("results/luts/one/ensir.lut")
    digest, dates = Path(Layout().digest(str(lut))), lut.stat()
    with h5netcdf.File(lut, "a") as file:
        file.attrs["comment"] = "an older one"
    digest.write_text(digests.digests(lut))
    for file in (lut, digest):
        os.utime(file, ns=(dates.st_atime_ns, dates.st_mtime_ns))
    assert lost() == []  # each is what it says it is
    (first, *others) = found()
    assert first == [str(lut)]
    kinds = {result.split("/")[1] for level in others for result in level}
    assert kinds == {
        "fused",
        "seconds",
        "scores",
        "scores.csv",
        "summary.csv",
        "tables",
        "report.html",
        "provenance.json",
    }

    made = remembered(str(digest))
    later = Path(".snakemake/metadata", base64.b64encode(str(digest).encode()).decode())
    later.write_text(json.dumps({**vars(made), "starttime": time.time()}))  # as after a run that was killed
    assert found() == []


@pytest.mark.parametrize("gone", ["digest", "part and digest", "all that tells of it but the last run"])
def test_a_missing_digest_is_noticed(run: Run, gone: str):
    result = the(run, "statistics/one/bins.zarr" if gone.startswith("all") else PART)
    digest = Path(Layout().digest(str(result)))
    digest.unlink()
    if gone != "digest":
        shutil.rmtree(result)
    if gone.startswith("all"):
        Layout.origin_of(digest).unlink()
    assert lost() == [[str(result)]]
    (finding,) = [one for one in verification.verify("results", Layout()) if one.problems]
    assert (finding.result, finding.problems) == (
        result,
        ["has no digest" if gone == "digest" else "missing"],
    )


def test_a_part_that_is_not_the_one_that_was_sealed_is_noticed(run: Run):
    a, b = (the(run, PART.replace("a.zarr", f"{model}.zarr")) for model in "ab")
    shutil.rmtree(a)
    shutil.copytree(b, a)
    for path in (Layout().digest, lambda part: str(Layout.origin_of(Layout().digest(part)))):
        shutil.copy(path(str(b)), path(str(a)))
    (finding,) = [one for one in verification.verify("results", Layout()) if one.problems]
    assert finding.result == a
    assert "the seal of its store" in finding.problems[0]


def test_what_is_lost_comes_in_order(run: Run):
    wanted = [
        the(run, kind)
        for kind in ("datasets/ref.zarr/*[0-9a-f]", "statistics/one/bins.zarr", "luts/one/*.lut")
    ]
    for result in wanted:
        delete(result)
    assert lost() == [[str(result)] for result in wanted]


def test_what_was_never_made_is_not_lost(run: Run):
    """It comes by itself, with all that reads it: a model that is new, and all of a folder where nothing was run."""
    config = run.config
    config["experiments"]["one"]["models"].append("c")
    run.config = config
    assert lost() == []
    shutil.rmtree("results")
    assert lost() == []


def verified(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["verify", *arguments])
    return result.exit_code, result.output


def test_repair_removes_what_is_damaged_and_nothing_else(run: Run):
    part, table = the(run, PART), the(run, "scores/one/test/a/*.csv")
    chunk = part / "value/c/0/0"
    change(chunk)
    change(table)
    Path("results/datasets/notes.txt").write_text("mine")
    Path("results/statistics/one/bins.zarr/notes.txt").write_text("mine")
    before = set(Path("results").rglob("*"))
    assert verified()[0] == 1
    assert set(Path("results").rglob("*")) == before
    code, output = verified("--repair")
    assert code == 1
    assert "run again" in output
    removed = {str(path) for path in before - set(Path("results").rglob("*"))}
    outermost = {path for path in removed if str(Path(path).parent) not in removed}
    digests = {Layout().digest(str(result)) for result in (part, table)}
    assert outermost == {str(part), str(table), *digests, "results/statistics/one/bins.zarr/notes.txt"}
    assert {result for level in lost() for result in level} == {str(part), str(table)}


def test_a_configuration_tells_what_must_be_there(run: Run):
    for folder in ("weights", "digests/weights"):
        shutil.rmtree(Path("results", folder))
    Path("results/provenance.json").unlink()
    Path("results/digests/provenance.json.sha256").unlink()
    assert verified()[0] == 0
    code, output = verified("config.yaml")
    assert code == 1
    for missing in ("weights/one/ensir/0.zarr", "weights/one/ensir/1.zarr", "provenance.json"):
        assert f"results/{missing}: missing" in output


def test_a_running_workflow_is_not_repaired(run: Run):
    Path(".snakemake/locks").mkdir(exist_ok=True)
    Path(".snakemake/locks/0.input.lock").touch()
    change(the(run, "luts/one/*.lut"))
    code, output = verified("--repair")
    assert code == 2
    assert "ensir resume" in output
    assert the(run, "luts/one/*.lut").exists()


def executed(output: str) -> set[str]:
    return set(re.findall(r"^Job \d+: (.*)$", output, re.MULTILINE))


def test_a_run_makes_again_what_is_lost_and_nothing_else(run: Run, finished: Run):
    """In the order of what needs what, so that the prediction between two of them stays."""
    dataset, chunk = the(run, "datasets/ref.zarr/*[0-9a-f]"), the(run, PART + "/value/c/0/0")
    statistics, weights = the(run, "statistics/one/bins.zarr"), the(run, "weights/one/ensir/0.zarr")
    for result in (dataset, statistics, weights):
        delete(result)
    change(chunk)
    jobs_run = executed(run.run("--workflow-profile", "none"))
    steps = {job for job in jobs_run if job.startswith("list what was lost")}
    assert len(steps) == 3
    part = dataset.name
    again = {f"ingest ref, part {part}", f"predict test with a, part {chunk.parts[4]}",
             "partition the reference of one: bins", "estimate ensir of one, shard 0"}  # fmt: skip
    # How long a fit took is measured anew, and so are the tables that tell of it.
    tables = {"collect all scores", "make the tables in results/tables", "make results/report.html"}
    assert again <= jobs_run - steps <= again | tables | {"make results/provenance.json"}
    assert run.digests() == finished.digests()
    assert run.planned() == []
    assert not [one for one in verification.verify("results", Layout()) if one.problems]
    assert json.loads(Path("results/logs/repair/all/0.json").read_text()) == [
        str(dataset),
        str(chunk.parents[3]),
    ]
