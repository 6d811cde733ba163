"""Print how fast everything is, each row beside what it is compared with, all measured in this run.

The machine may be shared: every time is the best of several. `python tests/bench/bench.py [DATA]`, where DATA is a
folder with golden/inputs.npz; made-up images take its place where there is none.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import masking
import numba
import numpy as np

from ensir import registry
from ensir.cells import context, filter_statistics, lut, statistics
from ensir.cells.counting import Counter, count
from ensir.images import image_files
from ensir.methods import least_squares
from ensir.scoring import selection
from ensir.stages import partition, score
from ensir.storage import writing
from ensir.storage.layout import Layout, Place

NAMES = ("a", "b", "c", "d", "e")
HEIGHT, WIDTH, FRAMES = 720, 1280, 10
ENSIR = {"kind": "ensir", "channels": "joint", "arithmetic": "released", "precision": "float64"}
ENSIR |= {"prior": None, "max_steps": 1000}
LEAST_SQUARES = {"kind": "least_squares", "channels": "joint", "strength": 1e4}


def best(work, repeats=15):
    """Return the shortest time of several runs, in seconds, after one that does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def row(work, measured, wanted="", beside=""):
    print(f"| {work} | {measured} | {wanted} | {beside} |", flush=True)


def reference(data):
    """Return predictions (model, channel, pixel) and targets of four 256×256 images."""
    if data is not None:
        file = np.load(data / "golden/inputs.npz")
        x, y = file["ref_pred"].transpose(0, 4, 1, 2, 3), file["ref_gt"].transpose(3, 0, 1, 2)
        return x.reshape(3, 3, -1), y.reshape(3, -1)
    random = np.random.default_rng(0)
    y = np.cumsum(random.normal(0, 2, (3, 4 * 256**2)), axis=1) % 510
    y = np.minimum(y, 510 - y)
    x = y + random.normal(0, 3, (3, *y.shape))
    return tuple(np.clip(np.round(value), 0, 255).astype(np.uint8) for value in (x, y))


def fitted(cells, options):
    """Fit a LUT."""
    everything = statistics.cells_of(cells, options)
    module, cells = registry.module("methods", options["kind"]), everything.without_folds()
    found = module.estimate_weights(cells, everything, options, "cpu", lambda done, total: None)
    return lut.assemble(cells, found, module.fill(everything, options))


def bench_partition(x, y, frames_x, frames_y):
    small, values = y[0].size, frames_y.size
    slow = best(lambda: masking.partition(x[:, 0], y[0], 32), 1)
    for width, wanted in ((8, 120), (16, 150), (32, 150), (128, 150)):
        rate = values / best(lambda width=width: count(frames_x, frames_y, NAMES[:3], width))
        beside = f"masking: {small / slow / 1e6:.2f} M/s" if width == 32 else ""
        row(
            f"partition in memory, one core, b = {width}",
            f"{rate / 1e6:.0f} M values/s",
            f"≥ {wanted} M",
            beside,
        )

    half = frames_y.shape[1] // 2
    halves = [(frames_x[:, :, run], frames_y[:, run]) for run in (slice(half), slice(half, 2 * half))]

    def work(pair):
        count(*pair, NAMES[:3], 16)

    with ThreadPoolExecutor(2) as pool:
        one = best(lambda: [work(pair) for pair in halves])
        two = best(lambda: list(pool.map(work, halves)))
    row("two threads over one, b = 16", f"{one / two:.2f}×", "≥ 1.8×")

    random = np.random.default_rng(0)
    noise = random.integers(-3, 4, (2, *frames_y.shape), np.int16)
    more = np.clip(frames_x[:2] + noise, 0, 255).astype(np.uint8)
    five = np.concatenate([frames_x, more])
    counter = Counter(NAMES, 16, 8, 3)
    counter.add(five, frames_y, 0)
    used = sum(array[: counter.used].nbytes for array in (counter.sums, counter.words, counter.histogram))
    rate = values / best(lambda: count(five, frames_y, NAMES, 16), 3)
    row("partition, M = 5, T = 16 (10⁶ bin sets)", f"{rate / 1e6:.0f} M values/s",
        beside=f"{counter.used} cells occur: {used / 1e6:.0f} MB")  # fmt: skip


def write_stores(folder, frames_x, frames_y, layout=None):
    """Write frames as the parts of a dataset and of three models; with digests, where a layout says where these go."""
    pixels, paths = HEIGHT * WIDTH, []
    for name, value in zip(("dataset", *NAMES), (frames_y, *frames_x), strict=False):
        paths.append(str(folder / name))
        place = layout.place(folder / name) if layout else Place.beside(folder / name)
        with writing.new_group(place, {"bits": 8}) as group:
            shapes = [(HEIGHT, WIDTH, 3)] * FRAMES
            writer = writing.ImageWriter(group, [f"frame{i}" for i in range(FRAMES)], shapes, np.uint8)
            for i in range(FRAMES):
                writer.append(value[:, i * pixels : (i + 1) * pixels])
            writer.close()
    return paths


WHOLE = """
import resource, sys, time
start = time.perf_counter()
from ensir.stages import estimate, merge, partition
from ensir.storage.layout import Layout, Place
folder, dataset, *predictions = sys.argv[1:]
options = {**ENSIR, "bin_width": 16}
silent = lambda done, total: None
place = [Place.beside(f"{folder}/{name}") for name in ("statistics", "weights", "table.lut")]
partition.partition(
    place[0], "ensir.cells.bins", {"bin_width": 16}, "r", list("abc"), [(dataset, predictions)],
    {"scheduler": "threads"}, silent,
)
estimate.estimate(place[1], str(place[0].path), options, 0, 1, "cpu", silent)
merge.merge(place[2], "m", options, str(place[0].path), [str(place[1].path)])
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def bench_stores(folder, frames_x, frames_y):
    dataset, *predictions = write_stores(folder, frames_x, frames_y)
    os.sync()  # what is measured is reading
    place = Place.beside(folder / "statistics")
    values = FRAMES * HEIGHT * WIDTH * 3
    for width in (8, 16, 32):

        def work(width=width):
            partition.partition(
                place, "ensir.cells.bins", {"bin_width": width}, "r", list(NAMES[:3]),
                [(dataset, predictions)] * 4, {"scheduler": "threads"}, lambda done, total: None,
            )  # fmt: skip

        rate = 4 * values / best(work, 5)
        row(
            f"partition from stores through Dask, two threads, b = {width}",
            f"{rate / 1e6:.0f} M values/s",
            "≥ 90 M",
        )
    command = [sys.executable, "-c", f"ENSIR = {ENSIR}\n{WHOLE}", str(folder), dataset, *predictions]
    runs = [
        [float(n) for n in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]
        for _ in range(3)
    ]
    seconds, megabytes = min(runs)
    row(
        "whole estimation, ten 1280×720 frames from stores, b = 16, a fresh process",
        f"{seconds:.1f} s",
        "≤ 5 s",
    )
    row("its peak memory", f"{megabytes:.0f} MB", "≤ 1 GB")


def bench_checks(folder, frames_x, frames_y):
    """Measure what it costs to tie chunks to their places, in the stage that reads most and computes least."""
    layout = Layout(str(folder / "results"))
    dataset, *predictions = write_stores(folder / "results", frames_x, frames_y, layout)

    def seconds(repeats=7):
        def work():
            partition.partition(
                Place.beside(folder / "statistics"), "ensir.cells.bins", {"bin_width": 16}, "r", list(NAMES[:3]),
                [(dataset, predictions)], {"scheduler": "threads"}, lambda done, total: None,
            )  # fmt: skip

        work()
        times = []
        for _ in range(repeats):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
        return min(times)

    compared = seconds()
    for record in Path(layout.root, "digests").rglob("*.json"):
        record.unlink()
    by_digests = seconds()
    shutil.rmtree(f"{layout.root}/digests")
    without = seconds()
    row("partition from stores, chunks compared by checksums", f"{compared / without - 1:+.0%} core seconds", "≤ +5 %",
        f"by SHA-256, as where no checksums are recorded: {by_digests / without - 1:+.0%}")  # fmt: skip


def bench_estimate(x, y):
    slow = masking.partition(x[:, 0], y[0], 32)
    seconds = 3 * best(lambda: masking.fit(slow, 3), 1)
    separate = {**ENSIR, "channels": "separate"}
    for width, wanted in ((32, 0.5), (16, 1.5)):
        cells = count(x, y, NAMES[:3], width)
        found = best(lambda cells=cells, width=width: fitted(cells, {**separate, "bin_width": width}), 5)
        beside = f"masking: {seconds:.1f} s" if width == 32 else ""
        row(f"EM, all cells of R, G and B, b = {width}", f"{found:.2f} s", f"≤ {wanted} s", beside)
    cells = count(x, y, NAMES[:3], 16)
    found = best(lambda: fitted(cells, {**LEAST_SQUARES, "bin_width": 16}), 5)
    row("least squares, all cells, b = 16", f"{found * 1e3:.0f} ms")


def bench_select():
    """Ten models on a dozen images of 481×321: every subset, with what each model adds."""
    from scipy.ndimage import gaussian_filter

    names = tuple("abcdefghij")
    random, folds = np.random.default_rng(0), []
    for fold in range(12):
        y = gaussian_filter(random.normal(0, 1, (3, 321, 481)), (0, 9, 9)) * 1800 + 110
        shared = random.normal(0, 9, y.shape)
        x = [y + shared + gaussian_filter(random.normal(0, 12, y.shape), (0, 1, 1)) for _ in names]
        levels = [np.clip(np.rint(v), 0, 255).astype(np.uint8).reshape(3, -1) for v in (*x, y)]
        folds.append(count(levels[:-1], levels[-1], names, 32, fold).joint())
    everything = statistics.total(folds)
    started, began = time.process_time(), time.perf_counter()
    subsets = least_squares.Subsets(everything, {**LEAST_SQUARES, "bin_width": 32, "strength": "auto"})
    with ThreadPoolExecutor(2) as pool:
        tried = selection.explore(len(names), lambda asked: pool.map(subsets.held_out, asked))
    runs = {name: {name: 1.0} for name in names}
    selection.selection(names, [f"image {fold}" for fold in range(12)], tried, runs)
    seconds, wall = time.process_time() - started, time.perf_counter() - began
    row(f"compare all {len(tried)} subsets of 10 models, b = 32, {len(everything):,} rows of fold and cell",
        f"{seconds:.0f} core s, {wall:.0f} s on two cores", "≤ 100 core s, 60 s")  # fmt: skip


def bench_fuse(x, y, frame):
    from sklearn.ensemble import HistGradientBoostingRegressor

    mean = best(lambda: frame.mean(axis=0), 15)
    block = np.zeros(2**25)
    target = np.empty_like(block)
    copied = 2 * block.nbytes / best(lambda: np.copyto(target, block))
    touched = frame.nbytes + 4 * frame[0].size
    for width in (8, 16, 32, 64, 128):
        method = lut.LutMethod({}, fitted(count(x, y, NAMES[:3], width), {**ENSIR, "bin_width": width}))
        seconds = best(lambda method=method: method.fuse(frame), 25)
        share = f"{touched / seconds / 1e9:.1f} GB/s, {touched / seconds / copied:.0%} of a copy's"
        row(f"fuse a 1280×720 frame, b = {width}", f"{seconds * 1e3:.1f} ms", "≤ 5 ms",
            f"numpy.mean: {mean * 1e3:.1f} ms; {share}")  # fmt: skip
    weights = {key: np.full(3, 1 / 3) for key, inside in masking.masks(frame[:, 0], 32) if inside.any()}
    slow = 3 * best(lambda: masking.fuse(frame[:, 0], weights, 32), 1)
    row("fuse a frame with masks, b = 32", f"{slow:.1f} s")
    bench_filters(frame)
    chosen = np.random.default_rng(0).choice(y.size, 50_000, replace=False)
    features, targets = x.reshape(3, -1).T, y.ravel()
    regressor = HistGradientBoostingRegressor(random_state=0)
    fit = best(lambda: regressor.fit(features[chosen], targets[chosen]), 1)
    values = np.ascontiguousarray(frame.reshape(3, -1).T)
    fused = best(lambda: regressor.predict(values), 1)
    row("HistGradientBoostingRegressor, 50,000 values", f"fit {fit:.1f} s, fuse {fused:.1f} s")


def bench_filters(frame):
    shape = (3, 3, HEIGHT, WIDTH)
    images = frame.reshape(shape)
    counter = filter_statistics.counter(NAMES[:3], 8, 3, {})
    seconds = best(lambda: counter.add(list(images), images[0], 0, slice(0, HEIGHT)), 3)
    row("count for local filters, one core", f"{images[0].size / seconds / 1e6:.0f} M values/s", "≥ 20 M")
    filters = np.random.default_rng(0).normal(0, 0.1, (context.KEYS, context.number_of_features(3, 3)))
    numba.set_num_threads(1)
    seconds = best(lambda: context.filtered(images, filters))
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    row("fuse a 1280×720 frame by local filters, one core", f"{seconds * 1e3:.0f} ms", "≤ 20 ms")


def bench_score(frame, target):
    from skimage.metrics import structural_similarity

    target = np.ascontiguousarray(target.T).reshape(HEIGHT, WIDTH, 3)
    fused = np.ascontiguousarray(frame.mean(axis=0, dtype=np.float32).T).reshape(target.shape)
    settings = {
        "space": "rgb",
        "crop": 0,
        "rounded": False,
        "metrics": {name: {"kind": name} for name in ("psnr", "ssim")},
    }

    def by_scikit_image():
        y, x = target.astype(np.float64), fused.astype(np.float64)
        window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        _, similarity = structural_similarity(y, x, **window, data_range=255, channel_axis=2, full=True)
        return 10 * np.log10(255**2 / ((y - x) ** 2).mean()), similarity[5:-5, 5:-5].mean()

    found = score.compare("frame", target, fused, 8, settings)
    expected = by_scikit_image()
    np.testing.assert_allclose([found["psnr"], found["ssim"]], expected, rtol=0, atol=1e-9)
    seconds = best(lambda: score.compare("frame", target, fused, 8, settings))
    slow = best(by_scikit_image, 3)
    row("score one 1280×720 RGB frame, PSNR and SSIM", f"{seconds * 1e3:.0f} ms", "≤ 30 ms",
        f"scikit-image: {slow * 1e3:.0f} ms")  # fmt: skip


def bench_png(folder, y):
    import imagecodecs

    tiles = [np.rot90(image, turns) for image in y.T.reshape(-1, 256, 256, 3) for turns in range(4)]
    lines = [np.concatenate(tiles[first : first + 5], axis=1) for first in (0, 5, 10)]
    frame = np.ascontiguousarray(np.concatenate(lines)[:HEIGHT])
    seconds = best(lambda: image_files.write(folder / "frame.png", frame))
    slow = best(lambda: imagecodecs.png_encode(frame), 3)
    sizes = [(folder / "frame.png").stat().st_size, len(imagecodecs.png_encode(frame))]
    found, searched = (f"{size / 1e6:.2f} MB" for size in sizes)
    row("write a 1280×720 RGB frame as PNG", f"{seconds * 1e3:.0f} ms, {found}", "≤ 60 ms",
        f"zlib's level 6: {slow * 1e3:.0f} ms, {searched}")  # fmt: skip


def bench_start():
    for job, modules in (
        ("partition", "ensir.stages.partition, dask"),
        ("estimate", "ensir.stages.estimate, ensir.methods.ensir"),
        ("fuse", "ensir.stages.fuse, ensir.cells.lut, ensir.methods.average"),
    ):
        command = [sys.executable, "-c", f"import {modules}"]
        seconds = best(lambda command=command: subprocess.run(command, check=True), 3)
        row(f"imports of a job: {job}", f"{seconds:.1f} s", "≤ 2 s")


def main():
    data = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("ENSIR_TEST_DATA", ""))
    x, y = reference(data if (data / "images").is_dir() else None)
    repeats = -(-FRAMES * HEIGHT * WIDTH // y.shape[1])
    frames_x, frames_y = np.tile(x, (1, 1, repeats)), np.tile(y, (1, repeats))
    frame = np.ascontiguousarray(frames_x[:, :, : HEIGHT * WIDTH])
    print("| work | measured | wanted | beside |\n| --- | --- | --- | --- |")
    bench_partition(x, y, frames_x, frames_y)
    with tempfile.TemporaryDirectory() as folder:
        bench_stores(Path(folder), frames_x, frames_y)
        bench_checks(Path(folder), frames_x, frames_y)
        bench_png(Path(folder), y)
    bench_estimate(x, y)
    bench_select()
    bench_fuse(x, y, frame)
    bench_score(frame, frames_y[:, : HEIGHT * WIDTH])
    bench_start()


if __name__ == "__main__":
    main()
