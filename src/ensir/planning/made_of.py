"""The user's files that results are made from, compared with their records while the workflow is planned."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from ensir.networks.shipped import SHIPPED_DAES
from ensir.planning.reads import Read, Reads
from ensir.storage import sources
from ensir.storage.digests import sha256
from ensir.storage.reading import known_sources


class MadeOf:
    """What results are made from, and whether that has changed.

    Parameters
    ----------
    reads : Reads
    """

    def __init__(self, reads: Reads):
        self.reads, self.plan, self.layout = reads, reads.plan, reads.layout
        self._state = cache(self._compared)

    def record(self, result: str, read: Read) -> dict[str, Any]:
        """Ingest, train, predict: what the job records of its sources; see `ensir.storage.sources`."""
        files = self._sources(read)
        state = self._state(result, tuple(files))
        return {"record": self.layout.sources(result), "generation": state.generation, "files": files}

    def renewable(self) -> list[str]:
        """Renew: the records of results whose files have new dates, but the same content."""
        records = []
        for result, read in self._results():
            state = self._state(result, tuple(self._sources(read)))
            if not state.settled:
                held = sources.read(self.layout.sources(result))
                if held and held.generation == state.generation:
                    records.append(self.layout.sources(result))
        return sorted(records)

    def _results(self) -> Iterator[tuple[str, Read]]:
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

    def _sources(self, read: Read) -> list[str]:
        """Return the user's files, without weights that are results themselves, or ship with the package."""
        files = [file for files in read.sources.values() for file in files]
        shipped = SHIPPED_DAES.values()
        return [file for file in files if not file.startswith(f"{self.layout.root}/") and file not in shipped]

    def _compared(self, result: str, files: tuple[str, ...]) -> sources.State:
        """Compare the sources of a result with its record, once in a process."""

        def known() -> list[str] | None:
            digests = known_sources(result)
            return digests and [digest for digest in digests if digest not in self._shipped()]

        return sources.state(self.layout.sources(result), files, known)

    @staticmethod
    @cache
    def _shipped() -> set[str]:
        """Return the digests of the weights that ship with the package, which are not recorded."""
        return set(map(sha256, SHIPPED_DAES.values()))
