"""What a run costs, roughly: jobs, processor time and disk space of what is not there yet."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

from ensir.methods import CombiningMethod
from ensir.planning.headers import Headers
from ensir.planning.selections import Selections
from ensir.scoring.selection import MOST_MODELS

FACTOR = 3  # estimates are within this factor, either way, on processors of our days
JOB = 0.6  # seconds: the start of a job
# Seconds for a million values, without the start of the job, measured on frames of 1280×720; of PSNR and SSIM the mean.
INGEST, PREDICT, COUNT, FUSE, SCORE, WRITE_PNG = 0.013, 0.015, 0.012, 0.035, 0.012, 0.011
ESTIMATE = 3.0  # seconds: EM, or least squares, of a LUT
SELECT = 1e-3  # seconds, times 3^M: subsets of M models, b = 32, a dozen images
FUSED, FUSED_DEEP = 2, 4  # bytes of a fused value of 8-bit images, and of deeper ones


@dataclass
class Estimate:
    """What a run costs.

    Attributes
    ----------
    jobs : int
    seconds : float
        Of one processor core.
    megabytes : float
        In the results folder, before compression.
    free : float
        Megabytes that are free there.
    untimed : list of str
        Models and methods whose computing the seconds leave out.
    unsized : list of str
        Datasets whose images seconds and megabytes leave out, since no header tells their size.
    """

    jobs: int = 0
    seconds: float = 0.0
    megabytes: float = 0.0
    free: float = 0.0
    untimed: list[str] = field(default_factory=list)
    unsized: list[str] = field(default_factory=list)

    def add(self, path: str, seconds: float, megabytes: float = 0.0, jobs: int = 1) -> None:
        """Count a result, unless it is there."""
        if not os.path.exists(path):
            self.jobs += jobs
            self.seconds += jobs * JOB + seconds
            self.megabytes += megabytes

    @property
    def warning(self) -> str:
        """What to say where the disk will probably not do; else empty."""
        if self.megabytes <= self.free:
            return ""
        return (
            f"the run needs about {size(self.megabytes)}, and {size(self.free)} are free; free some, or choose another "
            "results folder"
        )


def estimate(headers: Headers) -> Estimate:
    """Estimate the cost of what a run of a plan has yet to make.

    Parameters
    ----------
    headers : Headers
        Of the files of the plan, after `problems` has found none: sizes of images that were not read are taken to be
        as those that were.
    """
    plan, total = headers.plan, Estimate()
    total.free = shutil.disk_usage(_existing(plan.layout.root)).free / 1e6
    for dataset, models in headers.models.items():
        _add_dataset(total, headers, dataset, models)
    for experiment in plan.config.experiments:
        _add_experiment(total, headers, experiment)
    total.untimed = list(dict.fromkeys(total.untimed))
    if selections := Selections(plan).files():
        counted = [len(experiment.models) for experiment in plan.config.experiments.values()]
        total.add(selections[0], SELECT * sum(3.0 ** min(number, MOST_MODELS) for number in counted))
    total.add(plan.layout.report, 5.0, 3.0, jobs=4)
    return total


def _existing(folder: str) -> str:
    """Return a folder, or the nearest one above it that exists."""
    folder = os.path.abspath(folder)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _parts(headers: Headers, dataset: str) -> Iterator[tuple[str, float]]:
    """Yield the parts of a dataset, with the millions of values in each."""
    for part, names in headers.plan.parts(dataset).items():
        yield part, len(names) * headers.values.get(dataset, 0.0) / 1e6


def _add_dataset(total: Estimate, headers: Headers, dataset: str, models: list[str]) -> None:
    """Add the jobs that store a dataset and the predictions for it."""
    plan = headers.plan
    layout, width = plan.layout, headers.width(dataset)
    if dataset not in headers.values:
        total.unsized.append(dataset)
    images = plan.has_targets(dataset) + plan.has_inputs(dataset) / plan.input_scale(dataset) ** 2
    total.add(layout.seal(layout.dataset(dataset)), 0.0)
    for model in models:
        total.add(layout.seal(layout.predictions(dataset, model)), 0.0)
    for part, values in _parts(headers, dataset):
        path = layout.part(layout.dataset(dataset), part)
        total.add(path, images * values * INGEST, images * values * width)
        for model in models:
            path = layout.part(layout.predictions(dataset, model), part)
            adopted = plan.config.models[model].adopted
            total.add(path, values * PREDICT, 0.0 if adopted else values * width)
            if not adopted and not plan.predictions(dataset, model):
                total.untimed.append(model)


def _add_experiment(total: Estimate, headers: Headers, name: str) -> None:
    """Add the jobs that fit, fuse and score."""
    plan = headers.plan
    layout, experiment = plan.layout, plan.config.experiments[name]
    models, counted = (
        len(experiment.models),
        sum(values for _, values in _parts(headers, experiment.reference)),
    )
    for statistics in plan.statistics(name):
        total.add(layout.statistics(name, statistics), counted * models * COUNT)
    for method, section in experiment.methods.items():
        _add_method(total, headers, name, method, section)
    for test in plan.scored(name):
        for part, values in _parts(headers, test):
            for scored in (*experiment.models, *experiment.methods):
                total.add(
                    layout.scores(name, test, scored, part), values * SCORE * len(experiment.score.metrics)
                )


def _add_method(total: Estimate, headers: Headers, name: str, method: str, section: CombiningMethod) -> None:
    layout, experiment = headers.plan.layout, headers.plan.config.experiments[name]
    if section.made == "lut":
        jobs = headers.plan.config.compute.shards + 1  # and one that merges them
        total.add(layout.lut(name, method), ESTIMATE, jobs=jobs)
    elif section.made == "fit":
        total.add(layout.fit(name, method), 0.0)
    if not section.timed:
        total.untimed.append(method)
    for test in experiment.tests:
        lasting = experiment.fused == "keep"
        if lasting:
            total.add(layout.seal(layout.fused(name, test, method)), 0.0)
        bytes_of_value = FUSED if headers.width(test) == 1 else FUSED_DEEP
        for part, values in _parts(headers, test):
            path = (
                layout.part(layout.fused(name, test, method), part)
                if lasting
                else layout.fuse_seconds(name, test, method, part)
            )
            png = values * headers.width(test) if experiment.png else 0.0
            total.add(path, values * (FUSE + WRITE_PNG * experiment.png), values * bytes_of_value + png)


def size(megabytes: float) -> str:
    """Return a size as people write it: two digits, and a unit."""
    for unit, larger in (("MB", 1e3), ("GB", 1e6)):
        if megabytes < 0.995 * larger:
            return f"{_two_digits(megabytes / (larger / 1e3))} {unit}"
    return f"{_two_digits(megabytes / 1e6)} TB"


def duration(seconds: float) -> str:
    """Return a duration as people write it: two digits, and a unit."""
    for unit, length, most in (("s", 1, 100), ("min", 60, 6000)):
        if seconds < most:
            return f"{_two_digits(seconds / length)} {unit}"
    return f"{_two_digits(seconds / 3600)} h"


def _two_digits(number: float) -> str:
    return f"{float(f'{number:.2g}'):g}"
