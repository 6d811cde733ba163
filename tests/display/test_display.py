"""The display of a run, fed with the events that Snakemake reports."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.tests import MockOutputSettings, TestLogHandlerBase

from snakemake_logger_plugin_ensir import LogHandler, LogHandlerSettings
from snakemake_logger_plugin_ensir.displays import Lines, Terminal, clock
from snakemake_logger_plugin_ensir.job_log import JobLog
from snakemake_logger_plugin_ensir.progress import Job, RunProgress

COUNTS = {
    "total": 12,
    "all": 1,
    "seal_dataset": 1,
    "score": 4,
    "ingest": 2,
    "mine": 1,
    "draw_gain": 2,
    "gain": 1,
}
PREFIX = "2026-01-31 12:00:00,123"


class TestInterface(TestLogHandlerBase):
    """What Snakemake asks of every logger plugin."""

    __test__ = True

    def get_log_handler_cls(self) -> type[LogHandler]:
        return LogHandler

    def get_log_handler_settings(self) -> LogHandlerSettings:
        return LogHandlerSettings()


class Feed:
    """A display without a terminal, and what it wrote."""

    def __init__(self, folder: Path):
        self.folder, self.file = folder, folder / "shown"
        number = os.open(self.file, os.O_WRONLY | os.O_CREAT)
        self.handler = LogHandler(MockOutputSettings(), LogHandlerSettings(terminal=number))

    def __call__(self, event: LogEvent | None, message: str = "", level: int = logging.INFO, **told) -> None:
        record = logging.LogRecord("snakemake", level, "", 1, message, (), None)
        record.__dict__.update(told | ({"event": event} if event else {}))
        self.handler.emit(record)

    def begin(self, number: int, name: str, log: str = "") -> None:
        logs = [str(self.folder / log)] if log else []
        self(LogEvent.JOB_INFO, jobid=number, rule_name="score", rule_msg=name, log=logs)

    def shown(self) -> list[str]:
        return self.file.read_text().splitlines()


@pytest.fixture
def feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Feed:
    monkeypatch.chdir(tmp_path)
    fed = Feed(tmp_path)
    fed(LogEvent.RUN_INFO, stats=COUNTS)
    yield fed
    fed.handler.close()


def error(number: int, log: str) -> dict:
    return {"jobid": number, "rule_name": "score", "log": [log] if log else [], "indent": False}


def test_a_line_for_each_finished_job(feed: Feed):
    feed.begin(7, "score a on set5")
    feed(None, "Select jobs to execute...")
    feed(LogEvent.JOB_FINISHED, job_id=7)
    feed(LogEvent.JOB_INFO, jobid=0, rule_name="all", rule_msg=None, log=[])
    feed(LogEvent.JOB_FINISHED, job_id=0)
    feed.handler.close()
    assert feed.shown() == [" 1/10 score a on set5 0.0 s", "1 of 10 jobs in 0:00"]


def test_jobs_that_were_not_known_before_a_checkpoint(feed: Feed):
    """They are shown and counted, whether there were jobs of their rule before or not; targets are neither."""
    for number, rule in enumerate(("merge", "mine", "mine", "all")):
        feed(LogEvent.JOB_INFO, jobid=number, rule_name=rule, rule_msg=f"{rule} {number}", log=[])
        feed(LogEvent.JOB_FINISHED, job_id=number)
    assert [line.rpartition(" 0.0 s")[0] for line in feed.shown()] == [
        " 1/11 merge 0",
        " 2/11 mine 1",
        " 3/12 mine 2",
    ]


def test_an_error_is_one_line_with_the_log(feed: Feed):
    (feed.folder / "score.log").write_text("that of an earlier run\n")
    feed.begin(7, "score a on set5", "score.log")
    (feed.folder / "score.log").write_text(
        f"{PREFIX} INFO score\n{PREFIX} ERROR a.png: damaged; restore it\nTraceback\n"
    )
    feed(
        LogEvent.ERROR,
        'CalledProcessError in file "Snakefile", line 3:\nCommand returned non-zero exit status 1.',
    )
    feed(LogEvent.JOB_ERROR, **error(7, "score.log"))
    feed(LogEvent.ERROR, "WorkflowError:\nAt least one job did not complete successfully.")
    feed.handler.close()
    assert feed.shown() == [
        "error: score a on set5: a.png: damaged; restore it; log: score.log",
        "0 of 10 jobs in 0:00, 1 failed",
    ]


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ("died with <Signals.SIGKILL: 9>.", "was killed (SIGKILL); there may be too little memory"),
        ("returned non-zero exit status 137.", "was killed (SIGKILL); there may be too little memory"),
        ("returned non-zero exit status 143.", "was stopped (SIGTERM)"),
        ("returned non-zero exit status 131.", "was stopped by signal 3"),
        ("returned non-zero exit status 3.", "ended with exit code 3"),
    ],
)
def test_a_job_that_wrote_no_error(feed: Feed, ended: str, said: str):
    feed.begin(7, "score a on set5", "score.log")
    feed(LogEvent.ERROR, f"Command 'x' {ended}")
    feed(LogEvent.JOB_ERROR, **error(7, "score.log"))
    assert feed.shown() == [f"error: score a on set5: {said}; log: score.log"]


@pytest.mark.parametrize("all_were", [True, False])
def test_a_job_that_was_interrupted(feed: Feed, all_were: bool):
    """Before Snakemake, which hears of Ctrl-C, too: no error; alone: one that is told at the end."""
    for number in (6, 7):
        feed.begin(number, f"score {number}", f"{number}.log")
    for number in (6, 7):
        feed(LogEvent.ERROR, f"Command '{number}' returned non-zero exit status 130.")
    for number in (6, 7):
        feed(LogEvent.JOB_ERROR, **error(number, f"{number}.log"))
    if all_were:
        feed(None, "Terminating processes on user request, this might take some time.")
    feed.handler.close()
    told = [
        "error: score 6: was stopped (SIGINT); log: 6.log",
        "error: score 7: failed; log: 7.log",
        "0 of 10 jobs in 0:00, 2 failed",
    ]
    assert feed.shown() == ([] if all_were else told)


def test_what_a_stop_stops_is_no_error(feed: Feed):
    """By a signal to all: jobs that end by it did not fail, any other did."""
    for number in (6, 7, 8):
        feed.begin(number, f"score {number}", f"{number}.log")
    for _ in range(2):
        feed(None, "Will exit after finishing currently running jobs (scheduler).")
    for number in (6, 7):
        feed(LogEvent.ERROR, f"Command '{number}' returned non-zero exit status 143.")
    for number in (6, 7):
        feed(LogEvent.JOB_ERROR, **error(number, f"{number}.log"))
    (feed.folder / "8.log").write_text(f"{PREFIX} ERROR no space\n")
    feed(LogEvent.JOB_ERROR, **error(8, "8.log"))
    feed(LogEvent.ERROR, "WorkflowError:\nAt least one job did not complete successfully.")
    feed.handler.close()
    assert feed.shown() == [
        "stopping; what still runs is waited for",
        "error: score 8: no space; log: 8.log",
        "0 of 10 jobs in 0:00, 1 failed",
    ]


def test_of_a_group_the_job_that_failed_is_named(feed: Feed):
    for number in (7, 8):
        feed.begin(number, f"score {number}", f"{number}.log")
    (feed.folder / "8.log").write_text(f"{PREFIX} ERROR no space\n")
    jobs = [error(number, f"{number}.log") for number in (7, 8)]
    feed(LogEvent.GROUP_ERROR, aux_logs=["slurm.log"], job_error_info=jobs)
    feed(LogEvent.JOB_ERROR, **jobs[0] | {"indent": True})
    feed(LogEvent.GROUP_ERROR, aux_logs=["slurm.log"], job_error_info=[error(9, "9.log")])
    assert feed.shown() == [
        "error: score 8: no space; log: 8.log",
        "error: the group of 1 jobs (score) failed; log: slurm.log",
    ]


def test_errors_of_snakemake_lose_their_frames(feed: Feed):
    feed(
        LogEvent.ERROR,
        'WorkflowError in file "/x/workflow/rules/common.smk", line 30:\nexperiments: none\n'
        '  File "/x/Snakefile", line 20, in <module>\n',
    )
    feed(None, "Error: Directory cannot be locked. Please make sure …", logging.ERROR)
    feed(LogEvent.ERROR, "FileNotFoundError: [Errno 2] No such file: '/x/.snakemake/locks/0.input.lock'")
    assert feed.shown()[0] == "error: experiments: none"
    assert all(line.endswith("if none is, run `ensir resume`") for line in feed.shown()[1:])
    assert len(feed.shown()) == 3


def test_results_of_somebody_else(feed: Feed):
    feed(
        LogEvent.ERROR,
        'ProtectedOutputException in rule merge in file "/x/workflow/rules/5_merge.smk", line 11:\n'
        "Write-protected output files for rule merge:\n    output: results/luts/one/ensir.lut, results/digests/…\n"
        "    wildcards: experiment=one, method=ensir\n    affected files:\n        results/luts/one/ensir.lut\n"
        "        results/digests/luts/one/ensir.lut.sha256",
    )
    (line,) = feed.shown()
    assert line.startswith("error: results/luts/one/ensir.lut: you may not write it; ")


def test_warnings_are_shown_once_and_notes_in_our_words(feed: Feed):
    for number in (7, 8):
        feed.begin(number, "score", f"{number}.log")
        (feed.folder / f"{number}.log").write_text(f"{PREFIX} WARNING few values\n")
        feed(LogEvent.JOB_FINISHED, job_id=number)
    feed(None, "Nothing to be done (all requested files are present and up to date).")
    feed.begin(9, "score a on set5")
    feed(LogEvent.JOB_ERROR, **error(9, ""))
    feed(None, "Trying to restart job 9.")
    lines = [line for line in feed.shown() if "/10" not in line]
    assert lines == [
        "warning: few values",
        "nothing to do: all results are up to date",
        "error: score a on set5: failed",
        "trying again: score a on set5",
    ]


def test_nothing_is_said_after_a_stop(feed: Feed):
    feed.begin(7, "score a on set5")
    feed(None, "Terminating processes on user request, this might take some time.")
    feed(LogEvent.JOB_ERROR, **error(7, ""))
    feed(LogEvent.ERROR, "Cancelling snakemake on user request.")
    feed.handler.close()
    assert feed.shown() == []


# ── what a job tells ────────────────────────────────────────────────────────────────────────────────────────


def test_a_log_is_read_as_it_grows(tmp_path: Path):
    path = tmp_path / "job.log"
    log = JobLog(path)
    assert log.poll() == []
    path.write_text(f"{PREFIX} INFO 1 of 8\n{PREFIX} INFO 2 of")
    assert (log.poll(), log.done, log.total) == ([], 1, 8)
    with open(path, "a") as file:
        file.write(f" 8\n{PREFIX} WARNING out of memory; smaller pieces\n\xff\n")
    assert (log.poll(), log.done) == (["out of memory; smaller pieces"], 2)
    assert log.poll() == []


def running(done: int = 0) -> Callable[[str, float], Job]:
    return lambda rule, began: Job(rule, rule, began, SimpleNamespace(done=done, total=10))  # type: ignore[arg-type]


def test_time_left():
    run = RunProgress()
    run.plan({"total": 9, "ingest": 5, "train_denoiser": 1, "score": 2, "all": 1})
    for number in range(4):
        run.start(number, running()("ingest", 2.0 * number))
        assert run.seconds_left(2.0 * number + 1) is None or number == 3
        run.finish(number, 2.0 * number + 2)
    # 8 s have passed, one job after the other; ingest takes 2 s, and so do jobs of which nothing is known
    assert run.seconds_left(8) == pytest.approx(2 + 2 + 4)
    run.start(5, running(done=1)("train_denoiser", 8.0))
    assert run.seconds_left(18) == pytest.approx(90 + 2 + 4)  # a tenth in 10 s
    run.start(6, running()("ingest", 18.0))
    assert run.seconds_left(28) == pytest.approx(max(180, (180 + 4) * 28 / 38))  # two at once
    assert run.stages() == {"ingest": (4, 1, 5), "train": (0, 1, 1), "score": (0, 0, 2)}


# ── drawing ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_terminal_shows_stages_and_running_jobs(columns: int):
    run = RunProgress()
    run.plan(COUNTS, ("all", "gain"))
    for number in range(3):
        run.start(number, running(done=5 * number)("score" if number else "ingest", 0.0))
    run.finish(0, 3.0)
    console = Console(file=io.StringIO(), force_terminal=True, width=columns, height=24, color_system=None)
    console.print(Terminal(console, run).drawn(65.0))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert [line.split()[0] for line in lines] == [
        "ingest",
        "score",
        "mine",
        "figures",
        "all",
        "score",
        "score",
    ]
    assert lines[0].endswith("1 of 3")
    assert lines[1].endswith("0 of 4 2 running")
    assert lines[4].endswith("1 of 10 1:05")
    assert lines[6].endswith("10 of 10  1:05")
    assert max(map(len, lines)) <= columns - 3


def test_as_many_jobs_as_there_is_space_for():
    run = RunProgress()
    run.plan({"total": 50, "score": 50})
    for number in range(50):
        run.start(number, running()("score", 0.0))
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=12, color_system=None)
    console.print(Terminal(console, run).drawn(1.0))
    lines = console.file.getvalue().splitlines()
    assert len(lines) < 12
    assert lines[-1].strip() == "and 43 more"


def test_a_long_job_is_told_of_now_and_then():
    run, file = RunProgress(), io.StringIO()
    run.plan({"total": 1, "score": 1})
    run.start(0, running(done=3)("score", 0.0))
    lines = Lines(Console(file=file), run, 0.0)
    for now in range(0, 130, 10):
        lines.update(now)
    assert file.getvalue().splitlines() == [f"running: score (3 of 10, {time})" for time in ("1:00", "2:00")]


def test_clock():
    assert [clock(seconds) for seconds in (0.4, 59.6, 3599, 3661)] == ["0:00", "1:00", "59:59", "1:01:01"]
