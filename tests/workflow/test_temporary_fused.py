"""`fused: temporary`: scores, PNG files, report and figures without fused stores."""

from __future__ import annotations

import shutil

import pytest
from conftest import Run
from typer.testing import CliRunner

from ensir.cli import app
from ensir.storage import verification
from ensir.storage.layout import Layout


@pytest.mark.slow
def test_fused_images_are_removed_once_they_are_scored_and_written(finished: Run, fresh: Run, monkeypatch):
    """The parts of the test set are {t1, t2}, which is pictured, and {t3}."""
    config = fresh.config
    config["experiments"]["one"] |= {"fused": "temporary", "png": True}
    fresh.config = config
    fresh.run()
    results = fresh.folder / "results"
    for method in ("average", "ensir"):
        kept = [path.name for path in (results / f"fused/one/test/{method}.zarr").iterdir()]
        every = [path.name for path in (results / "datasets/test.zarr").glob("[0-9a-f]*[0-9a-f]")]
        assert len(kept) == 1
        assert set(kept) < set(every)
        names = [path.stem for path in (results / f"images/one/test/{method}").glob("*.png")]
        assert sorted(names) == ["t1", "t2", "t3"]
    scores = {name: text for name, text in finished.digests().items() if name.startswith("scores")}
    assert scores == {name: text for name, text in fresh.digests().items() if name.startswith("scores")}
    assert not any(one.problems for one in verification.verify(results, Layout(str(results))))
    assert fresh.planned() == []
    monkeypatch.chdir(fresh.folder)
    found = CliRunner().invoke(app, ["gc", "config.yaml"])
    assert found.exit_code == 0, found.output
    assert found.output.startswith("0 results"), found.output

    assert "fuse test" not in fresh.run("--dry-run", "--", "gain", "weight_maps")
    (results / "report.html").unlink()
    assert [job for job in fresh.planned() if "report.html" not in job] == []
    fresh.run("--", "results/report.html")
    shutil.rmtree(results / "images/one/test/ensir")
    planned = fresh.planned()
    assert [job for job in planned if job.startswith("fuse test by ensir")], planned
    assert not [job for job in planned if "by average" in job or job.startswith(("predict", "estimate"))], (
        planned
    )
