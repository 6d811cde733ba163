"""The opening of a page: how the run was made, and where its time went."""

from __future__ import annotations

import csv
import os
import platform
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from ensir.storage import provenance

PACKAGES = ("numpy", "numba", "torch", "zarr", "scikit-image", "pillow", "matplotlib")
COMMAND = "ENSIR_COMMAND"  # the environment's variable that tells jobs how the run was started
STAGES = (
    "ingest", "train_denoiser", "train_refiner", "predict", "adopt", "partition", "estimate", "fit", "merge", "fuse",
    "score", "write_images", "seal", "summarize", "select", "tables", "provenance",
)  # fmt: skip


class Stage(NamedTuple):
    """What the jobs of one stage took, added up.

    Attributes
    ----------
    name : str
    jobs : int
    seconds : float
    share : float
        Of the longest stage.
    """

    name: str
    jobs: int
    seconds: float
    share: float


def facts(files: Sequence[str | Path]) -> dict[str, str]:
    """Return how the run was made: fact by name.

    Parameters
    ----------
    files : sequence of paths
        The configuration's files.
    """
    origin = provenance.origin()
    versions = provenance.versions(*PACKAGES)
    told = {
        "Date": origin["time"].replace("T", " ").removesuffix("+00:00") + " UTC",
        "Configuration": ", ".join(map(provenance.from_here, files)),
        "Command": os.environ.get(COMMAND, ""),
        "Commit": origin["commit"],
        "Machine": f"{origin['host']}, {os.cpu_count()} cores, {platform.platform()}",
        "Versions": ", ".join(f"{name} {version}" for name, version in versions.items())
        + f", Python {platform.python_version()}",
    }
    return {name: fact for name, fact in told.items() if fact}


def stages(benchmarks: str | Path, jobs: Collection[str]) -> list[Stage]:
    """Return what the last job that made each result took, by stage in their order.

    Of results that the configuration no longer names, tables stay behind; these do not count.

    Parameters
    ----------
    benchmarks : path
        The folder of Snakemake's measurements, with a folder or a table for each stage.
    jobs : collection of str
        Names of those that the configuration asks for, below the folders of stages; see `ensir.planning.jobs.names`.
    """
    taken: dict[str, list[float]] = {}
    asked = frozenset(jobs)
    for path in sorted(Path(benchmarks).rglob("*.tsv")):
        stage, _, job = path.relative_to(benchmarks).with_suffix("").as_posix().partition("/")
        if job and job not in asked:
            continue
        with open(path, newline="", encoding="utf-8") as file:
            taken.setdefault(stage, []).extend(
                float(row["s"]) for row in csv.DictReader(file, delimiter="\t")
            )
    sums = {stage: sum(taken[stage]) for stage in STAGES if taken.get(stage)}
    most = max(sums.values(), default=0.0) or 1.0
    return [Stage(stage, len(taken[stage]), seconds, seconds / most) for stage, seconds in sums.items()]
