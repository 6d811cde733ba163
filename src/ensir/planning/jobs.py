"""The jobs of a run: which results each makes, and what it reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from ensir.planning.figure_reads import FigureReads
from ensir.planning.reads import Read, Reads
from ensir.planning.report_reads import ReportReads
from ensir.planning.targets import FIGURE_FILES
from ensir.storage.layout import DIGESTED


class Job(NamedTuple):
    """One job.

    Attributes
    ----------
    results : tuple of str
        The results that it makes and that stay.
    read : callable
        Returns what it reads.
    temporary : tuple of str
        The results that it makes and that are removed once they have been used.
    """

    results: tuple[str, ...]
    read: Callable[[], Read]
    temporary: tuple[str, ...] = ()


def jobs(reads: Reads) -> Iterator[Job]:
    """Yield all jobs of a plan, figures included."""
    yield from _of_stores(reads)
    yield from _of_trainings(reads)
    yield from _of_experiments(reads)
    layout = reads.layout
    tables = partial(Read, files={"scores": layout.all_scores, "summary": layout.summary})
    yield Job((layout.all_scores, layout.summary), reads.summarize)
    yield Job((layout.tables,), tables)
    if selections := reads.selections.files():
        yield Job(tuple(selections), reads.select)
    yield Job((layout.report,), ReportReads(reads).read)
    yield Job((layout.provenance,), tables)
    figures = FigureReads(reads)
    for figure, experiment, of in reads.targets.drawn():
        stem = layout.figure(experiment, figure, "/".join(of.values()))
        read = partial(figures.read, figure, experiment, of.get("dataset", ""), of.get("method", ""))
        yield Job(tuple(stem + ending for ending in FIGURE_FILES), read)


def digested(reads: Reads) -> list[str]:
    """Return every result that stays and whose digest other rules may compare."""
    root = f"{reads.layout.root}/"
    found = {result for job in jobs(reads) for result in job.results}
    return sorted(result for result in found if result.removeprefix(root).split("/", 1)[0] in DIGESTED)


def names(reads: Reads) -> list[str]:
    """Return what the jobs of stores, experiments and trainings are called, such as ``test/nlm/0123456789ab``.

    That is the path of a result below the folder of its kind, without suffixes; tables of the time that jobs took are
    called alike, below the folders of stages.
    """
    root, found = f"{reads.layout.root}/", set()
    for job in jobs(reads):
        for result in (*job.results, *job.temporary):
            below = result.removeprefix(root).partition("/")[2].removesuffix("/zarr.json")
            found.add(re.sub(r"\.(zarr|lut|csv|safetensors)(?=/|$)", "", below))
    return sorted(found - {""})


def _of_stores(reads: Reads) -> Iterator[Job]:
    """Ingest, predict, adopt, seal."""
    layout, plan = reads.layout, reads.plan
    used = [(dataset, models) for _, dataset, models in plan.used()]
    for dataset in dict.fromkeys(dataset for dataset, _ in used):
        yield from _of_store(reads, layout.dataset(dataset), dataset, partial(reads.ingest, dataset))
    for dataset, model in dict.fromkeys((dataset, model) for dataset, models in used for model in models):
        read = (
            partial(reads.adopt, dataset)
            if plan.config.models[model].adopted
            else partial(reads.predict, dataset, model)
        )
        yield from _of_store(reads, layout.predictions(dataset, model), dataset, read)


def _of_store(reads: Reads, store: str, dataset: str, read: Callable[[str], Read]) -> Iterator[Job]:
    for part in reads.plan.parts(dataset):
        yield Job((reads.layout.part(store, part),), partial(read, part))
    yield Job((reads.layout.seal(store),), partial(reads.seal, store, dataset))


def _of_trainings(reads: Reads) -> Iterator[Job]:
    layout, plan = reads.layout, reads.plan
    for denoiser in plan.config.denoisers:
        made = layout.denoiser(denoiser), layout.denoiser_curve(denoiser)
        yield Job(made, partial(reads.train_denoiser, denoiser))
    for refiner, refinement in plan.networks.refiners().items():
        if training := refinement.settings.training:
            made = layout.refiner(refiner), layout.refiner_curve(refiner)
            yield Job(made, partial(reads.train_refiner, refiner))
            if (
                refinement.method
                and training.dataset not in plan.config.experiments[refinement.experiment].tests
            ):
                yield from _of_fused(reads, refinement.experiment, training.dataset, refinement.method)


def _of_experiments(reads: Reads) -> Iterator[Job]:
    """Partition, estimate, merge, fit, fuse, write images, score."""
    layout, plan = reads.layout, reads.plan
    for name, experiment in plan.config.experiments.items():
        for statistics in plan.statistics(name):
            yield Job((layout.statistics(name, statistics),), partial(reads.partition, name))
        for method, section in experiment.methods.items():
            if section.made == "lut":
                for shard in range(plan.config.compute.shards):
                    made = layout.weights(name, method, shard), layout.estimate_seconds(name, method, shard)
                    yield Job(made, partial(reads.estimate, name, method))
                yield Job((layout.lut(name, method),), partial(reads.merge, name, method))
            if section.made == "fit":
                made = layout.fit(name, method), layout.fit_seconds(name, method)
                yield Job(made, partial(reads.fit, name, method))
        for dataset in experiment.tests:
            for method in experiment.methods:
                yield from _of_fused(reads, name, dataset, method)
                if experiment.png:
                    store = layout.fused(name, dataset, method)
                    yield Job((layout.images(name, dataset, method),), partial(reads.seal, store, dataset))
        for dataset in plan.scored(name):
            for method in (*experiment.models, *experiment.methods):
                for part in plan.parts(dataset):
                    scores = layout.scores(name, dataset, method, part)
                    yield Job((scores,), partial(reads.score, name, dataset, method, part))


def _of_fused(reads: Reads, experiment: str, dataset: str, method: str) -> Iterator[Job]:
    """Fuse, seal: with `fused: temporary`, most parts do not stay."""
    layout, plan = reads.layout, reads.plan
    store, lasting = layout.fused(experiment, dataset, method), plan.lasting(experiment, dataset)
    for part in plan.parts(dataset):
        fused, seconds = layout.part(store, part), layout.fuse_seconds(experiment, dataset, method, part)
        read = partial(reads.fuse, experiment, dataset, method, part)
        yield Job((fused, seconds), read) if part in lasting else Job((seconds,), read, (fused,))
    if plan.config.experiments[experiment].fused == "keep":
        yield Job((layout.seal(store),), partial(reads.seal, store, dataset))
