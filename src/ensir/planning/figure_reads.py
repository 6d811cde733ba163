"""What each figure reads: the results and files that its kind declares."""

from __future__ import annotations

from typing import Any

from ensir import registry
from ensir.planning.reads import Read, Reads, flat, sampled
from ensir.scoring import selection


class FigureReads:
    """What figures read, of one plan.

    Parameters
    ----------
    reads : Reads
    """

    def __init__(self, reads: Reads):
        self.reads, self.config, self.layout = reads, reads.config, reads.layout

    def subject(self, figure: str, experiment: str, dataset: str, method: str) -> dict[str, Any]:
        """Return what a figure is drawn from, as plain data; see `ensir.figures.Subject`."""
        section = self.config.experiments[experiment]
        kind = registry.section("figures", figure)
        methods = {
            name: options.traced
            for name, options in section.methods.items()
            if kind.suits(options) and method in ("", name)
        }
        score = section.score.model_dump(mode="json")
        keys = {"models": section.models, "methods": methods, "score": score}
        sources = {
            "scores": lambda: self.reads.scores(experiment, dataset),
            "sample": lambda: self.reads.sample(experiment, dataset),
            "reference": lambda: self.reads.reference(experiment),
            "test": lambda: self.reads.predicted(dataset, section.models),
            "statistics": lambda: self.reads.statistics(experiment, method),
            "selection": lambda: self.layout.selection(experiment, method),
            "lut": lambda: self.layout.lut(experiment, method),
        }
        return {
            "experiment": experiment,
            "dataset": dataset,
            "method": method,
            "section": {key: keys[key] for key in kind.depends_on},
            "options": section.figures.options(figure).model_dump(mode="json"),
            "results": {word: sources[word]() for word in kind.reads},
        }

    def read(self, figure: str, experiment: str, dataset: str, method: str) -> Read:
        """Return the results and files that a figure reads."""
        results = self.subject(figure, experiment, dataset, method)["results"]
        read = Read(
            sources={"files": self.config.experiments[experiment].figures.options(figure).files(figure)}
        )
        for word, source in results.items():
            match word:
                case "scores":
                    read.files[word] = source
                case "sample":
                    read.results[word] = sampled(source)
                case "reference" | "test":
                    read.results[word] = flat(source)
                case "selection":
                    read.files[word] = selection.files(source)
                case _:
                    read.results[word] = source
        return read

    def caption(self, figure: str, experiment: str, dataset: str, method: str) -> str:
        """Return the caption of a figure in Snakemake's report."""
        return self.config.experiments[experiment].figures.options(figure).captioned(dataset, method)
