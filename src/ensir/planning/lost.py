"""Results that were made and are missing or damaged now, though others that were made of them are there.

Snakemake makes nothing again that only such others need. So all that a target is made of is looked at while it is
planned, by size of folders and dates alone; where a date is later than that of the digest, content decides.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

from ensir.planning.jobs import Job, jobs
from ensir.planning.reads import Reads
from ensir.storage import digests, known
from ensir.storage.layout import DIGESTED, Layout

READ_AT_MOST = 2**28  # bytes of files with late dates, in all; what is beyond is compared when it is read


class State(NamedTuple):
    """What there is of a result.

    Attributes
    ----------
    there : bool
        All its files are.
    sound : bool
        They are what was written, as far as can be seen without reading them.
    was_made : bool
        It was made once.
    """

    there: bool
    sound: bool
    was_made: bool


class Remembered(Protocol):
    """What Snakemake keeps of a job, in the working directory.

    Attributes
    ----------
    starttime : float or None
    input_checksums : dict or None
        SHA-256 of what the job has read, by path.
    """

    starttime: float | None
    input_checksums: dict[str, str] | None


class Lost:
    """What is missing or damaged of what targets are made of.

    Parameters
    ----------
    reads : Reads
    unfinished : callable
        Returns which of some results Snakemake was making when it was killed, though a job may have finished them.
    remembered : callable
        Returns what Snakemake keeps of the job that has made a result; None where that is nothing.
    """

    def __init__(
        self,
        reads: Reads,
        unfinished: Callable[[list[str]], set[str]] = lambda results: set(),
        remembered: Callable[[str], Remembered | None] = lambda result: None,
    ):
        self.reads, self.layout, self.unfinished = reads, reads.layout, unfinished
        self.remembered = remembered
        self._left = READ_AT_MOST
        self._sealed = cache(known.sealed)
        self._levels: dict[str, list[list[str]]] = {}

    @cached_property
    def _jobs(self) -> list[Job]:
        return list(jobs(self.reads))

    @cached_property
    def _maker(self) -> dict[str, int]:
        """The number of the job that makes a result."""
        return {result: number for number, job in enumerate(self._jobs) for result in job.results}

    @cached_property
    def _states(self) -> list[dict[str, State]]:
        """What there is of the results of each job."""
        return [{result: self._state(result) for result in job.results} for job in self._jobs]

    @cached_property
    def _upstream(self) -> list[set[int]]:
        """The jobs whose results each job reads."""
        return [{self._maker[path] for path in _paths(job) if path in self._maker} for job in self._jobs]

    @cached_property
    def _numbers(self) -> list[int]:
        """The jobs to be run again, though nothing that is to be made needs their results."""
        damaged = [
            number
            for number, states in enumerate(self._states)
            if any(state.was_made and not (state.there and state.sound) for state in states.values())
        ]
        put_back = self._put_back()
        if not damaged and not put_back:
            return []
        # Snakemake asks for these once only, before all is known.
        unfinished = self.unfinished(list(self._maker))
        readers: dict[int, list[int]] = {}
        for number, upstream in enumerate(self._upstream):
            for maker in upstream:
                readers.setdefault(maker, []).append(number)
        for number in put_back:  # grows inside: what was made of it may be of today, or have come with it
            put_back += [reader for reader in readers.get(number, []) if reader not in put_back]
        damaged = sorted({*damaged, *put_back, *(self._maker[result] for result in unfinished)})

        @cache
        def comes_by_itself(number: int) -> bool:
            """Whether Snakemake runs the job: a result is missing, and no other is there that was made of it."""
            is_missing = not all(state.there for state in self._states[number].values())
            return is_missing and all(map(comes_by_itself, readers.get(number, [])))

        return [number for number in damaged if not comes_by_itself(number)]

    def levels(self, target: str, files: Iterable[str] = ()) -> list[list[str]]:
        """Return the results to be made again for a target: each list needs nothing of those that follow it.

        Where they were made at once, what is sound and lies between two of them would be made again as well.

        Parameters
        ----------
        target : str
            Its name; once known, its results stay the same as long as the process lives.
        files : iterable of str
            What it collects.
        """
        if target not in self._levels:
            self._levels[target] = self._sorted(files) if self._numbers else []
        return self._levels[target]

    def declared_digests(self, results: list[str]) -> list[str]:
        """Return the digests of results that are outputs of the rules that make them."""
        return [self.layout.digest(result) for result in results if self._kind(result) in DIGESTED]

    def _kind(self, result: str) -> str:
        return Path(result).relative_to(self.layout.root).parts[0]

    def _sorted(self, targets: Iterable[str]) -> list[list[str]]:
        wanted, lost = self._needed_for(targets), set(self._numbers)
        depths: dict[int, int] = {}

        def depth(number: int) -> int:
            if number not in depths:
                depths[number] = max((depth(u) + (u in lost) for u in self._upstream[number]), default=0)
            return depths[number]

        levels: dict[int, list[str]] = {}
        for number in self._numbers:
            if number in wanted:
                levels.setdefault(depth(number), []).extend(self._jobs[number].results)
        return [levels[level] for level in sorted(levels)]

    def _needed_for(self, targets: Iterable[str]) -> set[int]:
        """Return the jobs that targets are made by, directly or not."""
        waiting = [self._maker[target] for target in targets if target in self._maker]
        found = set(waiting)
        while waiting:
            new = self._upstream[waiting.pop()] - found
            found |= new
            waiting += new
        return found

    # ── what there is ────────────────────────────────────────────────────────────────────────────────────────

    def _state(self, result: str) -> State:
        digest = self.layout.digest(result)
        try:
            suspects = digests.suspects(result, digest)
        except FileNotFoundError:
            return self._without_digest(result, digest)
        if suspects is None:
            return State(False, False, True)
        return State(True, self._as_written(result, digest, suspects), True)

    def _without_digest(self, result: str, digest: str) -> State:
        there, was_made = os.path.exists(result), os.path.exists(Layout.origin_of(digest))
        if self._kind(result) in DIGESTED:
            return State(False, False, there or was_made or self._is_known(result))
        from_before = there and not was_made  # the digests of such results
        return State(there, from_before, there or was_made)

    def _put_back(self) -> list[int]:
        """Return the jobs with results that are others than the last run saw, though no later job has made them.

        They come from a backup, say, with digests of their own, and may be of other settings.
        """
        seen: dict[str, tuple[str, float]] = {}
        for collected in (self.layout.all_scores, self.layout.provenance):
            last = self.remembered(collected)
            if last and last.starttime and last.input_checksums:
                seen |= {file: (sha, last.starttime) for file, sha in last.input_checksums.items()}

        def is_another(file: str) -> bool:
            if file not in seen or not os.path.exists(file):
                return False
            checksum, time = seen[file]
            if digests.sha256(file) == checksum.removeprefix("sha256:"):
                return False
            made = self.remembered(file)
            return bool(made and made.starttime and made.starttime < time)

        return [
            number
            for number, job in enumerate(self._jobs)
            if any(is_another(result) or is_another(self.layout.digest(result)) for result in job.results)
        ]

    def _is_known(self, result: str) -> bool:
        """Return whether a seal or the record of the last run names a result."""
        store, part = os.path.split(result)
        return part in self._sealed(store) or result in self._recorded

    @cached_property
    def _recorded(self) -> set[str]:
        return known.recorded(self.layout)

    def _as_written(self, result: str, digest: str, suspects: list[str]) -> bool:
        """Compare the content of files that were written after their digest, as long as that is quickly done."""
        size = sum(os.path.getsize(file) for file in suspects)
        if not suspects or size > self._left:
            return True
        self._left -= size
        return digests.are_as_written(result, digest, suspects)


def _paths(job: Job) -> Iterator[str]:
    """Yield all files and folders that a job reads."""
    read = job.read()
    for group in (read.results, read.files, read.sources):
        for paths in group.values():
            yield from [paths] if isinstance(paths, str) else paths
