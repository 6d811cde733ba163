"""Fail or kill every stage at every call that touches the disk, and run it again: the digests must be equal.

`injector.py [--sample N] [--stage STAGE] SHIM`, with the shim in LD_PRELOAD: for each point (the n-th open, write, rename, fsync,
mkdir or unlink below the working folder) and each fault (an I/O error, a full disk from there on, a kill in the middle of a
write), a fork of this warm process does the stage. After it, no result may be there that its digest does not vouch for;
after a second, undisturbed one, all digests are as they were, and nothing unfinished is left.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dask.delayed  # noqa: F401  # loaded before the forks, as everything that is slow to load
import distributed  # noqa: F401
import imagecodecs  # noqa: F401
import numpy as np
import obstore.store  # noqa: F401
import zarr.codecs
import zarr.storage  # noqa: F401

from ensir.cells import em, lut, statistics  # noqa: F401
from ensir.cells.counting import count
from ensir.errors import InputError
from ensir.images import image_files, similarity
from ensir.methods import average, ensir, least_squares  # noqa: F401
from ensir.restorers import folder as folder_model  # noqa: F401
from ensir.scoring import rows  # noqa: F401
from ensir.stages import fuse, ingest, merge, partition, predict, score, seal
from ensir.storage import digests, failures, provenance, upload, verification
from ensir.storage.layout import Layout

FAULTS = {"error": 0, "full": 1, "killed": 2}
STATES = ("new", "replaced")  # whether the stage's result is there already
SECONDS = 60  # for a stage
NAMES = ["a", "b"]
DATASET = {"kind": "folder", "licence": None, "citation": None}
THREADS = {"scheduler": "threads"}
FOLDER = {"kind": "folder", "value_range": None, "array": None, "any_range": False, "suffix": ""}
SQUARES = {"kind": "least_squares", "channels": "joint", "strength": 100.0, "bin_width": 64}
SCORE = {"space": "rgb", "crop": 0, "rounded": False, "metrics": {"psnr": {"kind": "psnr"}}}


def silent(done: int, total: int) -> None:
    """Show no progress."""


@dataclass
class Stage:
    """A stage, and the results that it writes."""

    run: Callable[[], object]
    results: list[str]
    counts: Counter[str] = field(default_factory=Counter)


def prepare(folder: Path) -> None:
    random = np.random.default_rng(0)
    for name in NAMES:
        image = random.integers(0, 256, (20, 24, 3))
        for source, noise in (("gt", 0), ("m", 4), ("n", 9)):
            value = np.clip(image + random.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
            image_files.write(folder / source / f"{name}.png", value)


def pipeline(layout: Layout) -> dict[str, Stage]:
    """Return all stages in order; together they make everything that each of them reads."""
    dataset, part = layout.dataset("set"), "0123456789ab"
    target = layout.part(dataset, part)
    predicted = {model: layout.part(layout.predictions("set", model), part) for model in "mn"}
    counted, weights = layout.statistics("one", "bins"), layout.weights("one", "squares", 0)
    table, sealed = layout.lut("one", "squares"), layout.seal(layout.predictions("set", "m"))
    fused = layout.part(layout.fused("one", "set", "average"), part)
    scores = layout.scores("one", "set", "average", part)
    files = {source: [f"{source}/{name}.png" for name in NAMES] for source in ("gt", "m", "n")}

    def predicting(model: str) -> Stage:
        arguments = {"settings": FOLDER, "files": files[model], "crop": None, "progress": silent}
        place = layout.place(predicted[model])
        return Stage(
            lambda: predict.predict(place, target, layout.digest(target), model, **arguments),
            [predicted[model]],
        )

    def estimating() -> None:  # what `stages.estimate` does, with a kernel that starts no threads
        from ensir.stages import estimate

        estimate.estimate(layout.place(weights), counted, SQUARES, 0, 1, "cpu", silent)

    return {
        "ingest": Stage(
            lambda: ingest.ingest(
                layout.place(target), "set", NAMES, DATASET, files["gt"], [], None, silent
            ),
            [target],
        ),
        "predict": predicting("m"),
        "predict, another model": predicting("n"),
        "seal": Stage(
            lambda: seal.seal(layout.place(sealed), layout.predictions("set", "m"), [part], layout), [sealed]
        ),
        "partition": Stage(
            lambda: partition.partition(
                layout.place(counted), "ensir.cells.bins", {"bin_width": 64}, "set", ["m", "n"],
                [(target, list(predicted.values()))], THREADS, silent,
            ),
            [counted],
        ),
        "estimate": Stage(estimating, [weights]),
        "merge": Stage(
            lambda: merge.merge(layout.place(table), "squares", SQUARES, counted, [weights]), [table]
        ),
        "fuse": Stage(
            lambda: fuse.fuse(
                layout.place(fused), "average", {"kind": "average"}, None, target, ["m", "n"],
                list(predicted.values()), [], False, THREADS, silent, pointwise=True,
            ),
            [fused],
        ),
        "score": Stage(
            lambda: score.score(layout.place(scores), "one", "set", "average", SCORE, target, fused, silent),
            [scores],
        ),
        "publish": Stage(
            lambda: upload.upload(layout.predictions("set", "m"), "published/m.zarr", silent),
            ["published/m.zarr"],
        ),
    }  # fmt: skip


def warm_up() -> None:
    """Load what forks would each load for themselves; nothing here starts a thread."""
    values = np.zeros((2, 3, 16), np.uint8)
    cells = statistics.total([count(values, values[0], ["m", "n"], 64, fold) for fold in (0, 1)])
    for each in (cells.without_folds().joint(), cells):
        least_squares.solve(statistics.error_matrix(each), 1.0, np.full((len(each), 2), 0.5))
    provenance.commit(), provenance.installed_digest()  # which start programs, and read all that is installed
    similarity.psnr(*np.zeros((2, 12, 12, 3), np.uint8))


class Injector:
    """Forks of this process, in which the shim is armed or not."""

    def __init__(self, shim: str, folder: Path):
        self.shim, self.folder = ctypes.CDLL(shim), folder
        self.shim.faults_disarm.restype = ctypes.c_long
        self.told = folder.parent / "told.txt"

    def fork(self, stage: Stage, point: int = 0, fault: str = "") -> tuple[str, int]:
        """Do a stage in a fork; return how it ended, and how many points there were."""
        end, begin = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(end)
            os._exit(self._work(stage, point, fault, begin))
        os.close(begin)
        with os.fdopen(end, "rb") as pipe:
            points = int(pipe.read() or 0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        ends = {0: "done", 3: "refused", 4: "told", -signal.SIGKILL: "killed"}
        traced = self.told.read_text()[-600:] if status == 5 else ""
        return ends.get(status, f"ended with {status}: {traced}"), points

    def _work(self, stage: Stage, point: int, fault: str, pipe: int) -> int:
        signal.alarm(SECONDS)
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        self.shim.faults_arm(os.fsencode(self.folder), ctypes.c_long(point), FAULTS.get(fault, 0))
        status = 0
        try:
            stage.run()
        except BaseException as error:
            self.shim.faults_disarm()
            if isinstance(error, InputError):
                return 3
            if failures.described(error):  # one line, as the job would log it
                return 4
            self.told.write_text(traceback.format_exc())
            status = 5
        points = self.shim.faults_disarm()
        os.write(pipe, str(points).encode())
        return status


def everything(folder: Path) -> dict[str, str]:
    """Return the content of what counts, and the names of all that is there but locks."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".lock":
            counts = path.suffix != ".json" or "digests" not in path.parts  # those hold a time
            found[str(path.relative_to(folder))] = digests.sha256(path) if counts else ""
    return found


class Trial:
    """One stage, disturbed at every point."""

    def __init__(self, injector: Injector, layout: Layout, stage: Stage, expected: dict[str, str]):
        self.injector, self.layout, self.stage, self.expected = injector, layout, stage, expected

    def rewind(self, state: str) -> None:
        """Delete what the stage writes, or make sure that it is there."""
        if state == "new":
            for result in self.stage.results:
                digest = Path(self.layout.digest(result))
                for path in (Path(result), digest, Layout.origin_of(digest)):
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def points(self, state: str) -> int:
        """Return how many points there are."""
        self.rewind(state)
        end, points = self.injector.fork(self.stage)
        assert end == "done", end
        return points

    def run(self, state: str, point: int, fault: str) -> str:
        """Disturb the stage once and do it again; return how it ended, or what is wrong."""
        self.rewind(state)
        end, _ = self.injector.fork(self.stage, point, fault)
        if end.startswith("ended"):
            return end
        for result in self.stage.results:
            digest = Path(self.layout.digest(result))
            if digest.is_file() and (wrong := verification.check(Path(result), digest)):
                return f"wrong: after it, {digest} vouches for {wrong}"
        if end == "done" and self.problem(whole=False):
            return f"wrong: it ended well, but {self.problem(whole=False)}"
        again, _ = self.injector.fork(self.stage)
        if again != "done":
            return f"wrong: again, it {again}"
        return f"wrong: {problem}" if (problem := self.problem(whole=True)) else end

    def clean_up(self) -> None:
        """Delete what nobody expects, so that it is told once."""
        for path in set(everything(self.injector.folder)) - set(self.expected):
            (self.injector.folder / path).unlink(missing_ok=True)

    def problem(self, whole: bool) -> str:
        """Return what differs from what an undisturbed run leaves; empty where nothing does."""
        found = everything(self.injector.folder)
        for path in self.expected:
            if found.get(path) != self.expected[path]:
                return f"{path} is {'missing' if path not in found else 'another'}"
        return (
            f"{sorted(set(found) - set(self.expected))} is left"
            if whole and set(found) - set(self.expected)
            else ""
        )


def trials(
    stages: dict[str, Stage], asked: list[str], sample: int, injector: Injector, layout: Layout
) -> Iterator[str]:
    """Disturb stages; yield what is wrong, and print counts."""
    expected = everything(injector.folder)
    print(f"{'stage':24}{'points':>8}{'trials':>8}  outcomes")
    for name in asked:
        trial, begun, tried, points = Trial(injector, layout, stages[name], expected), time.monotonic(), 0, 0
        for state in STATES:
            here = trial.points(state)
            points += here
            step = max(1, here // sample) if sample else 1
            for point in range(1 + (step // 2 if sample else 0), here + 1, step):
                for fault in FAULTS:
                    end = trial.run(state, point, fault)
                    tried += 1
                    stages[name].counts[end.partition(":")[0]] += 1
                    if end.startswith(("wrong", "ended")):
                        trial.clean_up()
                        yield f"{name}, {state}, point {point} of {here}, {fault}: {end}"
        outcomes = ", ".join(f"{count} {end}" for end, count in sorted(stages[name].counts.items()))
        print(f"{name:24}{points:8}{tried:8}  {outcomes}; {time.monotonic() - begun:.0f} s", flush=True)


def main() -> int:
    asked = argparse.ArgumentParser()
    asked.add_argument("shim")
    asked.add_argument("--sample", type=int, default=0, help="points of each stage and state; 0: all")
    asked.add_argument("--stage", action="append", help="which; all, if none is given")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder = Path(name).resolve() / "work"
        folder.mkdir()
        os.chdir(folder)
        prepare(folder)
        warm_up()
        layout = Layout()
        stages, injector = pipeline(layout), Injector(options.shim, folder)
        for each in stages.values():
            end, _ = injector.fork(each)
            assert end == "done", end
        wrong = list(trials(stages, options.stage or list(stages), options.sample, injector, layout))
    total = sum(sum(stage.counts.values()) for stage in stages.values())
    for line in wrong:
        print(line)
    print(f"{total} faults, {len(wrong)} wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
