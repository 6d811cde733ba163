"""What Snakemake's dry run prints, in a form for people: how many jobs of each rule, why, and which."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

JOB = re.compile(r"^Job \d+: (?P<message>.*)(?:\nReason: (?P<reason>.*))?", re.MULTILINE)
COUNT = re.compile(r"^(\w+) +(\d+)$", re.MULTILINE)
CODE = re.compile(r"before: '[0-9a-f]{16,24}' now: '[0-9a-f]{16,24}'")
FOLLOWS = "they follow from others"
WIDTH = 100


def grouped(printed: str) -> str | None:
    """Return what a dry run with messages and reasons has printed, grouped; None where there is nothing to do."""
    counts = dict(COUNT.findall(printed))
    counts.pop("total", None)
    counts.pop("all", None)
    if not counts:
        return None
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    messages = []
    for job in JOB.finditer(printed):
        messages.append(job["message"])
        reasons[_because(job["reason"] or "")][_verb(job["message"])] += 1
    verbs = Counter(map(_verb, messages))
    total = sum(map(int, counts.values()))
    lines = [f"{total} jobs: " + ", ".join(f"{verb} {number}" for verb, number in verbs.items()), "why:"]
    for reason in sorted(reasons, key=lambda reason: (reason == FOLLOWS, -reasons[reason].total(), reason)):
        listed = ", ".join(f"{verb} {number}" for verb, number in reasons[reason].items())
        lines.append(f"  {reason}: {listed}")
    return "\n".join([*lines, "which:", *(f"  {message}" for message in messages)])


def _verb(message: str) -> str:
    return message.split()[0]


def _because(reason: str) -> str:
    """Return the reason of a job, without lists of files."""
    if "Params have changed" in reason and CODE.search(reason):
        return "their code has changed"
    for begins, words in {
        "Missing output files": "they are not there yet",
        "Params have changed since last execution": "their settings have changed",
        "Updated input files": "files that they read have changed",
        "Set of input files has changed": "they read more, or fewer, files",
        "Input files updated by another job": FOLLOWS,
        "Forced execution": "they are missing, or not what was written",
    }.items():
        if begins in reason:
            _, _, values = reason.partition("across all output: ")
            shown = values.strip() if begins.startswith("Params") and len(values) < WIDTH else ""
            return f"{words} ({shown})" if shown else words
    return reason[:WIDTH] or FOLLOWS
