"""Report: scores, pictures, weights and LUTs of all experiments → one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
        For each experiment and test set, the image that is pictured: `experiment`, `dataset`, `image`,
        `dataset_part`, `predictions` (part by model), `fused` (part by method), `fitted` (LUT, fit or None by
        method) and `files` (how many images are tested, of how many there are).
    curves : dict
        For each experiment, the CSV files of its refiners' trainings, by name.
    selections : dict
        For each experiment, the folders of its selections of models, by method.
    title : str
        Heading of the page.
    megabytes : int
        Largest size of the page: many or large pictures are shown smaller.
    threads : int
        Threads that encode pictures.
    progress : callable
        Gets the number of finished samples.
    """
    text = page(
        experiments, read(scores, summary), samples, curves, selections, title, megabytes, threads, progress
    )
    with written(place) as partial:
        partial.write_text(text, encoding="utf-8")
