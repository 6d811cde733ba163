"""Where every result lives: one object names every path, for the rules, the stages and the tests alike."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Folders of results whose digests are outputs of the rules that make them, for other rules to compare.
DIGESTED = ("datasets", "predictions", "statistics", "weights", "fits", "luts", "fused")


@dataclass(frozen=True)
class Place:
    """Where one result goes.

    Attributes
    ----------
    path : Path
        The file or folder to be written.
    digest : Path or None
        The sha256sum-style file that goes with it.
    partial : Path
        Folder for work in progress and locks, on the same file system.
    """

    path: Path
    digest: Path | None
    partial: Path

    @classmethod
    def beside(cls, path: str | Path) -> Place:
        """Return a place outside a results folder: no digest, work in progress beside the result."""
        path = Path(path)
        return cls(path, None, path.absolute().parent / ".partial")


@dataclass(frozen=True)
class Layout:
    """The paths below one results folder; names may be Snakemake wildcards such as ``{part}``."""

    root: str = "results"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", os.path.normpath(self.root))  # paths of results are compared as text

    def dataset(self, dataset: str) -> str:
        """Return the store of a dataset's targets and inputs."""
        return f"{self.root}/datasets/{dataset}.zarr"

    def denoiser(self, denoiser: str) -> str:
        """Return the weights of a denoising autoencoder that is trained here."""
        return f"{self.root}/denoisers/{denoiser}.safetensors"

    def denoiser_curve(self, denoiser: str) -> str:
        """Return the loss and the PSNR of its training, step by step."""
        return f"{self.root}/denoisers/{denoiser}.csv"

    def refiner(self, refiner: str) -> str:
        """Return the weights of a refiner that is trained here: of a model, or of an `experiment/method`."""
        return f"{self.root}/refiners/{refiner}.safetensors"

    def refiner_curve(self, refiner: str) -> str:
        """Return the loss and the PSNR of its training, step by step."""
        return f"{self.root}/refiners/{refiner}.csv"

    @property
    def unfinished(self) -> Path:
        """Return the folder of work in progress."""
        return Path(self.root) / ".partial"

    def checkpoint(self, weights: str) -> str:
        """Return the checkpoint of a training: no output of its job, since it must survive when the job is killed."""
        return (
            f"{self.unfinished}/{os.path.relpath(weights, self.root).removesuffix('.safetensors')}.checkpoint"
        )

    def predictions(self, dataset: str, model: str) -> str:
        """Return the store of one model's predictions for one dataset."""
        return f"{self.root}/predictions/{dataset}/{model}.zarr"

    def part(self, store: str, part: str) -> str:
        """Return one part of a store."""
        return f"{store}/{part}"

    def seal(self, store: str) -> str:
        """Return the file that seals a store: the metadata of its root group."""
        return f"{store}/zarr.json"

    def fused(self, experiment: str, dataset: str, method: str) -> str:
        """Return the store of one method's fused images."""
        return f"{self.root}/fused/{experiment}/{dataset}/{method}.zarr"

    def images(self, experiment: str, dataset: str, method: str) -> str:
        """Return the folder of one method's fused images as PNG files."""
        return f"{self.root}/images/{experiment}/{dataset}/{method}"

    def statistics(self, experiment: str, statistics: str) -> str:
        """Return statistics of an experiment's reference; methods say which they need."""
        return f"{self.root}/statistics/{experiment}/{statistics}.zarr"

    def weights(self, experiment: str, method: str, shard: str | int) -> str:
        """Return the weights that one shard estimated."""
        return f"{self.root}/weights/{experiment}/{method}/{shard}.zarr"

    def lut(self, experiment: str, method: str) -> str:
        """Return the look-up table of a method."""
        return f"{self.root}/luts/{experiment}/{method}.lut"

    def fit(self, experiment: str, method: str) -> str:
        """Return what a method without a LUT keeps of the reference."""
        return f"{self.root}/fits/{experiment}/{method}.zarr"

    def fit_seconds(self, experiment: str, method: str) -> str:
        """Return the table of how long a fit took."""
        return f"{self.root}/seconds/fit/{experiment}/{method}.csv"

    def estimate_seconds(self, experiment: str, method: str, shard: str | int) -> str:
        """Return the table of how long the weights of one shard took."""
        return f"{self.root}/seconds/estimate/{experiment}/{method}/{shard}.csv"

    def fuse_seconds(self, experiment: str, dataset: str, method: str, part: str) -> str:
        """Return the table of how long each image of a part took to fuse."""
        return f"{self.root}/seconds/fuse/{experiment}/{dataset}/{method}/{part}.csv"

    def scores(self, experiment: str, dataset: str, method: str, part: str) -> str:
        """Return the scores of a method (or base model) on one part of a test set."""
        return f"{self.root}/scores/{experiment}/{dataset}/{method}/{part}.csv"

    @property
    def all_scores(self) -> str:
        """The table of every score."""
        return f"{self.root}/scores.csv"

    @property
    def summary(self) -> str:
        """The table of the mean scores."""
        return f"{self.root}/summary.csv"

    def selection(self, experiment: str, method: str) -> str:
        """Return the folder of what each subset of the models is worth, combined by a method."""
        return f"{self.root}/selections/{experiment}/{method}"

    @property
    def tables(self) -> str:
        """The folder of the tables of a paper."""
        return f"{self.root}/tables"

    def figures(self, experiment: str) -> str:
        """Return the folder of an experiment's figures."""
        return f"{self.root}/figures/{experiment}"

    def figure(self, experiment: str, figure: str, what: str) -> str:
        """Return the path of one figure's files, without suffixes; `what` is a test set, a method or both."""
        return f"{self.figures(experiment)}/{figure}/{what}"

    @property
    def provenance(self) -> str:
        """The record of how everything was made."""
        return f"{self.root}/provenance.json"

    @property
    def report(self) -> str:
        """The report, an HTML page."""
        return f"{self.root}/report.html"

    def log(self, job: str) -> str:
        """Return the log of a job, such as ``merge/sr_x4/ensir``."""
        return f"{self.root}/logs/{job}.log"

    @property
    def benchmarks(self) -> str:
        """The folder of the tables of the time and memory that jobs took."""
        return f"{self.root}/benchmarks"

    def benchmark(self, job: str) -> str:
        """Return the table of the time and memory that a job took."""
        return f"{self.benchmarks}/{job}.tsv"

    @property
    def worker_logs(self) -> str:
        """The folder of the logs of Dask workers that Slurm starts."""
        return f"{self.root}/logs/dask"

    def digest(self, path: str) -> str:
        """Return the digest file that mirrors a result."""
        return f"{self.root}/digests/{os.path.relpath(path, self.root)}.sha256"

    def sources(self, path: str) -> str:
        """Return the record of the source files that a result was made from."""
        return f"{self.root}/sources/{os.path.relpath(path, self.root)}.json"

    def made_from_sources(self) -> Iterator[str]:
        """Yield the results whose source files are recorded, sorted."""
        folder = Path(self.root) / "sources"
        for record in sorted(folder.rglob("*.json")):
            if str(record) != self.renewed:
                yield f"{self.root}/{record.relative_to(folder).as_posix().removesuffix('.json')}"

    @property
    def renewed(self) -> str:
        """The list of the results whose files were found to have changed when they were compared last."""
        return f"{self.root}/sources/renewed.json"

    def repaired(self, target: str, level: str | int) -> str:
        """Return the list of what was lost, and was made again before anything else."""
        return f"{self.root}/logs/repair/{target}/{level}.json"

    @staticmethod
    def origin_of(digest: str | os.PathLike) -> Path:
        """Return the file beside a digest that records where, when and with which code its result was made."""
        return Path(digest).with_suffix(".json")

    def place(self, path: str | os.PathLike) -> Place:
        """Return where a result, its digest and its work in progress go."""
        path = os.fspath(path)
        return Place(Path(path), Path(self.digest(path)), self.unfinished)

    def result_of(self, digest: str | os.PathLike) -> Path:
        """Return the result of a digest file."""
        relative = os.path.relpath(digest, f"{self.root}/digests")
        return Path(self.root) / relative.removesuffix(".sha256")
