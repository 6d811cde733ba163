"""The opening of the page: how the run was made, and where its time went."""

from pathlib import Path

import pytest

from ensir.report import opening


def measured(folder: Path, job: str, seconds: float) -> None:
    file = folder / f"{job}.tsv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t12.5\n")


def test_times_are_added_up_by_stage(tmp_path: Path):
    """In the order of the stages, whatever is deeper; the page itself, which is not made yet, is left out.

    So is what a model took that the configuration no longer names.
    """
    for job, seconds in {
        "score/one/set5/average/p": 1.5,
        "score/one/set5/ensir/p": 2.5,
        "ingest/set5/p": 1.0,
        "seal/set5/old": 7.0,
        "score/one/set5/old/p": 7.0,
        "summarize": 0.5,
        "report": 9.0,
    }.items():
        measured(tmp_path, job, seconds)
    jobs = ["set5/p", "one/set5/average/p", "one/set5/ensir/p"]
    assert opening.stages(tmp_path, jobs) == [
        ("ingest", 1, 1.0, 0.25),
        ("score", 2, 4.0, 1.0),
        ("summarize", 1, 0.5, 0.125),
    ]
    assert opening.stages(tmp_path / "none", jobs) == []


def test_every_rule_is_a_stage():
    """What the rules of the workflow measure is in the chart, but for the page itself and what repairs."""
    rules = (Path(__file__).parents[2] / "workflow/rules").glob("[1-8]_*.smk")
    measured = {
        line.split('layout.benchmark("')[1].split("/")[0].split('"')[0]
        for file in rules
        for line in file.read_text(encoding="utf-8").splitlines()
        if 'layout.benchmark("' in line
    }
    assert measured - {"report", "repair", "renew_sources"} == set(opening.STAGES)


def test_how_the_run_was_made(monkeypatch: pytest.MonkeyPatch):
    origin = {"host": "box", "time": "2026-11-26T12:00:00+00:00", "commit": ""}
    monkeypatch.setattr(opening.provenance, "origin", lambda: origin)
    monkeypatch.setenv(opening.COMMAND, "ensir run 'my run.yaml'")
    facts = opening.facts(["config/mine.yaml"])
    assert list(facts) == ["Date", "Configuration", "Command", "Machine", "Versions"]
    assert facts["Date"] == "2026-11-26 12:00:00 UTC"
    assert facts["Configuration"] == "config/mine.yaml"
    assert facts["Command"] == "ensir run 'my run.yaml'"
    assert facts["Machine"].startswith("box, ")
    assert "numpy " in facts["Versions"]
