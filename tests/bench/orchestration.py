"""What the workflow costs beside the work: to plan thousands of jobs, and to start one, here and under Slurm.

`python tests/bench/orchestration.py` prints a table. Run by `make bench-cluster`, in namespaces of its own, it also brings up the Slurm
of tests/cluster; without that, those rows are left out.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from skimage import data

TESTS = Path(__file__).parents[1]
REPOSITORY = TESTS.parent
sys.path.insert(0, str(TESTS / "cluster"))

import slurm  # noqa: E402

from ensir.images import image_files  # noqa: E402

SNAKEMAKE = Path(sys.executable).with_name("snakemake")
MODELS = ("a", "b", "c")
FEW, MANY = 100, 710  # test images, one to a part: about 700 and 5,000 jobs
SMALL_JOBS = 32
FRAMES = 16


def write(folder, count, per_part):
    """Write a configuration and its images: 8×8 pixels, so that the work is nothing."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for dataset, number in (("ref", min(2, count)), ("test", count)):
        for kind in ("gt", *MODELS):
            for i in range(number):
                path = folder / dataset / kind / f"{i:05}.png"
                image_files.write(path, random.integers(0, 256, (8, 8, 3), np.uint8))
    datasets = {
        name: {"kind": "folder", "target": f"{name}/gt/*.png", "images_per_part": per_part}
        for name in ("ref", "test")
    }
    experiment = {"models": list(MODELS), "reference": "ref", "tests": ["test"]}
    experiment["methods"] = {"average": {}, "zzpm": {}, "ensir": {}}
    config = {
        "datasets": datasets,
        "models": {m: {"kind": "folder", "path": f"{{dataset}}/{m}/*.png"} for m in MODELS},
        "experiments": {"one": experiment},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def snakemake(folder, profile, *arguments):
    """Run Snakemake on a folder; returns seconds and what it printed."""
    command = [
        str(SNAKEMAKE), "--snakefile", str(REPOSITORY / "Snakefile"), "--directory", str(folder), "--configfile",
        str(folder / "config.yaml"), "--workflow-profile", str(REPOSITORY / "workflow/profiles" / profile), *arguments,
    ]  # fmt: skip
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - started, done.stdout + done.stderr


def jobs(printed):
    """Return the number of jobs that a dry run lists."""
    return next(int(line.split()[1]) for line in printed.splitlines() if line.startswith("total "))


def bench_planning(folder):
    times = {}
    for count in (FEW, MANY):
        write(folder / str(count), count, 1)
        seconds, printed = snakemake(folder / str(count), "local", "--dry-run", "--quiet", "all")
        times[jobs(printed)] = seconds
        row(f"dry run of {jobs(printed):,} jobs", f"{seconds:.1f} s")
    (few, short), (many, long) = times.items()
    row("of these, per job", f"{(long - short) / (many - few) * 1e3:.1f} ms")


def bench_jobs(folder):
    for per_part in (1, 16):
        write(folder / f"of {per_part}", SMALL_JOBS, per_part)
        empty, _ = snakemake(folder / f"of {per_part}", "local", "--dry-run")
        ingested = [f"results/datasets/test.zarr/{part}" for part in parts_of(folder / f"of {per_part}")]
        seconds, _ = snakemake(folder / f"of {per_part}", "local", "--cores", "1", "--", *ingested)
        row(
            f"{SMALL_JOBS} tiny images ingested on one core, {per_part} to a part",
            f"{seconds - empty:.1f} s, {(seconds - empty) / len(ingested):.2f} s a job",
        )


def bench_stages(folder):
    """Tell how long each stage takes for a frame, from the benchmarks of a run on one core."""
    frame = np.asarray(data.astronaut()).repeat(3, axis=0).repeat(3, axis=1)[:720, :1280]
    random = np.random.default_rng(0)
    write(folder, 0, FRAMES)
    for dataset in ("ref", "test"):
        for kind in ("gt", *MODELS):
            for i in range(FRAMES):
                noise = random.normal(0, 0 if kind == "gt" else 5, frame.shape)
                noisy = np.clip(np.rint(frame + np.roll(noise, i)), 0, 255).astype(np.uint8)
                noisy[0, 0] = i  # the reference and the test set share no image
                noisy[0, 1] = len(dataset)
                image_files.write(folder / dataset / kind / f"{i:05}.png", noisy)
    snakemake(folder, "local", "--cores", "1")
    for stage in ("ingest", "predict", "partition", "fuse", "score"):
        files = [*(folder / "results/benchmarks" / stage).rglob("*.tsv")]
        seconds = sum(float(file.read_text().splitlines()[1].split()[0]) for file in files)
        row(
            f"{stage}, a frame of 1280×720 and one core, its share of the job's start included",
            f"{seconds / len(files) / FRAMES:.3f} s",
        )


def parts_of(folder):
    """Return the names of the parts of the test set."""
    from ensir.planning.parts import assign

    config = yaml.safe_load((folder / "config.yaml").read_text())
    names = sorted(file.stem for file in (folder / "test/gt").iterdir())
    return assign(names, config["datasets"]["test"]["images_per_part"], [])


def bench_slurm(folder):
    slurm.Slurm(folder / "slurm")
    for grouped in ("one by one", "grouped by 16"):
        run = folder / grouped
        write(run, SMALL_JOBS, 1)
        ingested = [f"results/datasets/test.zarr/{part}" for part in parts_of(run)]
        ungrouped = (
            [] if grouped != "one by one" else ["--groups", "ingest=ingest", "--group-components", "ingest=1"]
        )
        quick = ("--slurm-init-seconds-before-status-checks", "1", "--cores", "1")
        seconds, _ = snakemake(run, "slurm", *quick, *ungrouped, "--", *ingested)
        row(f"{SMALL_JOBS} tiny jobs under Slurm, two nodes, {grouped}", f"{seconds:.0f} s")


def row(work, measured):
    print(f"| {work} | {measured} |", flush=True)


def main():
    print("| work | measured |\n| --- | --- |")
    folder = Path(tempfile.mkdtemp(prefix="ensir-"))
    try:
        bench_planning(folder)
        bench_jobs(folder)
        bench_stages(folder / "frames")
        if not slurm.missing():
            bench_slurm(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
