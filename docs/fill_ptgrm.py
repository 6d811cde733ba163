"""Put the table of config/ptgrm.yaml's run into docs/ptgrm.md: what was refined, how well, and how it differs."""

import csv
import re
from pathlib import Path

import numpy as np

from ensir.scoring.interval import Interval, intervals

PAGE = Path(__file__).with_name("ptgrm.md")
SLOT = re.compile(r"(<!-- table -->\n).*?(<!-- end -->)", re.DOTALL)
SHOWN = {
    "tv": "the base model",
    "refined_unguided": "refined, without a prior",
    "refined_prior_1d": "refined, 1-D prior",
    "refined": "refined, 2-D prior",
    "refined_plain": "plain network of the same size",
}
DIGITS = {"psnr": 3, "ssim": 4}
AFTER, BEFORE = "refined", "tv"

with open("results/scores.csv", newline="", encoding="utf-8") as file:
    rows = [row for row in csv.DictReader(file) if row["dataset"] == "set14" and row["metric"] in DIGITS]
values = {
    (method, metric): np.array(
        [float(r["value"]) for r in rows if (r["method"], r["metric"]) == (method, metric)]
    )
    for method in SHOWN
    for metric in DIGITS
}


def difference(interval: Interval, digits: int) -> str:
    """Return a mean difference with its interval."""
    mean, low, high = (f"{value:+.{digits}f}" for value in interval)
    return f"{mean} ({low} to {high})"


lines = [
    "| Set14 | PSNR (dB) | SSIM | PSNR − base | SSIM − base | PSNR − 2-D prior | SSIM − 2-D prior |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
]
for method, words in SHOWN.items():
    cells = [f"{values[method, metric].mean():.{digits}f}" for metric, digits in DIGITS.items()]
    for other in (BEFORE, AFTER):
        for metric, digits in DIGITS.items():
            (found,) = intervals((values[method, metric] - values[other, metric])[None])
            cells.append("–" if method == other else difference(found, digits))
    lines.append(f"| {words} | {' | '.join(cells)} |")
table = "\n".join(lines)
PAGE.write_text(
    SLOT.sub(lambda slot: f"{slot[1]}\n{table}\n\n{slot[2]}", PAGE.read_text(encoding="utf-8")),
    encoding="utf-8",
)
