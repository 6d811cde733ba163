"""Select: statistics of the reference → the held-out PSNR of every subset of the models, and what each model adds."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ensir import registry
from ensir.scoring.selection import HeldOut, Selection, explore, files, selection
from ensir.storage import origin
from ensir.storage.layout import Layout

if TYPE_CHECKING:
    from ensir.storage.progress import Progress


def select(layout: Layout, selections: list[dict[str, Any]], threads: int, progress: Progress) -> None:
    """Compare the subsets of the models, and write what was found.

    Parameters
    ----------
    layout : Layout
    selections : list of dict
        For each experiment and method, the `folder` of its tables; `settings`, `statistics`, `predictions` and `given`
        as for `selected`.
    threads : int
    progress : callable
    """
    for asked in selections:
        folder, source = asked["folder"], {name: value for name, value in asked.items() if name != "folder"}
        found = selected(layout, **source, threads=threads, progress=progress)
        found.save(map(layout.place, files(folder)))


def selected(
    layout: Layout,
    settings: dict[str, Any],
    statistics: tuple[str, str],
    predictions: Mapping[str, Sequence[str]],
    given: Mapping[str, float],
    threads: int,
    progress: Progress,
) -> Selection:
    """Compare the subsets of the models of one method.

    Parameters
    ----------
    layout : Layout
    settings : dict
        The method's section of the configuration, as plain data.
    statistics : (str, str)
        The module and the store of the statistics of the reference.
    predictions : dict
        The parts of each model's predictions for the reference, whose records tell how long they took.
    given : dict
        Seconds per image of models, where they are known better.
    threads : int
    progress : callable
        Gets the number of subsets that were tried, and of those in sight.
    """
    everything, attributes = importlib.import_module(statistics[0]).load(statistics[1])
    names = sorted(attributes["image"])
    return compared(
        everything, settings, names, origin.runs(layout, predictions, given, len(names)), threads, progress
    )


def compared(
    everything: Any,
    settings: dict[str, Any],
    names: Sequence[str],
    seconds: Mapping[str, Mapping[str, float]],
    threads: int,
    progress: Progress,
) -> Selection:
    """Compare the subsets of the models by statistics of a reference; nothing of a single image.

    Parameters
    ----------
    everything : object
        The statistics of the method, fold by fold.
    settings, threads, progress
        As for `selected`.
    names : sequence of str
        Names of the reference images, sorted.
    seconds : dict
        As `origin.runs` returns them.
    """
    folds = len(set(everything.fold))
    if folds < 2:
        return Selection([], [], [], [])
    subsets = registry.module("methods", settings["kind"]).Subsets(everything, settings)
    done = 0

    def fitted(asked: Sequence[tuple[int, ...]]) -> Iterator[HeldOut]:
        nonlocal done
        in_sight = done + len(asked)
        for found in pool.map(subsets.held_out, asked):
            done += 1
            progress(done, in_sight)
            yield found

    with ThreadPoolExecutor(threads) as pool:  # the kernel works outside Python's lock
        tried = explore(len(everything.models), fitted)
    images = names if len(names) == folds else [f"fold {fold + 1}" for fold in range(folds)]
    return selection(everything.models, images, tried, seconds)
