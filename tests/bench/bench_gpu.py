"""Print how fast frames are fused on a GPU, beside a copy on the same GPU."""

import sys

import torch
from bench import ENSIR, FRAMES, HEIGHT, NAMES, WIDTH, fitted, reference, row

from ensir.cells.counting import count
from ensir.cells.tensor import TensorLUT, fuse


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
    x, y = reference(None)
    values = FRAMES * 3 * HEIGHT * WIDTH
    frames = torch.as_tensor(x.reshape(3, -1), device="cuda")
    frames = frames.repeat(1, -(-values // frames.shape[1]))[:, :values].reshape(3, FRAMES, 3, HEIGHT, WIDTH)
    print(
        f"{torch.cuda.get_device_name()}\n\n| work | measured | wanted | beside |\n| --- | --- | --- | --- |"
    )
    for width in (8, 16, 32, 64, 128):
        table = TensorLUT(fitted(count(x, y, NAMES[:3], width), {**ENSIR, "bin_width": width}), "cuda")
        seconds = seconds_of(lambda table=table: fuse(frames, table))
        rate = (frames.nbytes + 4 * values) / seconds
        row(f"fuse a 1280×720 frame on the GPU, ten at once, b = {width}", f"{seconds / FRAMES * 1e6:.0f} µs",
            beside=f"{rate / 1e9:.0f} GB/s, {rate / copied:.0%} of a copy's")  # fmt: skip


if __name__ == "__main__":
    main()
