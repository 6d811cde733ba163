"""Super-resolution by DAEP on a folder of images, beside the published row: minutes to hours of every core, without a GPU.

`python tests/bench/set14.py 'Set14/*.png' dae_sigma25.safetensors 2 folder` runs `ensir restore` for every image enlarged twice, one
process and one thread a core, and prints a table. What is in the folder is not made again, and an image that was stopped goes
on. The folder's traces.csv holds the PSNR after every step, over whole images; the table, and scores.csv, leave out the
border, as the paper does. docs/traces has both of a run.
"""

import csv
import glob
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ensir.images import image_files, similarity
from ensir.images.degradations import imresize

PUBLISHED = {2: 31.07, 3: 27.93, 4: 26.13, 5: 24.88}  # DAEP, table of super-resolution, Set14
BICUBIC = {2: 28.53, 3: 25.92, 4: 24.44, 5: 23.46}
# Layers of tens of megabytes come and go: the allocator keeps them instead of asking the system anew (15 % of the time).
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(4 << 30), "MALLOC_TRIM_THRESHOLD_": str(16 << 30)}


def prepare(path, scale, folder):
    """Write the target, cut to a multiple of the scale, and its reduced image, both RGB."""
    target = image_files.read(path)
    height, width = (side // scale * scale for side in target.shape[:2])
    target = np.repeat(target[:height, :width], 3 // target.shape[2], axis=2)
    name = Path(path).stem
    image_files.write(folder / "target" / f"{name}.png", target)
    image_files.write(folder / "input" / f"{name}.png", imresize(target, 1 / scale))
    return name, height * width


def restore(name, weights, scale, folder, precision, steps):
    """Run `ensir restore` on one image; its trace is written last."""
    trace = folder / "traces" / f"{name}.csv"
    if trace.exists():
        return
    trace.parent.mkdir(exist_ok=True)
    started = time.monotonic()
    command = [
        str(Path(sys.executable).with_name("ensir")), "restore", str(folder / "input" / f"{name}.png"),
        "--method", "daep", "--dae", weights, "--scale", str(scale), "--steps", str(steps), "--precision", precision,
        "--target", str(folder / "target" / f"{name}.png"), "--output", str(folder / f"{name}.png"), "--trace", str(trace),
    ]  # fmt: skip
    subprocess.run(
        command, check=True, env=os.environ | ALLOCATOR | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
    )
    print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)


def table(names, scale, folder):
    """Print the PSNR of every image, without a border of as many pixels as the scale, beside the published mean."""
    inner = slice(scale, -scale)
    rows = []
    for name in names:
        target, low, restored = (
            image_files.read(str(folder / path))
            for path in (f"target/{name}.png", f"input/{name}.png", f"{name}.png")
        )
        target, *others = (
            image[inner, inner].astype(np.float64) for image in (target, imresize(low, scale), restored)
        )
        rows.append([similarity.psnr(target, other) for other in others])
        print(f"| {name} | {rows[-1][0]:.2f} | {rows[-1][1]:.2f} |")
    with (folder / "scores.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "bicubic", "daep"])
        for name, row in zip(names, rows, strict=True):
            writer.writerow([name, *(f"{value:.3f}" for value in row)])
    bicubic, daep = np.mean(rows, axis=0)
    print(f"| **mean of {len(names)}** | {bicubic:.2f} | {daep:.2f} |")
    print(f"| published, Set14 | {BICUBIC[scale]:.2f} | {PUBLISHED[scale]:.2f} |")


def write_traces(names, folder):
    """Write the PSNR after every step: a column per image, and their mean."""
    columns = []
    for name in names:
        with (folder / "traces" / f"{name}.csv").open(newline="") as file:
            columns.append([float(row["psnr"]) for row in csv.DictReader(file)])
    with (folder / "traces.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", "mean", *names])
        for step, row in enumerate(zip(*columns, strict=True), 1):
            writer.writerow([step, *(f"{value:.3f}" for value in (np.mean(row), *row))])


def main():
    """Restore, tabulate, trace."""
    pattern, weights, scale, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    precision = sys.argv[5] if len(sys.argv) > 5 else "bfloat16"
    steps = int(sys.argv[6]) if len(sys.argv) > 6 else 300
    sizes = dict(prepare(path, scale, folder) for path in sorted(glob.glob(pattern)))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        largest_first = sorted(sizes, key=lambda name: -sizes[name])
        list(pool.map(lambda name: restore(name, weights, scale, folder, precision, steps), largest_first))
    table(list(sizes), scale, folder)
    write_traces(list(sizes), folder)


if __name__ == "__main__":
    main()
