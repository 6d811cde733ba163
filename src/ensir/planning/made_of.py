"""The user's files that results are made from, compared with their records while the workflow is planned."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from ensir.networks.shipped import SHIPPED_DAES
from ensir.planning.figure_reads import FigureReads
from ensir.planning.reads import Read, Reads
from ensir.planning.targets import FIGURE_FILES
from ensir.storage import sources
from ensir.storage.reading import known_sources

READ_AT_MOST = 2**28  # bytes of files with other stamps, in all; where there are more, a job compares them
UNKNOWN = "unknown"  # the generation of a result whose sources a job compares first


class MadeOf:
    """What results are made from, and whether that has changed.

    Parameters
    ----------
    reads : Reads
    """

    def __init__(self, reads: Reads):
        self.reads, self.plan, self.layout = reads, reads.plan, reads.layout
        self._generations: dict[tuple[str, tuple[str, ...]], int | str] = {}
        self._renewable: set[str] = set()
        self._left = READ_AT_MOST

    def record(self, result: str, read: Read) -> dict[str, Any]:
        """Ingest, train, predict, fuse: what the job records of its sources; see `ensir.storage.sources`."""
        files = self._sources(read)
        return {
            "record": self.layout.sources(result),
            "generation": self._generation(result, tuple(files)),
            "files": files,
        }

    def is_unknown(self) -> bool:
        """Return whether a job has to compare sources before it is known which results are made again."""
        while self._unknown:
            result = next(iter(self._unknown))
            if self._generation(result, self._results[result]) == UNKNOWN:
                return True
            self._unknown.discard(result)
        return False

    def to_renew(self) -> dict[str, list[str]]:
        """Renew: results whose files have other dates or inodes, and the same content, or content not compared yet.

        Returns
        -------
        dict
            By result, its files where they are not recorded.
        """
        found = {}
        for result, files in self._results.items():
            if self._generation(result, files) == UNKNOWN or result in self._renewable:
                recorded = sources.read(self.layout.sources(result))
                found[result] = [] if recorded else list(files)
        return found

    def stamps(self) -> str:
        """Renew: a digest of the present stamps of what is compared, so that each change makes it run again."""
        digest = hashlib.sha256()
        for result in self.to_renew():
            digest.update(repr([(file, sources.stamp(file)) for file in self._results[result]]).encode())
        return digest.hexdigest()[:16]

    @cached_property
    def _unknown(self) -> set[str]:
        """The results whose sources a job compares first."""
        return {
            result for result, files in self._results.items() if self._generation(result, files) == UNKNOWN
        }

    @cached_property
    def _results(self) -> dict[str, tuple[str, ...]]:
        """The files that each result is made from, by result."""
        return {result: tuple(self._sources(read)) for result, read in self.results()}

    def results(self) -> Iterator[tuple[str, Read]]:
        """Yield every result that is made from the user's files, and what it reads."""
        layout, reads = self.layout, self.reads
        for _, dataset, models in self.plan.used():
            for part in self.plan.parts(dataset):
                yield layout.part(layout.dataset(dataset), part), reads.ingest(dataset, part)
                for model in models:
                    if not self.plan.config.models[model].adopted:
                        path = layout.part(layout.predictions(dataset, model), part)
                        yield path, reads.predict(dataset, model, part)
        for denoiser in self.plan.config.denoisers:
            yield layout.denoiser(denoiser), reads.train_denoiser(denoiser)
        for refiner, refinement in self.plan.networks.refiners().items():
            if refinement.settings.training:
                yield layout.refiner(refiner), reads.train_refiner(refiner)
        for experiment, dataset, method in self.reads.targets.tests():
            if reads.network(experiment, method):
                for part in self.plan.parts(dataset):
                    path = layout.part(layout.fused(experiment, dataset, method), part)
                    yield path, reads.fuse(experiment, dataset, method, part)
        figures = FigureReads(reads)
        for figure, experiment, of in self.reads.targets.drawn():
            read = figures.read(figure, experiment, of.get("dataset", ""), of.get("method", ""))
            if any(read.sources.values()):
                yield layout.figure(experiment, figure, "/".join(of.values())) + FIGURE_FILES[0], read

    def _sources(self, read: Read) -> list[str]:
        """Return the user's files, without weights that are results themselves, or ship with the package."""
        files = [file for files in read.sources.values() for file in files]
        shipped = SHIPPED_DAES.values()
        return [file for file in files if not file.startswith(f"{self.layout.root}/") and file not in shipped]

    def _generation(self, result: str, files: tuple[str, ...]) -> int | str:
        """Return the generation that a result should have; once known, it stays so as long as the process lives."""
        if (result, files) not in self._generations:
            generation = self._compared(result, files)
            if generation == UNKNOWN:
                return UNKNOWN
            self._generations[result, files] = generation
        return self._generations[result, files]

    def _compared(self, result: str, files: tuple[str, ...]) -> int | str:
        """Compare the sources of a result with its record: their stamps and, where these differ, some content."""
        held = sources.read(self.layout.sources(result)) if files else None
        if not files or (held is None and not os.path.exists(result)):
            return 0
        unread = sources.unread(held, files)
        if not unread:
            assert held is not None
            return held.wanted
        size = sum(map(os.path.getsize, unread))
        if size > self._left:
            return UNKNOWN
        self._left -= size
        record = sources.compared(held, files, lambda: known_sources(result))
        if not record.found:
            self._renewable.add(result)
        return record.wanted
