"""Tables and own metrics in whole runs."""

from __future__ import annotations

import csv
from pathlib import Path

from conftest import Run

METRIC = '''
import numpy as np

def error(target, result):
    """Mean absolute error."""
    assert target.dtype == result.dtype == np.float64 and target.ndim == 3
    return np.abs(target - result).mean()
'''


def test_own_metric(finished: Run, tmp_path: Path):
    run = finished.copy(tmp_path / "run")
    (run.folder / "own_metrics.py").write_text(METRIC)
    config = run.config
    own = {"function": "own_metrics:error", "higher_is_better": False}
    config["experiments"]["one"]["score"] = {"metrics": {"psnr": {}, "error": own}}
    run.config = config
    run.run()
    with open(run.folder / "results/tables/one/comparison.csv", newline="") as file:
        means = {(row["method"], row["metric"]): float(row["mean"]) for row in csv.DictReader(file)}
    assert {metric for _, metric in means} == {"psnr", "error"}
    best = min(("a", "b", "f", "average", "ensir"), key=lambda method: means[method, "error"])
    lines = (run.folder / "results/tables/one/comparison.md").read_text().splitlines()
    assert [line.split(" ")[1] for line in lines if line.rpartition("| **")[2].endswith("** |")] == [best]

    (run.folder / "own_metrics.py").write_text(
        METRIC.replace("np.abs(target - result)", "abs(target - result)")
    )
    planned = run.planned()
    assert [line for line in planned if line.startswith("score")]
    assert not [line for line in planned if line.startswith(("fuse", "predict"))]


def test_tables_of_a_run(finished: Run):
    names = {path.name for path in (finished.folder / "results/tables/one").iterdir() if path.suffix == ".md"}
    assert {"comparison.md", "differences.md"} <= names
