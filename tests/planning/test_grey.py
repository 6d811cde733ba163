"""Grey images of a dataset: left, or given three channels, and told of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ensir.images import image_files
from ensir.images.codes import Header
from ensir.images.colours import SAMPLE, first_grey
from ensir.planning import check
from ensir.planning.reads import Reads
from ensir.planning.report_reads import ReportReads
from ensir.report import tables


def planned(root: Path, channels: dict[str, int], **keys: Any):
    for place in ("reference", "test"):
        for name, number in channels.items():
            number = 3 if place == "reference" else number
            image_files.write(root / place / f"{name}.png", np.zeros((16, 16, number), np.uint8))
    section = {"kind": "folder", "target": f"{root}/test/*.png", **keys}
    reference = {"kind": "folder", "target": f"{root}/reference/*.png"}
    models = {model: {"kind": "folder", "path": f"{root}/{{dataset}}/*.png"} for model in ("one", "two")}
    experiment = {
        "models": list(models),
        "reference": "reference",
        "tests": ["test"],
        "methods": {"average": {}},
    }
    raw = {
        "datasets": {"reference": reference, "test": section},
        "models": models,
        "experiments": {"x": experiment},
    }
    return check.plan(raw, "x.yaml", [])


@pytest.mark.parametrize(
    ("channels", "grey", "ingested"),
    [
        ({"a": 3, "b": 1}, None, "replicate"),
        ({"a": 3, "b": 3}, None, None),
        ({"a": 1, "b": 1}, None, None),
        ({"a": 1, "b": 1}, "replicate", "replicate"),
        ({"a": 3, "b": 1}, "refuse", None),
    ],
)
def test_which_datasets_get_three_channels(
    tmp_path: Path,
    channels: dict[str, int],
    grey: str | None,
    ingested: str | None,
    caplog: pytest.LogCaptureFixture,
):
    plan = planned(tmp_path, channels, **({"grey": grey} if grey else {}))
    for _ in range(2):
        assert plan.ingested("test").get("grey") == ingested
    silent = grey or ingested is None
    assert len(caplog.records) == (0 if silent else 1)
    samples = ReportReads(Reads(plan)).samples()
    notes = tables.notes(samples)["x"]
    if silent:
        assert notes == []
        assert "grey" not in samples[0]
    else:
        assert notes == [
            f"test: holds grey images among colour ones, such as {tmp_path}/test/b.png; they are scored with three "
            "equal channels, as published code does."
        ]


def test_large_sets_are_looked_at_here_and_there():
    read = []

    def header(file: str) -> Header:
        read.append(file)
        return Header(1, 1, 1 if file == "grey" else 3, 8)

    assert first_grey(["colour"] * 10_000, header) is None
    assert len(read) <= SAMPLE
    assert first_grey([*["colour"] * 5_000, *["grey"] * 5_000], header) == "grey"
