"""What a whole run costs: core seconds per frame and stage, bytes and memory, and how they grow with the frames.

`python tests/bench/run.py [FRAMES …]` runs the workflow on 10 reference and FRAMES test frames of 1280×720 (30, then
300, unless told), put together from ENSIR_TEST_DATA: three models as PNG files, four methods, fused PNG files, two
cores. Beside it: a plain script for one method, and the masking implementation, for which three frames are enough.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import masking
import numpy as np
import yaml

from ensir.images import image_files

REPOSITORY = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
DATA = Path(os.environ.get("ENSIR_TEST_DATA", "")) / "images/sr_x4"
MODELS = ("IMDN", "MobileSR", "CRAFT")
KINDS = ("gt", *(f"pred/{model}" for model in MODELS))
HEIGHT, WIDTH, TILE_HEIGHT, TILE_WIDTH = 720, 1280, 144, 160
REFERENCE = 10
METHODS = {"average": {}, "zzpm": {}, "ensir": {}, "least_squares": {}}
USED = re.compile(r"done in .*; (?P<seconds>[\d.]+) core seconds .* peak memory (?P<megabytes>[\d,]+) MB")


def write_frames(folder, dataset, source, count):
    """Write frames of tiles, cut at random places of random images: the same of the targets and of all models."""
    names = sorted(path.name for path in (DATA / source / "gt").iterdir())
    images = {kind: [image_files.read(str(DATA / source / kind / name)) for name in names] for kind in KINDS}
    for i in range(count):
        random = np.random.default_rng([i, len(dataset)])
        frames = {kind: np.empty((HEIGHT, WIDTH, 3), np.uint8) for kind in KINDS}
        for y in range(0, HEIGHT, TILE_HEIGHT):
            for x in range(0, WIDTH, TILE_WIDTH):
                number = random.integers(len(names))
                height, width, _ = images["gt"][number].shape
                top, left = random.integers(height - TILE_HEIGHT + 1), random.integers(width - TILE_WIDTH + 1)
                for kind in KINDS:
                    tile = images[kind][number][top : top + TILE_HEIGHT, left : left + TILE_WIDTH]
                    frames[kind][y : y + TILE_HEIGHT, x : x + TILE_WIDTH] = tile
        for kind, frame in frames.items():
            image_files.write(folder / dataset / kind / f"{i:05}.png", frame)


def write_config(folder, **options):
    datasets = {name: {"kind": "folder", "target": f"{name}/gt/*.png"} for name in ("reference", "test")}
    models = {m: {"kind": "folder", "path": f"{{dataset}}/pred/{m}/*.png"} for m in MODELS}
    experiment = {"models": list(MODELS), "reference": "reference", "tests": ["test"], "methods": METHODS}
    config = {"datasets": datasets, "models": models, "experiments": {"one": experiment | options}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def used(command, folder):
    """Run a command; return its core seconds, wall seconds and the largest memory of its processes in MB."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
    command = [str(word) for word in command]
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        sys.exit(done.stdout)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return core, time.perf_counter() - started, after.ru_maxrss * 1024 / 1e6


def run_workflow(folder):
    return used(
        [SNAKEMAKE, "--snakefile", REPOSITORY / "Snakefile", "--directory", folder, "--configfile",
         folder / "config.yaml", "--workflow-profile", REPOSITORY / "workflow/profiles/local", "--cores", "2"],
        folder,
    )  # fmt: skip


def stages(folder):
    """Return the core seconds of each stage's jobs, their number, and the largest memory of one in MB."""
    found = defaultdict(list)
    for path in (folder / "results/logs").rglob("*.log"):
        if match := USED.search(path.read_text()):
            stage = path.relative_to(folder / "results/logs").parts[0].removesuffix(".log")
            found[stage].append((float(match["seconds"]), float(match["megabytes"].replace(",", ""))))
    return {
        stage: (sum(s for s, _ in jobs), len(jobs), max(m for _, m in jobs)) for stage, jobs in found.items()
    }


def size(folder):
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


NAIVE = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

folder, models = Path(sys.argv[1]), sys.argv[2:]
(folder / "naive").mkdir()
for target in sorted((folder / "test/gt").iterdir()):
    y = np.asarray(Image.open(target))
    x = [np.asarray(Image.open(folder / "test/pred" / model / target.name)) for model in models]
    fused = np.mean(x, axis=0)
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    print(target.stem, peak_signal_noise_ratio(y.astype(float), fused, data_range=255),
        structural_similarity(y.astype(float), fused, **window, data_range=255, channel_axis=2))
    Image.fromarray(np.clip(np.rint(fused), 0, 255).astype(np.uint8)).save(folder / "naive" / target.name)
"""


def core(work):
    started = time.process_time()
    found = work()
    return time.process_time() - started, found


def frames_of(folder, dataset, count):
    """Return predictions (model, channel × pixel) and targets of a few frames."""
    y, *x = (
        np.concatenate(
            [
                image_files.read(str(p)).reshape(-1)
                for p in sorted((folder / dataset / kind).iterdir())[:count]
            ]
        )
        for kind in KINDS
    )
    return np.stack(x), y


def bench_masking(folder):
    """Tell what masks over all pixels take for a frame: read, fit and fuse, without stores, scores and PNG files."""
    count = 3
    reading, (x, y) = core(lambda: frames_of(folder, "reference", count))
    counting, pixels = core(lambda: masking.partition(x, y, 32))
    weighing, weights = core(lambda: masking.fit(pixels, len(MODELS)))
    x, _ = frames_of(folder, "test", 1)
    fusing, _ = core(lambda: masking.fuse(x, weights, 32))
    for what, seconds in (
        ("read a frame and its predictions", reading / count),
        ("partition, a frame of the reference", counting / count),
        ("EM, a frame of the reference", weighing / count),
        ("fuse, a frame", fusing),
    ):
        row(f"masking: {what}", f"{seconds:.2f} core s")


def bench_run(folder, frames):
    """Run the workflow on some test frames; return what it took."""
    write_frames(folder, "reference", "bsds12", REFERENCE)
    write_frames(folder, "test", "set5", frames)
    write_config(folder, png=True)
    seconds, wall, memory = run_workflow(folder)
    by_stage = stages(folder)
    per_frame = {
        "ingest": frames + REFERENCE,
        "predict": (frames + REFERENCE) * len(MODELS),
        "partition": REFERENCE,
        "fuse": frames * len(METHODS),
        "score": frames * (len(METHODS) + len(MODELS)),
        "write_images": frames * len(METHODS),
    }
    row(f"**{frames} frames: all**", f"**{seconds:.1f} core s, {wall:.0f} s**")
    row("largest process", f"{memory:.0f} MB")
    for stage, (spent, jobs, megabytes) in sorted(by_stage.items(), key=lambda item: -item[1][0]):
        each = f", {spent / per_frame[stage]:.3f} a frame and method" if stage in per_frame else ""
        row(f"{stage}, {jobs} jobs", f"{spent:.1f} core s{each}; {megabytes:.0f} MB")
    row("Snakemake itself", f"{seconds - sum(spent for spent, _, _ in by_stage.values()):.1f} core s")
    results = folder / "results"
    kept = {kind: size(results / kind) for kind in ("datasets", "predictions", "fused", "images")}
    row("results", f"{size(results):.0f} MB: {', '.join(f'{kind} {mb:.0f}' for kind, mb in kept.items())}")
    return seconds


def row(work, measured):
    print(f"| {work} | {measured} |", flush=True)


def main():
    if not DATA.is_dir():
        sys.exit("set ENSIR_TEST_DATA to a folder that holds images/sr_x4")
    counts = [int(word) for word in sys.argv[1:]] or [30, 300]
    print("| work | measured |\n| --- | --- |")
    spent = {}
    for frames in counts:
        folder = Path(tempfile.mkdtemp(prefix="ensir-"))
        try:
            spent[frames] = bench_run(folder, frames)
            if frames == counts[0]:
                naive, wall, _ = used([sys.executable, "-c", NAIVE, folder, *MODELS], folder)
                row("plain script, one method", f"{naive:.1f} core s, {wall:.0f} s")
                row("workflow over plain script", f"{spent[frames] / naive:.2f}")
                bench_masking(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    if len(counts) > 1:
        few, many = counts[0], counts[-1]
        growth = (spent[many] - spent[few]) / (many - few)
        row(f"each further frame, from {few} to {many}", f"{growth:.2f} core s")


if __name__ == "__main__":
    main()
