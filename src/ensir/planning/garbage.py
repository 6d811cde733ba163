"""Garbage: results that no configuration needs any longer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ensir.planning.plan import Plan
from ensir.storage.atomic import remove
from ensir.storage.layout import Layout

DIGESTED = (
    "datasets",
    "predictions",
    "statistics",
    "weights",
    "fits",
    "luts",
    "fused",
)  # for other rules to compare
OTHERS = ("denoisers", "refiners", "images", "scores", "seconds", "selections", "figures", "sources")


def needed(plan: Plan) -> set[Path]:
    """Return every result of a configuration that lasts, whether it exists or not."""
    layout, results = plan.layout, set[str]()

    def add_store(store: str, dataset: str) -> None:
        results.update(layout.part(store, part) for part in plan.parts(dataset))
        results.add(layout.seal(store))

    def add_fused(experiment: str, dataset: str, method: str) -> None:
        store, lasting = layout.fused(experiment, dataset, method), plan.lasting(experiment, dataset)
        for part in plan.parts(dataset):
            path = layout.part(store, part)  # of what was removed, it is still known how it was made
            results.add(path if part in lasting else str(layout.origin_of(layout.digest(path))))
        if plan.config.experiments[experiment].fused == "keep":
            results.add(layout.seal(store))
        results.update(layout.fuse_seconds(experiment, dataset, method, part) for part in plan.parts(dataset))

    for _, dataset, models in plan.used():
        add_store(layout.dataset(dataset), dataset)
        for model in models:
            add_store(layout.predictions(dataset, model), dataset)
    for denoiser in plan.config.denoisers:
        results |= {layout.denoiser(denoiser), layout.denoiser_curve(denoiser)}
    for refiner, refinement in plan.networks.refiners().items():
        if training := refinement.settings.training:
            results |= {layout.refiner(refiner), layout.refiner_curve(refiner)}
            if refinement.method:
                add_fused(refinement.experiment, training.dataset, refinement.method)
            else:
                add_store(refinement.store(layout, training.dataset), training.dataset)
    for name, experiment in plan.config.experiments.items():
        results.add(layout.figures(name))
        for dataset in experiment.tests:
            for method in (*experiment.models, *experiment.methods):
                results.update(layout.scores(name, dataset, method, part) for part in plan.parts(dataset))
        for method, options in experiment.methods.items():
            if options.made and options.statistics:
                results.add(layout.statistics(name, options.statistics.name))
            if options.made == "lut":
                results.add(layout.lut(name, method))
                for shard in range(plan.config.compute.shards):
                    results.add(layout.weights(name, method, shard))
                    results.add(layout.estimate_seconds(name, method, shard))
            if options.made == "fit":
                results |= {layout.fit(name, method), layout.fit_seconds(name, method)}
            if options.selects:
                results.add(layout.selection(name, method))
            for dataset in experiment.tests:
                add_fused(name, dataset, method)
                results.add(layout.images(name, dataset, method))
    results |= {layout.sources(path) for path in list(results)} | {layout.renewed}
    return set(map(Path, results))


def garbage(layout: Layout, plans: list[Plan]) -> Iterator[Path]:
    """Yield what none of the configurations needs: whole folders where nothing in them is needed.

    Parameters
    ----------
    layout : Layout
        The results folder.
    plans : list of Plan
        The plans of all configurations whose results are to be kept.
    """
    kept = set[Path]().union(*map(needed, plans))
    digests = {Path(layout.digest(str(path))) for path in kept}
    kept |= digests | {layout.origin_of(digest) for digest in digests}
    kept |= {
        Path(layout.digest(folder)).with_suffix("")
        for plan in plans
        for name, experiment in plan.config.experiments.items()
        for folder in (layout.figures(name), *(layout.selection(name, m) for m in experiment.methods))
    }
    above = {parent for path in kept for parent in path.parents}
    kinds = (*DIGESTED, *OTHERS)
    for folder in (*kinds, *(f"digests/{name}" for name in kinds)):
        yield from _unneeded(Path(layout.root) / folder, kept, above)


def _unneeded(path: Path, kept: set[Path], above: set[Path]) -> Iterator[Path]:
    if path in kept or not path.exists():
        return
    if path not in above:
        yield path
        return
    for name in sorted(os.listdir(path)):
        yield from _unneeded(path / name, kept, above)


def size(path: Path) -> int:
    """Return the size of a file or folder in bytes."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(os.lstat(Path(folder) / name).st_size for folder, _, names in os.walk(path) for name in names)


def clear(paths: list[Path]) -> None:
    """Delete results, but their digests first, so that none vouches for a result that is half deleted."""
    for path in sorted(paths, key=lambda path: "digests" not in path.parts):
        remove(path)
