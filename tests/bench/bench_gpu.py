"""Print how fast frames are fused on a GPU, beside a copy on the same GPU, and how long EM takes there."""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from bench import ENSIR, FRAMES, HEIGHT, NAMES, WIDTH, best, fitted, reference, row

import ensir
from ensir.cells import statistics
from ensir.cells.counting import count
from ensir.cells.tensor import TensorFilters, TensorLUT, fuse
from ensir.methods.ensir import estimate_weights


def seconds_of(work, repeats=100):
    """Return the mean time of a run, after ten that do not count."""
    for _ in range(10):
        work()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(repeats):
        work()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3 / repeats


def main():
    if not torch.cuda.is_available():
        sys.exit("PyTorch finds no CUDA GPU here")
    block = torch.zeros(2**28, device="cuda")
    target = torch.empty_like(block)
    copied = 2 * block.nbytes / seconds_of(lambda: target.copy_(block))
    data = os.environ.get("ENSIR_TEST_DATA")
    x, y = reference(Path(data) if data else None)
    values = FRAMES * 3 * HEIGHT * WIDTH
    frames = torch.as_tensor(x.reshape(3, -1), device="cuda")
    frames = frames.repeat(1, -(-values // frames.shape[1]))[:, :values].reshape(3, FRAMES, 3, HEIGHT, WIDTH)
    print(
        f"{torch.cuda.get_device_name()}\n\n| work | measured | wanted | beside |\n| --- | --- | --- | --- |"
    )
    filters = ensir.fit(
        list(np.moveaxis(x.reshape(3, 3, 4, 256, 256), 2, 0)),
        list(np.moveaxis(y.reshape(3, 4, 256, 256), 1, 0)),
        method="local_filters",
    )
    tables = {
        f"a LUT of b = {width}": TensorLUT(
            fitted(count(x, y, NAMES[:3], width), {**ENSIR, "bin_width": width}), "cuda"
        )
        for width in (8, 16, 32, 64, 128)
    }
    for name, table in {**tables, "local filters": TensorFilters(filters.table, "cuda")}.items():
        seconds = seconds_of(lambda table=table: fuse(frames, table))
        rate = (frames.nbytes + 4 * values) / seconds
        row(f"fuse a 1280×720 frame by {name}, ten at once", f"{seconds / FRAMES * 1e6:.0f} µs",
            beside=f"{rate / 1e9:.0f} GB/s, {rate / copied:.0%} of a copy's")  # fmt: skip
    for width in (8, 32):
        options = {**ENSIR, "bin_width": width}
        cells = statistics.cells_of(count(x, y, NAMES[:3], width), options).without_folds()
        gpu, cpu = (
            best(lambda run=(cells, cells, options, device): estimate_weights(*run, lambda *_: None), 3)
            for device in ("cuda", "cpu")
        )
        row(
            f"EM, all cells of R, G and B, b = {width}",
            f"{gpu:.2f} s",
            beside=f"one core of the CPU: {cpu:.3f} s",
        )


if __name__ == "__main__":
    main()
