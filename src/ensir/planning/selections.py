"""Which selections of models there are, and what each is made from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ensir.methods import CombiningMethod
from ensir.planning.plan import Plan
from ensir.scoring import selection

FEW_MODELS = 6  # whose subsets take less than a second
THREADS = 4


class Selections:
    """The selections of one plan: one for each method that can fit to subsets of the models.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan):
        self.plan, self.config, self.layout = plan, plan.config, plan.layout

    def _methods(self) -> Iterator[tuple[str, str, CombiningMethod]]:
        for name, experiment in self.config.experiments.items():
            for method, section in experiment.methods.items():
                if section.selects:
                    yield name, method, section

    def folders(self) -> dict[str, dict[str, str]]:
        """Return the folder of each selection, by experiment and method."""
        found: dict[str, dict[str, str]] = {name: {} for name in self.config.experiments}
        for name, method, _ in self._methods():
            found[name][method] = self.layout.selection(name, method)
        return found

    def files(self) -> list[str]:
        """Return the files of all selections."""
        return [
            file
            for folders in self.folders().values()
            for folder in folders.values()
            for file in selection.files(folder)
        ]

    def asked(self) -> list[dict[str, Any]]:
        """Return what each selection is made from, as plain data; see `ensir.stages.select`."""
        return [
            {
                "folder": self.layout.selection(name, method),
                "settings": section.traced,
                "statistics": (module, self.layout.statistics(name, statistics)),
                "predictions": self._predictions(name),
                "given": {
                    model: self.config.models[model].seconds
                    for model in self.config.models
                    if self.config.models[model].seconds is not None
                },
            }
            for name, method, section in self._methods()
            for statistics, module in [section.statistics or ("", "")]
        ]

    def _predictions(self, experiment: str) -> dict[str, list[str]]:
        """Return the parts of each model's predictions for the reference."""
        section = self.config.experiments[experiment]
        return {
            model: [
                self.layout.part(self.layout.predictions(section.reference, model), part)
                for part in self.plan.parts(section.reference)
            ]
            for model in section.models
        }

    def sections(self) -> list[CombiningMethod]:
        """Return the sections of the methods that fit to subsets."""
        return [section for _, _, section in self._methods()]

    def modules(self) -> list[str]:
        """Return the modules of the statistics that they fit to."""
        return sorted({section.statistics.module for section in self.sections() if section.statistics})

    def threads(self) -> int:
        """Return how many threads they are worth."""
        models = [len(self.config.experiments[name].models) for name, _, _ in self._methods()]
        return THREADS if max(models, default=0) > FEW_MODELS else 1
