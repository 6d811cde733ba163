"""Two runs side by side: what differs in how they were made, in their results, and in their scores."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from ensir.scoring.interval import Interval, intervals
from ensir.scoring.scores import TIME_METRICS, Scores

ABSENT = "–"
PASSING = ("time", "host", "config_files")  # of the record of a run: they say nothing about its results


class Difference(NamedTuple):
    """A value that differs: its dotted key, and what it is in both runs."""

    key: str
    before: str
    after: str


@dataclass
class Counts:
    """Results of one kind: how many are equal to the bit, differ, or are in one run only."""

    equal: int = 0
    different: int = 0
    only_before: int = 0
    only_after: int = 0


class Change(NamedTuple):
    """A score that differs: its mean over the images of both runs, and the paired difference."""

    key: tuple[str, ...]
    before: float
    after: float
    difference: Interval
    images: int


@dataclass(frozen=True)
class Comparison:
    """All that differs between two runs.

    Attributes
    ----------
    made : list of Difference
        How they were made.
    results : dict
        Counts of results by kind.
    equal : int
        How many rows of scores (experiment, dataset, method, metric) are equal to the bit.
    changes : list of Change
        The other rows that both have.
    only_before, only_after : dict
        How many rows are in one run only, by what that run alone has: an experiment, or one's test set, method, row.
    otherwise : dict
        How many rows that both have measure something else in each, by what that is.
    """

    made: list[Difference]
    results: dict[str, Counts]
    equal: int
    changes: list[Change]
    only_before: dict[tuple[str, ...], int]
    only_after: dict[tuple[str, ...], int]
    otherwise: dict[str, int]


def compare(records: tuple[dict[str, Any], dict[str, Any]], scores: tuple[Scores, Scores]) -> Comparison:
    """Compare two runs by their `provenance.json` and their scores."""
    (before, after) = records
    equal, changes, only_before, only_after = of_scores(*scores)
    reason = cache(partial(measured_otherwise, before, after))
    reasons = [reason(name, dataset, metric) for name, dataset, _, metric in (one.key for one in changes)]
    return Comparison(
        of_records(before["run"], after["run"]),
        of_results(before["results"], after["results"]),
        equal,
        [change for change, reason in zip(changes, reasons, strict=True) if not reason],
        only_before,
        only_after,
        dict(Counter(filter(None, reasons))),
    )


def measured_otherwise(
    before: dict[str, Any], after: dict[str, Any], name: str, dataset: str, metric: str
) -> str:
    """Say why a score does not measure the same in both runs; empty where it does.

    Images are compared in another space, or by a metric of other settings, or they are others of the same names.

    Parameters
    ----------
    before, after : dict
        The `provenance.json` of both runs.
    name, dataset, metric : str
        Experiment, dataset and metric of the score.
    """
    sections = [record["run"]["config"].get("experiments", {}).get(name, {}) for record in (before, after)]
    one, other = (
        {
            **{setting: value for setting, value in score.items() if setting != "metrics"},
            metric: {k: v for k, v in score.get("metrics", {}).get(metric, {}).items() if k != "printed"},
        }
        for score in (section.get("score", {}) for section in sections)
    )
    told = [f"{changed.key} {changed.before} → {changed.after}" for changed in _differences("", one, other)]
    images, others = (
        {path: told for path, told in _told(record["results"]).items() if _is_of(path, dataset)}
        for record in (before, after)
    )
    if not all(_are_equal(images[path], others[path]) for path in images.keys() & others.keys()):
        told.append(f"other images in {dataset}")
    return f"{name}: {', '.join(told)}" if told else ""


def _is_of(path: str, dataset: str) -> bool:
    """Return whether a result is a part of a dataset."""
    return path.startswith(f"datasets/{dataset}.zarr/") and not path.endswith(".json")


def of_records(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Return what differs between the records of two runs: commit, machine, packages, configuration.

    Parameters
    ----------
    before, after : dict
        The `run` of a `provenance.json`.
    """
    one, other = ({k: v for k, v in run.items() if k not in PASSING} for run in (before, after))
    # A package that one environment lacks is none that a run needs.
    shared = one["packages"].keys() & other["packages"].keys()
    for run in (one, other):
        run["packages"] = {name: version for name, version in run["packages"].items() if name in shared}
    return _differences("", one, other)


def _differences(key: str, before: Any, after: Any) -> list[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        names = dict.fromkeys([*before, *after])
        return [
            difference
            for name in names
            for difference in _differences(
                f"{key}.{name}".lstrip("."), before.get(name, ABSENT), after.get(name, ABSENT)
            )
        ]
    return [] if before == after else [Difference(key, _text(before), _text(after))]


def _text(value: Any) -> str:
    """Return a value in one line; a section that one run lacks, by its kind."""
    if isinstance(value, dict):
        return str(value.get("kind", "a section"))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def of_results(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Counts]:
    """Count the results of each kind (datasets, predictions, …) by their digests; seals only name others.

    Parameters
    ----------
    before, after : dict
        The `results` of a `provenance.json`: what is told of each, by its path.
    """
    one, other = map(_told, (before, after))
    kinds: dict[str, Counts] = defaultdict(Counts)
    for path in dict.fromkeys([*one, *other]):
        if path.endswith(".zarr/zarr.json"):
            continue
        counts = kinds[path.split("/")[0]]
        counts.only_after += path not in one
        counts.only_before += path not in other
        if path in one and path in other:
            equal = _are_equal(one[path], other[path])
            counts.equal += equal
            counts.different += not equal
    return dict(kinds)


def _are_equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two results are equal: their images, where these are known, however they were made."""
    key = "images" if "images" in one and "images" in other else "sha256"
    return bool(one[key] == other[key])


def _told(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what is told of each result, by its path below the results folder."""
    root = os.path.commonpath(results) if len(results) > 1 else ""
    return {os.path.relpath(path, root or "."): told for path, told in results.items()}


def of_scores(
    before: Scores, after: Scores
) -> tuple[int, list[Change], dict[tuple[str, ...], int], dict[tuple[str, ...], int]]:
    """Compare the scores of images that both runs have; times are left out.

    Returns
    -------
    equal : int
        How many rows (experiment, dataset, method, metric) have the same value of every image.
    changes : list of Change
        The others.
    only_before, only_after : dict
        How many rows are in one run only, by what that run alone has.
    """
    one, other = (
        {key: v for key, v in run.values.items() if key[3] not in TIME_METRICS} for run in (before, after)
    )
    changes, equal = [], 0
    for key in (key for key in one if key in other):
        if one[key] == other[key]:
            equal += 1
            continue
        images = [
            image
            for image in one[key]
            if image in other[key] and math.isfinite(one[key][image]) and math.isfinite(other[key][image])
        ]
        x, y = (np.array([run[key][image] for image in images]) for run in (one, other))
        before_mean, after_mean = (float(value.mean()) if images else math.nan for value in (x, y))
        changes.append(Change(key, before_mean, after_mean, intervals((y - x)[None])[0], len(images)))
    return (
        equal,
        changes,
        _only_in(one, other),
        _only_in(other, one),
    )


def _only_in(
    run: Iterable[tuple[str, ...]], other: Collection[tuple[str, ...]]
) -> dict[tuple[str, ...], int]:
    """Count the rows that the other run lacks, by the shortest part of their keys that nothing there begins with."""
    there = {key[:length] for key in other for length in range(1, len(key) + 1)}
    found: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for key in run:
        if key not in there:
            shortest = next(length for length in range(1, len(key) + 1) if key[:length] not in there)
            found[key[:shortest]].append(key)
    return {part if len(keys) > 1 else keys[0]: len(keys) for part, keys in found.items()}


def signed(value: float) -> str:
    """Print a difference; of one that four decimals would not show, the order of magnitude."""
    return f"{value:+.4f}" if abs(value) >= 5e-5 or not value else f"{value:+.0e}"
