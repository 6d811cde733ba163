"""Draw a run: bars that stay at the bottom of a terminal; elsewhere, a line for each finished job."""

from __future__ import annotations

from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from snakemake_logger_plugin_ensir.progress import Job, RunProgress

SECONDS_BETWEEN_LINES = 60
WIDEST, BESIDE_BARS = 100, 50  # columns
FREE = (
    3  # columns at the right, for the ^C that a terminal writes: in the next line, it would move the display
)
STYLES = {"error": "bold red", "warning": "yellow"}


class Display(Protocol):
    """What shows a run."""

    def say(self, text: str) -> None:
        """Show a line that stays."""
        ...

    def finished(self, job: Job, now: float) -> None:
        """Tell of a job that ended well."""
        ...

    def update(self, now: float) -> None:
        """Show the state of the run, a few times a second."""
        ...

    def close(self) -> None:
        """Show no more."""
        ...


def clock(seconds: float) -> str:
    """Return a time in minutes and seconds, with hours where there are any."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def styled(text: str) -> Text:
    """Return a line, with its first word in colour where it is an error or a warning."""
    word = text.partition(":")[0]
    line = Text(text)
    if word in STYLES:
        line.stylize(STYLES[word], 0, len(word) + 1)
    return line


class Lines:
    """No terminal: one line for each finished job, and one now and then while a long job runs."""

    def __init__(self, console: Console, run: RunProgress, now: float):
        self.console, self.run, self.last = console, run, now

    def say(self, text: str) -> None:
        """See Display."""
        print(text, file=self.console.file, flush=True)

    def finished(self, job: Job, now: float) -> None:
        """See Display."""
        self.last = now
        total = str(self.run.total)
        self.say(f"{self.run.done:{len(total)}}/{total} {job.name} {now - job.began:.1f} s")

    def update(self, now: float) -> None:
        """See Display."""
        if self.run.running and now - self.last >= SECONDS_BETWEEN_LINES:
            self.last = now
            names = [
                f"{job.name} ({how_far(job)}{clock(now - job.began)})" for job in self.run.running.values()
            ]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            self.say(f"running: {'; '.join(names[:3])}{more}")

    def close(self) -> None:
        """See Display."""


def how_far(job: Job) -> str:
    """Return how far a job is, where it tells."""
    return f"{job.log.done:,} of {job.log.total:,}, " if job.log and job.log.done else ""


class Terminal:
    """A terminal: a bar for each stage and the jobs that run, at the bottom; what stays scrolls away above."""

    def __init__(self, console: Console, run: RunProgress):
        self.console, self.run = console, run
        self.live = Live(console=console, auto_refresh=False, transient=True)
        self.started = False

    def say(self, text: str) -> None:
        """See Display."""
        self.console.print(styled(text), soft_wrap=True)

    def finished(self, job: Job, now: float) -> None:
        """See Display: the bars tell."""

    def update(self, now: float) -> None:
        """See Display."""
        if not self.run.planned:
            return
        if not self.started:
            self.live.start()
            self.started = True
        self.live.update(self.drawn(now), refresh=True)

    def close(self) -> None:
        """See Display."""
        self.live.stop()

    def drawn(self, now: float) -> RenderableType:
        """Return the bars, and below them the jobs that run, as many as there is space for."""
        stages = self.run.stages()
        width = min(self.console.width - FREE, WIDEST)
        bars = Table.grid(padding=(0, 1))
        bars.add_column(no_wrap=True)
        bars.add_column(width=max(4, width - BESIDE_BARS))
        bars.add_column(justify="right", no_wrap=True)
        bars.add_column(no_wrap=True, min_width=26)
        for stage, (done, running, total) in stages.items():
            note = f"{running} running" if running else ""
            style = "dim" if done == total or not (done or running) else ""
            bar = ProgressBar(total=total, completed=done, complete_style="cyan", finished_style="green")
            bars.add_row(stage.replace("_", " "), bar, f"{done} of {total}", note, style=style)
        bar = ProgressBar(total=self.run.total, completed=self.run.done, complete_style="bold cyan")
        bars.add_row("all", bar, f"{self.run.done} of {self.run.total}", self._times(now), style="bold")
        space = max(1, self.console.height - len(stages) - 3)
        jobs = self._jobs(now, space)
        bars.width = jobs.width = width
        return Group(bars, jobs)

    def _times(self, now: float) -> str:
        began, left = self.run.began, self.run.seconds_left(now)
        if began is None:
            return ""
        return clock(now - began) + (f", about {clock(left)} left" if left is not None else "")

    def _jobs(self, now: float, space: int) -> Table:
        """Return a line for each job that runs, those that have run for longest first."""
        jobs = sorted(self.run.running.values(), key=lambda job: job.began)
        shown = jobs if len(jobs) <= space else jobs[: space - 1]
        lines = Table.grid(padding=(0, 1))
        lines.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        lines.add_column(justify="right", no_wrap=True)
        lines.add_column(justify="right", no_wrap=True, min_width=5)
        for job in shown:
            told = f"{job.log.done:,} of {job.log.total:,}" if job.log and job.log.done else ""
            lines.add_row(f"  {job.name}", told, clock(now - job.began))
        if len(shown) < len(jobs):
            lines.add_row(f"  and {len(jobs) - len(shown)} more", "", "")
        return lines
