"""How far a run is: jobs by stage, what is running, and how long the rest may take. Nothing here draws."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from snakemake_logger_plugin_ensir.job_log import JobLog

ORDER = (
    "repair",
    "ingest",
    "train",
    "predict",
    "partition",
    "estimate",
    "fit",
    "merge",
    "fuse",
    "score",
    "report",
)
# Rules of one stage are counted together; any other rule is a stage of its own.
STAGES = {
    "adopt_dataset": "ingest",
    "renew_sources": "ingest",
    "seal_dataset": "ingest",
    "train_denoiser": "train",
    "train_refiner": "train",
    "adopt": "predict",
    "seal_predictions": "predict",
    "seal_fused": "fuse",
    "summarize": "score",
    "select": "report",
    "tables": "report",
    "provenance": "report",
}
TARGETS = ("all", "predictions", "luts", "scores", "figures")  # rules that only collect files
JOBS_TO_JUDGE_BY = 3


@dataclass
class Job:
    """A job that runs, or was submitted.

    Attributes
    ----------
    rule : str
    name : str
        What it does, in words.
    began : float
        Seconds, on the clock of the run.
    log : JobLog or None
    """

    rule: str
    name: str
    began: float
    log: JobLog | None


@dataclass
class RunProgress:
    """The state of a run, made of what Snakemake reports.

    Attributes
    ----------
    planned : dict
        Number of jobs of each rule, in the order of the workflow.
    running : dict
        Jobs by Snakemake's number.
    finished : Counter
        Number of finished jobs of each rule.
    failed : int
        Number of jobs that failed, tries that were repeated included.
    began : float or None
        When the first job began.
    """

    planned: dict[str, int] = field(default_factory=dict)
    running: dict[int, Job] = field(default_factory=dict)
    finished: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    began: float | None = None
    _targets: tuple[str, ...] = TARGETS
    _seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def plan(self, counts: dict[str, int], targets: tuple[str, ...] = TARGETS) -> None:
        """Take how many jobs of each rule there will be; `targets` do nothing and are not counted."""
        self._targets = (*targets, "total")
        self.planned = {rule: n for rule, n in counts.items() if rule not in self._targets}

    def start(self, number: int, job: Job) -> None:
        """A job began; it may be one that was not known before a checkpoint."""
        if self.planned and job.rule not in self._targets:
            self.began = job.began if self.began is None else self.began
            self.running[number] = job
            known = self.finished[job.rule] + sum(other.rule == job.rule for other in self.running.values())
            self.planned[job.rule] = max(self.planned.get(job.rule, 0), known)

    def finish(self, number: int, now: float) -> Job | None:
        """A job ended well; return it, or None for one that is not counted."""
        if job := self.running.pop(number, None):
            self.finished[job.rule] += 1
            self._seconds[job.rule].append(now - job.began)
        return job

    def end(self, number: int) -> Job | None:
        """A job did not end well; return it."""
        return self.running.pop(number, None)

    @property
    def done(self) -> int:
        """The number of finished jobs."""
        return self.finished.total()

    @property
    def total(self) -> int:
        """The number of jobs."""
        return sum(self.planned.values())

    def stages(self) -> dict[str, tuple[int, int, int]]:
        """Return how many jobs of each stage are finished, are running, and are in all."""
        running = Counter(job.rule for job in self.running.values())
        stages: dict[str, tuple[int, int, int]] = {}
        for rule, total in self.planned.items():
            stage = "figures" if rule.startswith("draw_") else STAGES.get(rule, rule)
            before = stages.get(stage, (0, 0, 0))
            stages[stage] = (before[0] + self.finished[rule], before[1] + running[rule], before[2] + total)
        places = [*ORDER, *stages]
        return {stage: stages[stage] for stage in sorted(stages, key=places.index)}

    def seconds_left(self, now: float) -> float | None:
        """Return how long the rest may take; None while too little is known.

        Of each rule, the mean of its finished jobs counts; of a job that tells how far it is, its own speed; of rules
        that none is known of, the mean of all. As many jobs are expected to run at once as did so far.
        """
        known = [seconds for jobs in self._seconds.values() for seconds in jobs]
        means = {rule: sum(jobs) / len(jobs) for rule, jobs in self._seconds.items()}
        left, busy = [], sum(known)
        for job in self.running.values():
            elapsed = now - job.began
            busy += elapsed
            if job.log and job.log.done:
                means.setdefault(job.rule, elapsed * job.log.total / job.log.done)
                left.append(elapsed * (job.log.total - job.log.done) / job.log.done)
            elif job.rule in means:
                left.append(max(0.0, means[job.rule] - elapsed))
        if self.began is None or len(known) < JOBS_TO_JUDGE_BY:
            return None
        running = Counter(job.rule for job in self.running.values())
        anything = sum(known) / len(known)
        waiting = sum(
            (total - self.finished[rule] - running[rule]) * means.get(rule, anything)
            for rule, total in self.planned.items()
        )
        at_once = max(1.0, busy / max(now - self.began, 1e-9))
        return max([(sum(left) + waiting) / at_once, *left])
