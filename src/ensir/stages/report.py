"""Report: scores, pictures, weights and LUTs of all experiments → one page."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ensir.report.content import Run
from ensir.report.opening import stages
from ensir.report.page import page
from ensir.scoring.scores import read
from ensir.storage.atomic import written
from ensir.storage.layout import Place

if TYPE_CHECKING:
    from ensir.storage.progress import Progress


def report(
    place: Place,
    experiments: dict[str, Any],
    scores: str,
    summary: str,
    samples: list[dict[str, Any]],
    curves: dict[str, dict[str, str]],
    selections: dict[str, dict[str, str]],
    title: str,
    facts: dict[str, str],
    benchmarks: str,
    jobs: Collection[str],
    images: int,
    megabytes: int,
    threads: int,
    progress: Progress,
) -> None:
    """Write the page.

    Parameters
    ----------
    place : Place
        Where the page goes.
    experiments : dict
        Sections of the configuration by name, as plain data.
    scores, summary : str
        The CSV files of all scores, and of their means.
    samples : list of dict
        For each experiment and test set: `experiment`, `dataset`, `image` (the one that figures show), `parts` (names
        of the images in each part whose results stay), `dataset_store`, `predictions` (store by model), `fused` (store
        by method), `fitted` (LUT, fit or None by method), `files` (how many images are tested, of how many there are),
        `results` (the folder), `given` (seconds per image of models, where they are known better).
    curves : dict
        For each experiment, the CSV files of its refiners' trainings, by name.
    selections : dict
        For each experiment, the folders of its selections of models, by method.
    title : str
        Heading of the page.
    facts : dict
        How the run was made; see `ensir.report.opening.facts`.
    benchmarks : str
        The folder of what Snakemake has measured of the jobs.
    jobs : collection of str
        Names of the jobs that the configuration asks for; see `ensir.planning.jobs.names`.
    images : int
        How many images of each test set are pictured.
    megabytes : int
        Largest size of the page: many or large pictures are shown smaller.
    threads : int
        Threads that encode pictures.
    progress : callable
        Gets the number of finished samples.
    """
    run = Run(title, facts, stages(benchmarks, jobs))
    read_scores = read(scores, summary)
    text = page(
        run, experiments, read_scores, samples, curves, selections, images, megabytes, threads, progress
    )
    with written(place) as partial:
        partial.write_text(text, encoding="utf-8")
