"""Sharing: a second checkout names the stores of the first, at a path, in S3 and on a web server, and predicts nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run, prepare

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


def test_a_second_checkout_has_the_same_scores_and_predicts_nothing(
    finished: Run, second: Run, monkeypatch: pytest.MonkeyPatch
):
    output = second.run()
    assert "adopt test of a from s3://" in output
    assert "predict test" not in output
    assert digests_of(second) == digests_of(finished)
    chunks = [path for path in (second.folder / "results/predictions").rglob("value/c/*")]
    assert chunks == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # planning asks nobody
    assert second.planned() == []


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
