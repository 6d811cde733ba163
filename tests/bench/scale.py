"""Count references of growing size, M = 6 and T = 16, and plot time and memory against size.

Chunks are made up where they are counted and added up by Dask as the partition stage does it, two at a time; each
size has a process of its own. `python tests/bench/scale.py [SVG]` prints a table and, if asked to, draws the plot.
"""

import resource
import subprocess
import sys
import threading
import time

import numpy as np

from ensir.cells import statistics
from ensir.cells.counting import count
from ensir.stages import partition

NAMES = ("a", "b", "c", "d", "e", "f")
BIN_WIDTH = 16
SHAPE = (3, 2**20)  # channels and pixels of a chunk
POOL = 2**22
CHUNKS = (21, 43, 85, 342)  # 342 chunks are 1.08·10⁹ values


class Source:
    """Makes up chunks: a slow random walk as the target, the models' errors drawn from one pool."""

    def __init__(self):
        random = np.random.default_rng(0)
        walk = np.cumsum(random.normal(0, 1, POOL)) % 350
        self.target = (np.minimum(walk, 350 - walk) + 40).astype(np.uint8)
        self.error = np.clip(np.rint(random.laplace(0, 3, POOL)), -40, 40).astype(np.int8).view(np.uint8)
        self.lock, self.making = threading.Lock(), 0.0

    def chunk(self, i):
        """Return predictions (model, channel, pixel) and targets (channel, pixel) of chunk i."""
        random = np.random.default_rng(i)
        at = random.integers(0, POOL - SHAPE[1], (1 + len(NAMES), SHAPE[0]))
        run = np.lib.stride_tricks.sliding_window_view
        targets, errors = run(self.target, SHAPE[1]), run(self.error, SHAPE[1])
        y = np.stack([targets[start] for start in at[0]])
        x = np.stack([[errors[start] for start in starts] for starts in at[1:]])
        x += y
        return x, y

    def counted(self, i):
        """Return the statistics of chunk i."""
        started = time.thread_time()
        x, y = self.chunk(i)
        made = time.thread_time() - started
        with self.lock:
            self.making += made
        return count(x, y, NAMES, BIN_WIDTH)


def measure(chunks):
    """Print values, seconds, seconds of processor time, those for making chunks, megabytes at most, and cells."""
    import dask

    source = Source()
    count(*source.chunk(0), NAMES, BIN_WIDTH)  # compiled or loaded before the clock starts
    source.making = 0.0
    started, busy = time.perf_counter(), time.process_time()
    tasks = [dask.delayed(source.counted)(i, pure=False) for i in range(chunks)]
    (result,) = dask.compute(partition.reduced(tasks, statistics.total), scheduler="threads", num_workers=2)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    values = chunks * SHAPE[0] * SHAPE[1]
    assert result.count.sum() == values
    print(values, seconds, busy, source.making, megabytes, len(result))


def plot(path, rows):
    """Draw time and memory against size."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "ensir"
    values, seconds, busy, _, megabytes, _ = np.array(rows).T
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    left.loglog(values, busy, "o-", label="processor time")
    left.loglog(values, seconds, "s:", label="time passed, two threads, shared machine")
    left.loglog(values, values * busy[-1] / values[-1], "--", color="grey", label="linear")
    left.set(xlabel="values of the reference", ylabel="seconds")
    left.legend(frameon=False, fontsize="small")
    right.semilogx(values, megabytes, "o-")
    right.set(xlabel="values of the reference", ylabel="peak memory, MB", ylim=(0, None))
    figure.savefig(path, metadata={"Date": None})


def main():
    print(
        "| values | seconds | processor seconds | of these making chunks | M values/s and core | memory | cells |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    rows = []
    for chunks in CHUNKS:
        command = [sys.executable, __file__, "--measure", str(chunks)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append([float(number) for number in done.stdout.split()])
        values, seconds, busy, making, megabytes, cells = rows[-1]
        rate = values / busy / 1e6
        print(
            f"| {values:.2g} | {seconds:.0f} | {busy:.0f} | {making:.1f} | {rate:.1f} | {megabytes:.0f} MB | {cells:.0f} |",
            flush=True,
        )
    if len(sys.argv) > 1:
        plot(sys.argv[1], rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(int(sys.argv[2]))
    else:
        main()
