"""What the report reads: all results of the test sets that stay, the tables of scores, curves, selections."""

from __future__ import annotations

from typing import Any

from ensir.planning.reads import Read, Reads


class ReportReads:
    """What the report reads, of one plan.

    Parameters
    ----------
    reads : Reads
    """

    def __init__(self, reads: Reads):
        self.reads, self.config, self.layout = reads, reads.config, reads.layout

    def samples(self) -> list[dict[str, Any]]:
        """Return of each test set the parts that stay, with their images, its stores, and how many files are tested."""
        plan = self.reads.plan
        return [
            {
                "experiment": name,
                "dataset": dataset,
                "image": plan.pictured(name, dataset)[0],
                "parts": {part: plan.parts(dataset)[part] for part in plan.lasting(name, dataset)},
                "dataset_store": self.layout.dataset(dataset),
                "predictions": {
                    model: self.layout.predictions(dataset, model) for model in experiment.models
                },
                "fused": {method: self.layout.fused(name, dataset, method) for method in experiment.methods},
                "fitted": {method: self.reads.made(name, method) for method in experiment.methods},
                "files": plan.counted(dataset),
                "results": self.layout.root,
                "given": {
                    model: seconds
                    for model in experiment.models
                    if (seconds := self.config.models[model].seconds) is not None
                },
            }
            | ({"grey": grey} if (grey := plan.grey(dataset)) else {})
            for name, experiment in self.config.experiments.items()
            for dataset in experiment.tests
        ]

    def read(self) -> Read:
        """Return the samples, the tables of scores, the curves of trained refiners, the selections."""
        results = []
        for sample in self.samples():
            stores = [sample["dataset_store"], *sample["predictions"].values(), *sample["fused"].values()]
            results += [self.layout.part(store, part) for store in stores for part in sample["parts"]]
            results += filter(None, sample["fitted"].values())
        return Read(
            {"results": list(dict.fromkeys(results))},
            {
                "scores": self.layout.all_scores,
                "summary": self.layout.summary,
                "curves": [path for curves in self.reads.curves().values() for path in curves.values()],
                "selections": self.reads.selections.files(),
            },
        )
