"""The display of a run, as a logger plugin of Snakemake: `snakemake --logger ensir`.

Snakemake reports events; jobs report how far they are in their logs; this alone draws. Everything that Snakemake says
itself is in its own log, below .snakemake/log.
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from snakemake_logger_plugin_ensir.displays import Display, Lines, Terminal, clock
from snakemake_logger_plugin_ensir.job_log import log_of
from snakemake_logger_plugin_ensir.progress import TARGETS, Job, RunProgress

SECONDS_BETWEEN_UPDATES = 0.25
SET_SIGNAL_OF_PARENT_DEATH = 1  # of prctl
STOPPED = "Terminating processes on user request"
STOPPING = "Will exit after finishing"  # as it says again and again
ENDED = re.compile(r"returned non-zero exit status (\d+)|died with <Signals\.(\w+)")
# What Snakemake adds to a message: where in the workflow's own files the exception was raised.
FRAME = re.compile(
    r'^\w+ in (?:rule \w+ in )?file ".*", line \d+:$|^  File ".*", line \d+, in .*$', re.MULTILINE
)
AFTER_FAILURES = ("At least one job did not complete", "Exiting because a job execution failed")
PROTECTED = re.compile(r"^Write-protected output files.*affected files:\s+([^\n]+)", re.DOTALL | re.MULTILINE)
LOCKED = "error: another run is at work in this folder, or was killed; if none is, run `ensir resume`"
# Of what is neither a warning nor an error, what is shown, and in which words.
NOTES = {
    "Nothing to be done": "nothing to do: all results are up to date",
    "Creating conda environment": "",
    "Pulling singularity image": "",
}


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of the plugin."""

    terminal: int | None = field(
        default=None,
        metadata={
            "help": "open file descriptor to show the run on, where standard error is another file",
            "type": int,
            "env_var": False,
            "required": False,
        },
    )


class LogHandler(LogHandlerBase):
    """Takes Snakemake's events and shows them."""

    def __post_init__(self) -> None:
        """Choose the display; nothing is drawn yet."""
        given = self.settings.terminal if isinstance(self.settings, LogHandlerSettings) else None
        if given is not None:
            _end_with_parent()
        console = Console(stderr=True) if given is None else Console(file=os.fdopen(given, "w"))
        if self.common_settings.nocolor:
            console.no_color = True
        self.run = RunProgress()
        on_terminal = console.is_terminal and not console.is_dumb_terminal
        self.display: Display = (
            Terminal(console, self.run) if on_terminal else Lines(console, self.run, time.monotonic())
        )
        self.stopping = self.stopped = self.closed = False
        self.said: set[str] = set()
        # Errors that are none if Snakemake says next that it was interrupted, too.
        self.interrupted: list[str] = []
        self.reason = self.last_failed = ""
        self.drawing, self.updating = threading.Thread(target=self._draw, daemon=True), threading.Lock()
        self.end = threading.Event()

    @property
    def writes_to_stream(self) -> bool:
        """It writes to the terminal, in place of Snakemake."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """It writes no file."""
        return False

    @property
    def has_filter(self) -> bool:
        """It chooses what to show."""
        return True

    @property
    def has_formatter(self) -> bool:
        """It finds its own words."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It draws no graph."""
        return False

    def emit(self, record: logging.LogRecord) -> None:
        """Take one event. A mistake in here must not end the thread that brings them."""
        try:
            with self.updating:
                if not self.stopped:
                    self._take(record, time.monotonic())
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """End the display; Snakemake calls this more than once."""
        self.end.set()
        if self.drawing.is_alive():
            self.drawing.join()
        with self.updating:
            if not self.closed:
                self.closed = True
                self._read_logs()
                self.display.close()
                if self.run.began is not None and not self.stopped:
                    for line in self.interrupted:
                        self.display.say(line)
                    again = " at first" if self.run.done == self.run.total else ""
                    failed = f", {self.run.failed} failed{again}" if self.run.failed else ""
                    seconds = clock(time.monotonic() - self.run.began)
                    self.display.say(f"{self.run.done} of {self.run.total} jobs in {seconds}{failed}")
        super().close()

    # ── events ──────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, record: logging.LogRecord, now: float) -> None:
        told: Any = record
        match getattr(record, "event", None):
            case LogEvent.RUN_INFO:
                self.run.plan(told.stats, _targets())
                if not self.drawing.is_alive() and not self.common_settings.dryrun:
                    self.drawing.start()
            case LogEvent.JOB_INFO:
                name = told.rule_msg or told.rule_name
                self.run.start(told.jobid, Job(told.rule_name, name, now, log_of(told.log)))
            case LogEvent.JOB_FINISHED:
                self._finished(told.job_id, now)
            case LogEvent.JOB_ERROR:
                if not told.indent:  # a group is reported as one
                    self._failed(told.jobid, told.rule_name, told.log, ours=True)
            case LogEvent.GROUP_ERROR:
                self._group_failed(told)
            case LogEvent.ERROR:
                self._error(record.getMessage())
            case None:
                self._message(record)

    def _finished(self, number: int, now: float) -> None:
        job = self.run.running.get(number)
        if job and job.log:
            self._warn(job.log.poll())
        if self.run.finish(number, now) and job:
            self.display.finished(job, now)

    def _failed(self, number: int, rule: str, logs: list[str], ours: bool) -> bool:
        """Say why a job failed; where it is not `ours` to tell, only if its log does. Return whether it was said."""
        job = self.run.end(number) or Job(rule, rule, 0.0, log_of(logs))
        if job.log:
            self._warn(job.log.poll())
        error = job.log.error if job.log else None
        why = error or self.reason
        # It is stopped, too; of two jobs that end at once, Snakemake tells both reasons first, and the last is known.
        if self.stopping and (not why or "SIGTERM" in why):
            self.reason = ""
            return True
        self.run.failed += 1
        self.last_failed = job.name
        if error or ours:
            where = f"; log: {os.path.relpath(job.log.path)}" if job.log else ""
            line = f"error: {job.name}: {why or 'failed'}{where}"
            if "SIGINT" in why or (self.interrupted and not why):
                self.interrupted.append(line)
            else:
                self.display.say(line)
        self.reason = ""
        return bool(error)

    def _group_failed(self, told: Any) -> None:
        """Jobs of a group end together; the log of the one that failed tells."""
        jobs = told.job_error_info
        said = [self._failed(job["jobid"], job["rule_name"], job["log"], ours=False) for job in jobs]
        rules = ", ".join(dict.fromkeys(job["rule_name"] for job in jobs))
        self.last_failed = f"the group of {len(jobs)} jobs ({rules})"
        if not any(said):
            logs = [*told.aux_logs, *(log for job in jobs for log in job["log"])]
            self.display.say(f"error: {self.last_failed} failed; log: {logs[0]}")

    def _error(self, message: str) -> None:
        """An exception: of a job's process, which `_failed` tells of; of Snakemake itself, its message alone."""
        if ended := ENDED.search(message):
            self.reason = _how_it_ended(*ended.groups())
        elif "cannot be locked" in message or ".snakemake/locks/" in message:  # gone while it was looked at
            self.display.say(LOCKED)
        elif protected := PROTECTED.search(message):
            self.display.say(
                f"error: {protected[1]}: you may not write it; make the results folder writable for you "
                "(`chmod -R`), or give one of your own (`--results`)"
            )
        elif not ((self.run.failed or self.stopping) and any(text in message for text in AFTER_FAILURES)):
            lines = [line for line in FRAME.sub("", message).splitlines() if line.strip()]
            self.display.say("error: " + "\n".join(lines))

    def _message(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message.startswith(STOPPED):
            self.stopped = True
        elif message.startswith(STOPPING):
            if not self.stopping:
                self.display.say("stopping; what still runs is waited for")
            self.stopping = True
        elif record.levelno >= logging.ERROR:
            self._error(message)
        elif record.levelno >= logging.WARNING:
            self._warn([message])
        elif note := next((start for start in NOTES if message.startswith(start)), None):
            self.display.say(NOTES[note] or message)
        elif message.startswith("Trying to restart job"):  # by a number that says nothing, after its error
            self.display.say(f"trying again: {self.last_failed}")

    def _warn(self, warnings: list[str]) -> None:
        """Show warnings; jobs of one kind often have the same."""
        for warning in warnings:
            if warning not in self.said:
                self.said.add(warning)
                self.display.say(f"warning: {warning}")

    # ── drawing ─────────────────────────────────────────────────────────────────────────────────────────────

    def _draw(self) -> None:
        """Read the logs of running jobs and draw, again and again."""
        while not self.end.wait(SECONDS_BETWEEN_UPDATES):
            with self.updating:
                if self.stopped:
                    break
                self._read_logs()
                self.display.update(time.monotonic())

    def _read_logs(self) -> None:
        for job in self.run.running.values():
            if job.log:
                self._warn(job.log.poll())


def _end_with_parent() -> None:
    """Let Snakemake receive SIGTERM when `ensir`, which started it, is killed and nobody sees what goes on (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_SIGNAL_OF_PARENT_DEATH, signal.SIGTERM)


def _targets() -> tuple[str, ...]:
    """Return the rules that only collect files: those of the workflow, and one for each kind of figure."""
    from ensir import registry

    return (*TARGETS, *registry.sections("figures"))


def _how_it_ended(code: str | None, sent: str | None) -> str:
    """Say how a process ended that wrote no error in its log."""
    number = int(code) if code else 0
    if sent == "SIGKILL" or number == 137:
        return "was killed (SIGKILL); there may be too little memory"
    if sent == "SIGTERM" or number == 143:
        return "was stopped (SIGTERM)"
    if sent == "SIGINT" or number == 130:
        return "was stopped (SIGINT)"
    if sent or number > 128:
        return f"was stopped by {sent or f'signal {number - 128}'}"
    return f"ended with exit code {number}"
