"""The page of `ensir compare`: two runs side by side."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ensir.report.rendering import render
from ensir.scoring.comparison import Change, Comparison, signed

FACTS = {"time": "Date", "commit": "Commit", "config_files": "Configuration", "host": "Machine"}


class Row(NamedTuple):
    """A score that differs, printed.

    Attributes
    ----------
    change : Change
    difference, interval : str
    bar : dict of str, or None
        Where the interval, its mean and zero are on a scale that all rows of the metric share, in percent.
    """

    change: Change
    difference: str
    interval: str
    bar: dict[str, str] | None


def page(names: tuple[str, str], runs: tuple[dict[str, Any], dict[str, Any]], found: Comparison) -> str:
    """Return the page.

    Parameters
    ----------
    names : (str, str)
        The results folders.
    runs : pair of dict
        The `run` of each `provenance.json`.
    found : Comparison
    """
    reach: dict[str, float] = {}
    for change in found.changes:
        ends = [abs(value) for value in change.difference if math.isfinite(value)]
        reach[change.key[3]] = max([reach.get(change.key[3], 0.0), *ends])
    return render(
        "compare.html",
        names=names,
        facts=[{heading: _text(run[key]) for key, heading in FACTS.items() if run.get(key)} for run in runs],
        found=found,
        rows=[_row(change, reach[change.key[3]]) for change in found.changes],
    )


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _row(change: Change, reach: float) -> Row:
    mean, low, high = change.difference
    if not math.isfinite(mean):
        return Row(change, "–", "–", None)
    known = math.isfinite(low)
    ends = (low, high) if known else (mean, mean)
    places = [50 + 46 * value / (reach or 1) for value in (*ends, mean)]
    bar = {
        "left": f"{places[0]:.2f}",
        "width": f"{places[1] - places[0]:.2f}",
        "mean": f"{places[2]:.2f}",
    }
    return Row(change, signed(mean), f"[{signed(low)}, {signed(high)}]" if known else "–", bar)
