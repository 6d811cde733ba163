"""What a run makes: stores, images, LUTs, figures."""

from __future__ import annotations

from collections.abc import Iterator

from ensir import registry
from ensir.figures import PaperFigure
from ensir.planning.plan import Plan

FIGURE_FILES = (".svg", ".pdf", ".png", ".csv")


class Targets:
    """What a run of one plan makes.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan):
        self.plan, self.config, self.layout = plan, plan.config, plan.layout

    def tests(self) -> list[tuple[str, str, str]]:
        """Return every (experiment, test set, method)."""
        return [
            (name, dataset, method)
            for name, experiment in self.config.experiments.items()
            for dataset in experiment.tests
            for method in experiment.methods
        ]

    def all(self) -> list[str]:
        """Return what a whole run is made for."""
        layout = self.layout
        tables = [layout.summary, layout.tables, layout.report, layout.provenance]
        return [*tables, *self.sealed_stores(), *self.image_folders()]

    def sealed_predictions(self) -> list[str]:
        """Return the seals of all prediction stores."""
        stores = {self.layout.predictions(d, m) for _, d, models in self.plan.used() for m in models}
        return sorted(map(self.layout.seal, stores))

    def sealed_stores(self) -> list[str]:
        """Return the seals of all stores, without those whose fused images are temporary."""
        datasets = sorted({self.layout.seal(self.layout.dataset(d)) for _, d, _ in self.plan.used()})
        fused = [
            self.layout.seal(self.layout.fused(*test))
            for test in self.tests()
            if self.config.experiments[test[0]].fused == "keep"
        ]
        return datasets + self.sealed_predictions() + fused

    def image_folders(self) -> list[str]:
        """Return the folders of the PNG files that experiments ask for."""
        return [self.layout.images(*test) for test in self.tests() if self.config.experiments[test[0]].png]

    def luts(self) -> list[str]:
        """Return all LUTs."""
        return [
            self.layout.lut(name, method)
            for name, experiment in self.config.experiments.items()
            for method, section in experiment.methods.items()
            if section.made == "lut"
        ]

    def drawn(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Yield every figure of all experiments: its kind, the experiment, and what it shows by axis."""
        for figure in registry.kinds("figures"):
            kind = registry.section("figures", figure)
            for name, experiment in self.config.experiments.items():
                if kind.suits_experiment(list(experiment.methods.values())):
                    methods = [m for m, section in experiment.methods.items() if kind.suits(section)]
                    tests = self.plan.scored(name) if kind.needs_targets else experiment.tests
                    for of in _subjects(kind, tests, methods):
                        yield figure, name, dict(zip(kind.of, of, strict=True))

    def figures(self) -> dict[str, list[str]]:
        """Return the files of every figure of all experiments, by kind of figure."""
        files: dict[str, list[str]] = {figure: [] for figure in registry.kinds("figures")}
        for figure, experiment, of in self.drawn():
            stem = self.layout.figure(experiment, figure, "/".join(of.values()))
            files[figure] += [stem + ending for ending in FIGURE_FILES]
        return files


def _subjects(kind: type[PaperFigure], tests: list[str], methods: list[str]) -> list[tuple[str, ...]]:
    """Return what a figure is drawn for in an experiment: names of test sets, methods or both."""
    match kind.of:
        case ("dataset",):
            return [(dataset,) for dataset in tests]
        case ("method",):
            return [(method,) for method in methods]
    return [(dataset, method) for dataset in tests for method in methods]
