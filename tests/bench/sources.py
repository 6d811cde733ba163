"""Measure what it costs a plan to compare source files with their records: `python tests/bench/sources.py [FOLDER…]`.

Each folder gets 100,000 small images, half of them targets and half predictions, in parts of 16, and their records.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import chdir
from pathlib import Path

import numpy as np
import yaml

from ensir.config import reading
from ensir.images import image_files
from ensir.planning.made_of import MadeOf
from ensir.planning.plan import Plan
from ensir.planning.reads import Reads
from ensir.storage import sources
from ensir.storage.layout import Layout

FILES = 100_000
NOISY = {"degradation": {"kind": "noise", "sigma": 3}}
CONFIG = {
    "datasets": {
        "few": {"kind": "photos", "images": ["coffee"], **NOISY},
        "many": {"kind": "folder", "target": "many/gt/*.png", "images_per_part": 16, **NOISY},
    },
    "models": {
        "a": {"kind": "folder", "path": "{dataset}/a/*.png"},
        "b": {"kind": "classical", "algorithm": "median"},
    },
    "experiments": {
        "one": {"models": ["a", "b"], "reference": "few", "tests": ["many"], "methods": {"average": {}}}
    },
}


def fill(folder: Path) -> None:
    """Write the images and a configuration."""
    image_files.write(folder / "few/a/coffee.png", np.zeros((8, 8, 3), np.uint8))
    content = (folder / "few/a/coffee.png").read_bytes()
    for name in ("gt", "a"):
        (folder / "many" / name).mkdir(parents=True)
        for i in range(FILES // 2):
            (folder / f"many/{name}/{i:06}.png").write_bytes(content)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))


def planned() -> MadeOf:
    return MadeOf(Reads(Plan(reading.load("config.yaml"), Layout())))


def record(made_of: MadeOf) -> None:
    """Write the records, as the jobs do."""
    for result, read in made_of.results():
        told = made_of.record(result, read)
        with sources.recorded(**told):
            Path(result).mkdir(parents=True, exist_ok=True)


def measure(folder: Path) -> None:
    """Print the time of the check in three plans."""
    fill(folder)
    with chdir(folder):
        record(planned())
        for _ in range(3):
            made_of = planned()
            list(made_of.results())  # lists the files, which every plan does
            started = time.perf_counter()
            assert not made_of.is_unknown()
            assert not made_of.to_renew()
            seconds = time.perf_counter() - started
            print(f"{folder}: {FILES} files, {seconds:.2f} s, {seconds / FILES * 1e6:.1f} µs a file")


def main() -> None:
    for above in sys.argv[1:] or [None, "/dev/shm"]:
        with tempfile.TemporaryDirectory(dir=above) as folder:
            measure(Path(folder))


if __name__ == "__main__":
    main()
