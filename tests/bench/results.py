"""Measure what it costs a plan to look at all results: `python tests/bench/results.py [FOLDER…]`.

Each folder gets results of 5,000 images in parts of 16, as many files as a run writes, and their digests.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import sources

from ensir.config import reading
from ensir.planning.jobs import jobs
from ensir.planning.lost import Lost
from ensir.planning.plan import Plan
from ensir.planning.reads import Reads
from ensir.storage import digests
from ensir.storage.atomic import written
from ensir.storage.layout import Layout

FILES = 16  # of a part


def fill(reads: Reads) -> int:
    """Write results, with digests; return how many files they have."""
    files = 0
    for job in jobs(reads):
        for result in job.results:
            with written(reads.layout.place(result)) as partial:
                if Path(result).suffix in ("", ".zarr"):
                    partial.mkdir()
                    for i in range(FILES):
                        (partial / f"{i}").write_text(result)
                        files += 1
                else:
                    partial.write_text(result)
                    files += 1
    return files


def planned() -> Reads:
    return Reads(Plan(reading.load("config.yaml"), Layout()))


def remembered(layout: Layout) -> Callable[[str], Any]:
    """Return what Snakemake would keep of the jobs that have read all digests, and all scores."""
    seen = {
        str(digest): f"sha256:{digests.sha256(digest)}"
        for digest in Path(layout.root, "digests").rglob("*.sha256")
    }
    kept = {layout.provenance: SimpleNamespace(starttime=1.0, input_checksums=seen)}
    return kept.get


def measure(folder: Path) -> None:
    """Print the time of the check in three plans."""
    sources.fill(folder)
    with chdir(folder):
        files = fill(planned())
        kept = remembered(Layout())
        for _ in range(3):
            reads = planned()
            list(jobs(reads))  # lists the user's files, which every plan does
            started = time.process_time()
            assert Lost(reads, remembered=kept).levels("all", reads.targets.all()) == []
            seconds = time.process_time() - started
            print(f"{folder}: {files} files, {seconds:.2f} s, {seconds / files * 1e6:.1f} µs a file")


def main() -> None:
    sources.FILES = 10_000
    for above in sys.argv[1:] or [None, "/dev/shm"]:
        with tempfile.TemporaryDirectory(dir=above) as folder:
            measure(Path(folder))


if __name__ == "__main__":
    main()
