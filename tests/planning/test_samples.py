"""What the report is told of the images of a test set."""

from pathlib import Path

import numpy as np
import pytest

from ensir.config import reading
from ensir.images import image_files
from ensir.planning.plan import Plan
from ensir.planning.reads import Reads
from ensir.planning.report_reads import ReportReads

CONFIG = """
datasets:
  few: {kind: folder, target: "few/*.png", exclude: [b]}
  all: {kind: folder, target: "all/*.png"}
models:
  m: {kind: folder, path: "{dataset}/m/*.png"}
  n: {kind: folder, path: "{dataset}/n/*.png"}
experiments:
  one: {models: [m, n], reference: all, tests: [few], methods: {average: {}}}
  two: {models: [m, n], reference: few, tests: [all], methods: {average: {}}}
"""


def test_how_many_of_how_many_files_are_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for seed, (folder, names) in enumerate(
        {"few": ["a.png", "b.png", "c.PNG", "d.jpg"], "all": ["a.png"]}.items()
    ):
        for name in names:
            for below in ("", "m/", "n/"):
                image_files.write(tmp_path / f"{folder}/{below}{name}", np.full((16, 16, 3), seed, np.uint8))
    (tmp_path / "config.yaml").write_text(CONFIG)
    samples = ReportReads(Reads(Plan(reading.load("config.yaml")))).samples()
    assert {sample["dataset"]: sample["files"] for sample in samples} == {"few": (1, 4), "all": (1, 1)}
