"""What each change reruns, and what it leaves alone."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, copy_repository, write_dataset, write_images

from ensir.images import image_files
from ensir.storage import reading


def edit_config(change: Callable[[dict], None]) -> Callable[[Run], None]:
    def apply(run: Run) -> None:
        config = run.config
        change(config)
        run.config = config

    return apply


def edit_source(path: str, old: str, new: str) -> Callable[[Run], None]:
    def apply(run: Run) -> None:
        copy = copy_repository(run.repository, run.folder.parent)
        text = (copy / path).read_text()
        assert old in text
        (copy / path).write_text(text.replace(old, new, 1))
        run.repository = copy

    return apply


OLD = 1_500_000_000 * 10**9  # nanoseconds: in 2017


def touch(path: str, date: int | None = None) -> Callable[[Run], None]:
    return lambda run: os.utime(run.folder / path, **({"ns": (date, date)} if date else {}))


def replace_by_older(path: str, other: str) -> Callable[[Run], None]:
    """As `cp -p` or unzip does it: other content of an older date, which make and Snakemake do not see."""

    def change(run: Run) -> None:
        shutil.copy(run.folder / other, run.folder / path)
        os.utime(run.folder / path, ns=(OLD, OLD))

    return change


def add_method(config: dict) -> None:
    config["experiments"]["one"]["methods"]["zzpm"] = {}


def set_bin_width(config: dict) -> None:
    config["experiments"]["one"]["methods"]["ensir"]["bin_width"] = 32


def add_model(config: dict) -> None:
    config["experiments"]["one"]["models"].append("c")


def remove_model(config: dict) -> None:
    config["experiments"]["one"]["models"].remove("b")


def unrelated_keys(config: dict) -> None:
    config["models"]["d"] = {"kind": "classical", "algorithm": "median"}
    config["datasets"]["ref"]["images_per_part"] = 5
    config["datasets"]["other"] = {
        "kind": "photos",
        "images": ["coffee"],
        "degradation": {"kind": "noise", "sigma": 3},
    }


def change_shards(config: dict) -> None:
    config["compute"]["shards"] = 3


def change_dask(config: dict) -> None:
    config["dask"] = {"scheduler": "processes"}


def append_image(run: Run) -> None:
    write_dataset(run.folder, "test", ["t0"], {"a": 6, "b": 9})


def remove_image(run: Run) -> None:
    (run.folder / "test/gt/t3.png").unlink()


def change_prediction(run: Run) -> None:
    write_images(run.folder / "ref/pred/b", ["r3"], noise=7)


def new_test_set(run: Run) -> None:
    write_dataset(run.folder, "more", ["m1"], {"a": 6, "b": 9})
    config = run.config
    config["datasets"]["more"] = {
        **config["datasets"]["test"],
        "target": "more/gt/*.png",
        "input": "more/lq/*.png",
    }
    config["experiments"]["one"]["tests"].append("more")
    run.config = config


def change_function(run: Run) -> None:
    path = run.folder / "own_models.py"
    path.write_text(path.read_text().replace('"""Mean over a window."""', "strength += 1"))


# (name, change, every prediction that runs, other jobs that must run, words that no job may contain)
# The parts of the test images are {t1, t2} and {t3}; of the reference {r1, r2} and {r3}.
EVERYTHING = ["ingest", "predict", "partition", "estimate", "merge", "fuse", "score"]
FUSION = ["fuse test by ensir of one"]  # what follows from any change of the weights
CASES = [
    ("nothing", lambda run: None, 0, None, []),
    ("new model", edit_config(add_model), 4, ["partition", "estimate", "merge", *FUSION, "score c"], ["ingest", " a,", " b,", " f,"]),
    ("removed model", edit_config(remove_model), 0, ["partition", "estimate", "merge", *FUSION], ["ingest", "predict"]),
    ("new bin width", edit_config(set_bin_width), 0, ["partition", "estimate", "merge", *FUSION], ["ingest", "predict", "by average"]),
    ("new method", edit_config(add_method), 0, ["fuse test by zzpm", "score zzpm"], ["ingest", "predict", "partition", "by average", "by ensir"]),
    ("new test set", new_test_set, 3, ["ingest more", "fuse more by ensir"], ["ingest ref", "predict ref", "predict test", "partition", "fuse test"]),
    ("more shards", edit_config(change_shards), 0, ["estimate"], ["ingest", "predict", "partition"]),
    ("scheduler of Dask", edit_config(change_dask), 0, None, []),
    ("unrelated keys", edit_config(unrelated_keys), 0, None, []),
    ("touched but equal file", touch("ref/pred/a/r1.png"), 0, ["compare files"], EVERYTHING),
    ("touched but equal target", touch("test/gt/t1.png"), 0, ["compare files"], EVERYTHING),
    ("older but equal file", touch("ref/pred/a/r1.png", OLD), 0, ["compare files"], EVERYTHING),
    ("prediction replaced by an older one", replace_by_older("ref/pred/a/r1.png", "ref/pred/b/r1.png"), 1, ["predict ref with a", "partition", "merge", *FUSION], ["ingest", " b,", " f,"]),
    ("target replaced by an older one", replace_by_older("test/gt/t1.png", "test/pred/a/t1.png"), 3, ["ingest test, part", "score"], ["ingest ref", "predict ref", "partition"]),
    ("appended image", append_image, 3, ["ingest test, part", *FUSION], ["ingest ref", "predict ref", "partition"]),
    ("removed image", remove_image, 0, ["score"], ["ingest", "predict", "partition", "fuse test"]),
    ("changed prediction", change_prediction, 1, ["predict ref with b", "partition", "merge", *FUSION], ["ingest", " a,", " f,", "by average"]),
    ("changed function", change_function, 4, ["partition"], ["ingest", " a,", " b,"]),
    ("code edit of score", edit_source("src/ensir/images/similarity.py", "decibels(self.peak**2 / error)", "2 * decibels(self.peak / error**0.5)"), 0, ["score"], ["ingest", "predict", "partition", "estimate", "fuse"]),
    ("code edit of a restorer", edit_source("src/ensir/restorers/folder.py", "self.files = files", "self.files = list(files)"), 8, ["predict ref with a"], ["ingest", " f,"]),
    ("another format of fused stores", edit_source("src/ensir/storage/formats.py", "OF_FUSED = 2", "OF_FUSED = 3"), 0, ["fuse test by average", "fuse test by ensir"], ["ingest", "predict", "partition", "estimate", "merge"]),
    ("comment edit", edit_source("src/ensir/storage/formats.py", "VERSION = 1", "VERSION = 1  # the first"), 0, None, []),
    ("comment edit of a rule", edit_source("workflow/rules/2_predict.smk", "# REQUIRED INPUTS", "# Required"), 0, None, []),
    ("docstring edit", edit_source("src/ensir/stages/fuse.py", '"""Fuse: the', '"""Fuse: all the'), 0, None, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "predictions", "needed", "spared"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_change(finished: Run, tmp_path: Path, change, predictions, needed, spared):
    run = finished.copy(tmp_path / "run")
    change(run)
    planned = run.planned()
    if needed is None:
        assert planned == []
        return
    assert len([job for job in planned if job.startswith("predict")]) == predictions, planned
    for job in needed:
        assert any(job in line for line in planned), (job, planned)
    for word in spared:
        assert not [line for line in planned if f"{word}" in line and not line.startswith("seal")], (
            word,
            planned,
        )


def test_dates_of_code_and_of_results_decide_nothing(finished: Run, tmp_path: Path):
    """A clone, or another version and back, gives each file of the code a new date; tar and scp, to results any."""
    run = finished.copy(tmp_path / "run")
    run.repository = copy_repository(run.repository, tmp_path / "clone")
    code = [path for path in run.repository.rglob("*") if path.suffix in (".py", ".smk", ".yaml", "")]
    results = [path for path in (run.folder / "results").rglob("*") if path.parts[-2] != "sources"]
    for path in (*code, *results):
        os.utime(path)
    assert run.planned("--workflow-profile", "none") == []
    for path in (*code, *results, run.config_file):
        os.utime(path, ns=(OLD, OLD))
    assert run.planned() == []


def executed(output: str) -> list[str]:
    """Return the messages of the jobs that a run has executed."""
    return sorted(re.findall(r"^Job \d+: (.*)$", output, re.MULTILINE))


COMPARE = "compare files that have other dates with what results were made from, and renew the records"


def test_planning_leaves_it_to_a_job_to_compare_much(finished: Run, tmp_path: Path):
    """As after a clone: other dates, other inodes, lost records. All jobs wait for the comparison; none is needed."""
    run = finished.copy(tmp_path / "run")
    edit_source("src/ensir/planning/made_of.py", "READ_AT_MOST = 2**28", "READ_AT_MOST = 0")(run)
    images = [*run.folder.glob("ref/**/*.png"), *run.folder.glob("test/**/*.png")]
    for file in images:
        os.utime(file)
    shutil.rmtree(run.folder / "results/sources/datasets")
    assert COMPARE in run.planned()
    assert executed(run.run()) == [COMPARE]
    assert run.digests() == finished.digests()
    assert run.planned() == []


@pytest.mark.slow
def test_a_job_that_compares_much_finds_what_is_replaced(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    edit_source("src/ensir/planning/made_of.py", "READ_AT_MOST = 2**28", "READ_AT_MOST = 0")(run)
    for change in (
        replace_by_older("ref/pred/a/r1.png", "ref/pred/b/r1.png"),
        touch("ref/pred/a/r3.png"),
        touch("ref/gt/r1.png"),
    ):
        change(run)
    jobs = executed(run.run())
    assert len([job for job in jobs if job.startswith(("ingest", "predict"))]) == 1, jobs
    for job in (COMPARE, "predict ref with a", "partition", "merge", *FUSION):
        assert any(job in line for line in jobs), (job, jobs)
    assert run.planned() == []
    (held,) = (
        reading.Part(path)
        for path in (run.folder / "results/predictions/ref/a.zarr").glob("[0-9a-f]*")
        if "r1" in reading.Part(path).names
    )
    np.testing.assert_array_equal(held.image("r1"), image_files.read(str(run.folder / "ref/pred/b/r1.png")))


@pytest.mark.slow
def test_a_third_model_gives_what_a_fresh_run_gives(finished: Run, tmp_path: Path):
    """The finished run is the fresh one: another has two of its models first, and gets the third one then."""
    grown = finished.copy(tmp_path / "grown")
    for path in ("predictions/ref/f.zarr", "predictions/test/f.zarr"):
        shutil.rmtree(grown.folder / "results" / path)
        shutil.rmtree(grown.folder / "results/digests" / path)
    shutil.rmtree(grown.folder / "results/scores/one/test/f")
    edit_config(lambda config: config["experiments"]["one"]["models"].remove("f"))(grown)
    grown.run()
    assert grown.digests() != finished.digests()
    grown.config = finished.config
    grown.run()
    assert grown.digests() == finished.digests()
    assert grown.planned() == []


def test_identical_rebuild_reruns_nothing_later(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    part = next((run.folder / "results/predictions/ref/a.zarr").glob("[0-9a-f]*"))
    shutil.rmtree(part)
    run.run()
    assert run.digests() == finished.digests()
    assert run.planned() == []


@pytest.mark.slow
def test_shards_do_not_show_in_the_lut(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    edit_config(change_shards)(run)
    run.run()
    lut = "results/luts/one/ensir.lut"
    assert (run.folder / lut).read_bytes() == (finished.folder / lut).read_bytes()
