"""Put the tables of a run into docs/results.md, each below the comment that names it."""

import re
from pathlib import Path
from textwrap import fill

import numpy as np

from ensir.scoring.interval import Interval, intervals
from ensir.scoring.scores import read

PAGE = Path(__file__).with_name("results.md")
RESULTS = Path("results")
SLOT = re.compile(r"(<!-- table: (?P<name>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
OURS = ("local_filters", "best")
RIVALS = {  # the average, the best base model, and what is combined without neighbours
    ("derain", "rain100h_test"): ("average", "BRN", "ensir_joint", "least_squares", "hgbt"),
    ("sr_x4", "set5"): ("average", "CRAFT", "ensir_joint", "least_squares", "hgbt"),
    ("denoise", "set14"): ("average", "DAE", "ensir_joint", "least_squares", "hgbt"),
}

SHORT = {  # the same test sets, by what they are, with the best base model
    "deraining": ("derain", "rain100h_test", "BRN"),
    "super-resolution ×4": ("sr_x4", "set5", "CRAFT"),
    "denoising": ("denoise", "set14", "DAE"),
}
IN_SHORT = ("zzpm", "ensir", "least_squares", "local_filters", "hgbt")

scores = read(str(RESULTS / "scores.csv"), str(RESULTS / "summary.csv"))


def difference(interval: Interval) -> str:
    """Return a mean difference with its interval."""
    mean, low, high = (f"{value:+.3f}".replace("-", "−") for value in interval)
    return f"{mean} [{low}, {high}]{' n.s.' if interval.holds_zero else ''}"


def against_rivals() -> str:
    """Return the table of how far our methods are above others, in PSNR, image by image."""
    lines = [
        "| test set | method | − average | − best base model | − ensir_joint | − least_squares | − hgbt |"
    ]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for (experiment, dataset), rivals in RIVALS.items():
        for method in OURS:
            gains = [scores.gain((experiment, dataset, method, "psnr"), rival) for rival in rivals]
            images = sorted(gains[0])
            found = intervals(np.array([[gain[image] for image in images] for gain in gains]))
            lines.append(f"| {dataset} | {method} | {' | '.join(map(difference, found))} |")
    return "\n".join(lines) + "\n"


def in_short() -> str:
    """Return the table of how far the best base model and some methods are above the average, in PSNR."""
    lines = [f"| | {' | '.join(SHORT)} |", "| --- |" + " ---: |" * len(SHORT)]
    for method in ("", *IN_SHORT):
        cells = []
        for experiment, dataset, base in SHORT.values():
            gain = scores.gain((experiment, dataset, method or base, "psnr"), "average")
            cells += map(difference, intervals(np.array([[gain[image] for image in sorted(gain)]])))
        lines.append(f"| {f'`{method}`' if method else 'the best base model'} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def filled(slot: re.Match[str]) -> str:
    """Return a slot of the page with its table."""
    if slot["name"] == "against-rivals":
        table = against_rivals()
    elif slot["name"] == "in-short":
        table = in_short()
    else:
        text = (RESULTS / "tables" / f"{slot['name']}.md").read_text(encoding="utf-8")
        table = (
            "\n".join(line if line.startswith("|") else fill(line, 120) for line in text.splitlines()) + "\n"
        )
    return f"{slot[1]}\n{table}\n{slot[3]}"


PAGE.write_text(SLOT.sub(filled, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
