"""Sharing: a second checkout names the stores of the first, at a path, in S3 and on a web server, and predicts nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import Run, prepare
from typer.testing import CliRunner

from ensir.cli import app
from ensir.scoring.comparison import of_results
from ensir.storage import reading
from ensir.storage.shared import SharedStore
from ensir.storage.upload import upload

SHARED = (
    "digests/fused/",
    "digests/statistics/",
    "digests/weights/",
    "digests/luts/",
    "scores.csv",
    "summary.csv",
)


def silent(done: int, total: int) -> None:
    """Show no progress."""


def digests_of(run: Run) -> dict[str, str]:
    """Return the digests of all that follows from predictions."""
    return {path: digest for path, digest in run.digests().items() if path.startswith(SHARED)}


@pytest.fixture
def second(finished: Run, tmp_path: Path, repository: Path, bucket: str, serve: Callable) -> Run:
    """A checkout with targets and inputs alone: model a is in S3, b on a web server, f in a results folder."""
    run = prepare(tmp_path / "second", repository)
    for dataset in ("ref", "test"):
        shutil.rmtree(run.folder / dataset / "pred")
        for model, place in (("a", bucket), ("b", str(tmp_path / "web"))):
            predictions = finished.folder / f"results/predictions/{dataset}/{model}.zarr"
            upload(str(predictions), f"{place}/{dataset}/{model}.zarr", silent)
    (run.folder / "own_models.py").unlink()
    config = run.config
    config["models"] = {
        "a": {"kind": "store", "path": f"{bucket}/{{dataset}}/a.zarr"},
        "b": {"kind": "store", "path": f"{serve(tmp_path / 'web')}/{{dataset}}/b.zarr"},
        "f": {"kind": "store", "path": f"{finished.folder}/results/predictions/{{dataset}}/f.zarr"},
    }
    config["models"]["a"]["digests"] = {
        dataset: SharedStore(f"{bucket}/{dataset}/a.zarr").digest for dataset in ("ref", "test")
    }
    run.config = config
    return run


@pytest.fixture
def bare(finished: Run, tmp_path: Path, repository: Path, bucket: str, serve: Callable) -> Run:
    """A folder with the configuration that the publisher's command printed, and nothing else.

    A results folder on a web server is published, too: some of the stores are read from there, or from its path.
    """
    results, ours = finished.folder / "results", Run(tmp_path / "publisher", repository)
    ours.folder.mkdir()
    config = finished.config
    for section in config["datasets"].values():
        section["licence"] = "CC0-1.0"
    ours.config = {**config, "results": str(results)}
    told = CliRunner().invoke(app, ["publish", str(ours.config_file), bucket], catch_exceptions=False)
    config, web = yaml.safe_load(told.stdout), serve(results)
    config["datasets"]["test"]["path"] = f"{web}/datasets/test.zarr"
    config["models"]["b"]["path"] = f"{web}/predictions/{{dataset}}/b.zarr"
    config["models"]["f"]["path"] = f"{results}/predictions/{{dataset}}/f.zarr"
    run = Run(tmp_path / "bare", repository)
    run.folder.mkdir()
    run.config = {**config, "compute": ours.config["compute"]}
    return run


def test_the_printed_configuration_gives_the_same_scores_and_luts_and_predicts_nothing(
    finished: Run, bare: Run, monkeypatch: pytest.MonkeyPatch
):
    output = bare.run()
    assert "adopt test of a from s3://" in output
    assert "adopt ref from s3://" in output
    assert "adopt test from http://" in output
    assert not any(line.strip().startswith(("predict", "ingest")) for line in output.splitlines())
    assert digests_of(bare) == digests_of(finished)
    records = (run.folder / "results/provenance.json" for run in (finished, bare))
    counted = of_results(*(json.loads(record.read_text())["results"] for record in records))
    assert [kind for kind, counts in counted.items() if counts.different] == []
    chunks = [path for path in (bare.folder / "results/predictions").rglob("value/c/*")]
    assert chunks == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # planning asks nobody
    assert bare.planned() == []
    (part,) = list((bare.folder / "results/datasets/test.zarr").glob("*/value"))[:1]
    shutil.rmtree(part)
    assert [job for job in bare.planned() if "adopt" in job] == [
        f"adopt test from {web_of(bare)}, part {part.parent.name}"
    ]


def web_of(run: Run) -> str:
    return run.config["datasets"]["test"]["path"]


@pytest.mark.slow
def test_other_parts_and_copies_have_the_same_scores(finished: Run, second: Run):
    config = second.config
    config["models"]["a"]["fetch"] = True
    config["datasets"]["ref"]["images_per_part"] = config["datasets"]["test"]["images_per_part"] = 3
    second.config = config
    second.run()
    same = {path: digest for path, digest in digests_of(finished).items() if "fused" not in path}
    assert {path: digest for path, digest in digests_of(second).items() if path in same} == same
    parts = list((second.folder / "results/predictions").glob("*/*.zarr/[0-9a-f]*"))
    assert len(parts) == 6
    assert sum("source" in reading.Part(part).attributes for part in parts) == 4


def test_what_is_wrong_with_a_store_is_one_error(second: Run):
    (second.folder / "test/gt/t9.png").write_bytes((second.folder / "test/gt/t1.png").read_bytes())
    (second.folder / "test/lq/t9.png").write_bytes((second.folder / "test/lq/t1.png").read_bytes())
    output = second.run(ok=False)
    assert "has no prediction for image 't9'" in output
    assert "Traceback" not in output
    config = second.config
    config["models"]["f"]["path"] = "nowhere/{dataset}.zarr"
    second.config = config
    output = second.run(ok=False)
    assert "models.f.path: nowhere/ref.zarr/zarr.json: no such file" in output
    assert "models.f.path: nowhere/test.zarr/zarr.json: no such file" in output
