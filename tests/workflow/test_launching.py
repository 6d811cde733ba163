"""`ensir run`, `plan` and `resume`; results anywhere; the workflow from a clone, as installed, as a module."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from conftest import SNAKEMAKE, Run, prepare

from ensir.cli.check import checked
from ensir.planning import check

SMALLEST = Path(__file__).parents[2] / ".test/config/config.yaml"


def ensir(run: Run, *arguments: str, installed: Path | None = None, code: int = 0) -> str:
    """Run a command of `ensir` in the folder of a run, as cloned or installed; returns what it printed."""
    command = [sys.executable, "-c", "from ensir.cli import app; app()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(run.repository / "src")}
    if installed:
        command, environment = [str(installed / "bin/ensir"), *arguments], without_source()
    done = subprocess.run(
        command, cwd=run.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def test_run_plan_resume(finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """All in one, for a copy of a run is not free."""
    run = finished.copy(tmp_path / "a run")
    page = str(run.folder / "results/report.html")
    printed = ensir(run, "run", "config.yaml")
    assert "nothing to do: all results are up to date" in printed
    assert "average" in printed
    assert f"report: {page}\n" in printed

    assert ensir(run, "plan", "config.yaml").endswith("nothing to do: all results are up to date\n")
    other = {**run.config, "compute": {"shards": 1}}
    (run.folder / "other.yaml").write_text(yaml.safe_dump(other))
    monkeypatch.chdir(run.folder)
    assert (
        check.replaced(checked("other.yaml", None).plan, Path("other.yaml")) is None
    )  # it makes the same page
    other["experiments"]["one"]["methods"]["zzpm"] = {}
    (run.folder / "other.yaml").write_text(yaml.safe_dump(other))
    planned = ensir(run, "plan", "other.yaml")
    assert (
        "results: report and tables, all results of the experiment one of config.yaml will be replaced by those of "
        "other.yaml; to keep both, give "
        "--results DIR\n"
    ) in planned
    assert re.search(r"^\d+ jobs: .*\bfuse 4\b", planned, re.MULTILINE)
    assert re.search(r"^  they are not there yet: .*\bfuse 2\b", planned, re.MULTILINE)
    assert re.search(r"^  fuse test by zzpm of one, part ", planned, re.MULTILINE)
    elsewhere = ensir(run, "plan", "other.yaml", "--results", "my results", "--", "--quiet", "rules")
    assert "will be replaced" not in elsewhere
    assert "\ningest  " in elsewhere

    (run.folder / "results/provenance.json").unlink()
    locks = run.folder / ".snakemake/locks"
    locks.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text("results/provenance.json\n")
    assert "or was killed; if none is, run `ensir resume`" in ensir(run, "run", "config.yaml", code=1)
    with results_locked():
        assert ensir(run, "resume", "config.yaml", code=2) == (
            "error: results: another run is at work there; wait for it, or give another folder (--results DIR)\n"
        )
    assert any(locks.glob("*"))
    ensir(run, "resume", "config.yaml")
    assert (run.folder / "results/provenance.json").is_file()
    assert not any(locks.glob("*"))

    assert check.foreign(checked("other.yaml", None).plan) is None  # another method alone
    other["experiments"]["one"]["methods"]["ensir"]["bin_width"] = 32
    (run.folder / "other.yaml").write_text(yaml.safe_dump(other))
    assert check.foreign(checked("other.yaml", None).plan) is None  # Snakemake knows how results were made
    shutil.rmtree(".snakemake")
    assert "results/datasets/ref.zarr/" in (printed := ensir(run, "plan", "other.yaml", code=2))
    assert "was made in another working directory, and the last run, of config.yaml, had another" in printed
    assert " experiments.one.methods.ensir.bin_width than other.yaml: nothing here tells" in printed
    assert check.foreign(checked("config.yaml", None).plan) is None


@contextmanager
def results_locked() -> Iterator[None]:
    """Hold the results folder as a run does."""
    folder = os.open("results", os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def test_mistakes_come_before_snakemake(fresh: Run):
    fresh.config = {**fresh.config, "modles": {}}
    for command in ("run", "plan", "resume"):
        printed = ensir(fresh, command, "config.yaml", code=2)
        assert printed.startswith("config.yaml: modles: unknown key; allowed: ")
        assert "\n" not in printed.strip()
    assert "is no folder with a config.yaml, and none of kubernetes, local, slurm" in ensir(
        fresh, "run", "--profile", "pbs", code=2
    )


def test_a_working_directory_that_cannot_be_written(tmp_path: Path, repository: Path):
    """Even root cannot write into it."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", str(tmp_path)], check=False).returncode:
        pytest.skip("mounting a read-only file system needs root")
    try:
        printed = ensir(Run(tmp_path, repository), "run", code=2)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert printed == (
        f"error: {tmp_path}: cannot be written, and Snakemake keeps its records in the working directory; run in a "
        "folder of yours\n"
    )


@pytest.mark.slow
def test_results_may_be_anywhere(finished: Run, tmp_path: Path, repository: Path):
    """The same results, wherever they are; commands find them by the configuration."""
    run = prepare(tmp_path / "run", repository)
    run.config = {"results": "my results/of today", **run.config}
    ensir(run, "run", "config.yaml")
    assert not (run.folder / "results").exists()
    moved = Run(run.folder, repository)
    (run.folder / "my results/of today").rename(run.folder / "results")
    assert {name.replace("my results/of today", "results") for name in moved.digests()} == set(
        finished.digests()
    )
    assert moved.digests() == finished.digests()
    (run.folder / "results").rename(run.folder / "my results/of today")
    assert "0 damaged" in ensir(run, "verify", "config.yaml")
    assert "0 results" in ensir(run, "gc", "config.yaml")
    assert "average" in ensir(run, "table", "config.yaml")
    assert "nothing to do" in ensir(run, "run", "config.yaml")


def as_module(run: Run) -> None:
    """Make the workflow of a run a module of another one."""
    (run.folder / "Snakefile").write_text(
        f"""
configfile: "config.yaml"

module ensir:
    snakefile: "{run.repository}/Snakefile"
    config: config["fusing"]
    prefix: "below"

use rule * from ensir as ensir_*

rule all:
    input: rules.ensir_all.input
    default_target: True
"""
    )
    run.config = {"fusing": run.config, "datasets": "of the other workflow"}


def of_module(run: Run, *arguments: str) -> str:
    """Run Snakemake on the Snakefile of the other workflow."""
    command = [str(SNAKEMAKE), "--cores", "2", "--workflow-profile", "profile", *arguments]
    shutil.copytree(run.repository / "workflow/profiles/local", run.folder / "profile", dirs_exist_ok=True)
    done = subprocess.run(
        command,
        cwd=run.folder,
        env=run.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_deployed_workflow_is_planned(tmp_path: Path, repository: Path):
    """With the Snakefile that snakedeploy 0.17 writes, but the path of a clone in place of a repository's address."""
    (tmp_path / "config").mkdir()
    shutil.copy(SMALLEST, tmp_path / "config")
    (tmp_path / "Snakefile").write_text(
        f"""
configfile: "config/config.yaml"

module ensir:
    snakefile:
        "{repository}/Snakefile"
    config:
        config

use rule * from ensir
"""
    )
    planned = of_module(Run(tmp_path, repository), "--dry-run")
    assert "make results/report.html" in planned


def test_a_module_is_planned_below_its_prefix(fresh: Run):
    as_module(fresh)
    planned = of_module(fresh, "--dry-run")
    assert "below/results/report.html" in planned
    assert "ensir_predict" in planned


@pytest.mark.slow
def test_a_module_gives_the_same_results(finished: Run, fresh: Run):
    as_module(fresh)
    of_module(fresh)
    assert not (fresh.folder / "results").exists()
    shutil.move(fresh.folder / "below/results", fresh.folder / "results")
    assert fresh.digests() == finished.digests()


def without_source() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def install(distribution: Path, environment: Path) -> Path:
    """Install the package alone in an environment of its own, which sees the packages that it needs."""
    venv.create(environment, with_pip=False)
    (packages,) = environment.glob("lib/*/site-packages")
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin/python"), "install", "--quiet"]
    alone = ["--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed"]
    subprocess.run([*pip, *alone, str(distribution)], check=True, env=without_source())
    return environment


@pytest.mark.slow
def test_clone_wheel_and_source_distribution_rerun_nothing(
    tmp_path: Path, repository: Path, wheel: Path, sdist: Path
):
    """Over one results folder, whichever of them made it; with weights that ship with the package."""
    of_wheel, of_sdist = (
        install(kind, tmp_path / f"environment {n}") for n, kind in enumerate((wheel, sdist))
    )
    run = Run(tmp_path / "run", repository)
    run.folder.mkdir()
    shutil.copy(SMALLEST, run.config_file)
    assert "nothing to do" not in ensir(run, "run", "config.yaml")
    for script in of_wheel.glob("lib/*/site-packages/ensir/embedded/workflow/scripts/*"):
        script.touch()
    assert "nothing to do" in ensir(run, "run", "config.yaml", installed=of_wheel)
    shutil.rmtree(run.folder / "results")
    assert "nothing to do" not in ensir(run, "run", "config.yaml", installed=of_sdist)
    assert "nothing to do" in ensir(run, "run", "config.yaml")


@pytest.mark.slow
def test_the_installed_package_is_imported_at_once(tmp_path: Path, wheel: Path):
    python = install(wheel, tmp_path / "environment") / "bin/python"
    code = "import time; start = time.perf_counter(); import ensir; print(time.perf_counter() - start, ensir.__file__)"
    printed = [
        subprocess.run([python, "-c", code], env=without_source(), check=True, capture_output=True, text=True)
        for _ in range(3)
    ]
    seconds, place = zip(*(done.stdout.split() for done in printed), strict=True)
    assert Path(place[0]).is_relative_to(tmp_path)
    assert min(map(float, seconds)) <= 0.3
