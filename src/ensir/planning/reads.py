"""What each rule of the workflow reads, in the order of the stages: results, files and keys of the configuration.

`figure_reads` has the rules of figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ensir.methods import CombiningMethod
from ensir.networks.sections import Refiner
from ensir.planning.code import stage_code
from ensir.planning.networks import Refinement
from ensir.planning.plan import Plan
from ensir.planning.selections import Selections
from ensir.planning.targets import Targets

Parts = list[tuple[str, list[str]]]  # each part of a dataset, and the parts of the models' predictions


@dataclass
class Read:
    """What one job reads.

    Attributes
    ----------
    results : dict
        Results with digests, by name: their digests show what has changed, whatever their dates.
    files : dict
        Other results, by name.
    sources : dict
        The user's files, by name: records show whether their content has changed, whatever their dates.
    """

    results: dict[str, str | list[str]] = field(default_factory=dict)
    files: dict[str, str | list[str]] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)

    def paths(self) -> Iterator[str]:
        """Yield the results, one by one."""
        for result in self.results.values():
            yield from [result] if isinstance(result, str) else result


class Reads:
    """What the rules read, of one plan.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan):
        self.plan, self.config, self.layout = plan, plan.config, plan.layout
        self.targets, self.selections = Targets(plan), Selections(plan)

    def method(self, experiment: str, method: str) -> CombiningMethod:
        """Return the section of a method."""
        return self.config.experiments[experiment].methods[method]

    def parts(self, store: str, dataset: str) -> list[str]:
        """Return all parts of a store."""
        return [self.layout.part(store, part) for part in self.plan.parts(dataset)]

    # ── ingest, train, predict ───────────────────────────────────────────────────────────────────────────────

    def ingest(self, dataset: str, part: str) -> Read:
        """Ingest: the files of one part's images, and that of a blur kernel."""
        targets, inputs = (
            self.plan.files(files(dataset), dataset, part) for files in (self.plan.targets, self.plan.inputs)
        )
        return Read(sources={"targets": targets, "inputs": inputs, "kernel": self.plan.kernel(dataset)})

    def adopted_datasets(self) -> list[str]:
        """Adopt dataset: the datasets that are in shared stores."""
        return [name for name, section in self.config.datasets.items() if section.indexed()]

    def sizes(self, dataset: str, part: str) -> list[tuple[int, int]]:
        """Ingest: the size that each target is cropped to; empty without `common_crop`."""
        sizes = self.plan.sizes(dataset)
        return [sizes[name] for name in self.plan.parts(dataset)[part] if sizes]

    def refiner(self, refiner: str) -> Refinement:
        """Train refiner: the refiner, and what it refines."""
        return self.plan.networks.refiners()[refiner]

    def train_refiner(self, refiner: str) -> Read:
        """Train refiner: all parts of its training set and of what it refines there, and the networks that it uses."""
        refinement, networks = self.refiner(refiner), self.plan.networks
        assert refinement.settings.training is not None
        dataset = refinement.settings.training.dataset
        return Read(
            {
                "dataset": self.parts(self.layout.dataset(dataset), dataset),
                "base": self.parts(refinement.store(self.layout, dataset), dataset),
            },
            sources={"prior": networks.prior_files(refiner), "perceptual": networks.perceptual(refiner)},
        )

    def train_denoiser(self, denoiser: str) -> Read:
        """Train denoiser: the photographs."""
        return Read(sources={"photographs": self.plan.networks.photographs(denoiser)})

    def predict(self, dataset: str, model: str, part: str) -> Read:
        """Predict: a part, files of predictions, a network; of a refiner, the part with the predictions it refines."""
        plan, results = self.plan, dict[str, str | list[str]]()
        results["dataset"] = self.layout.part(self.layout.dataset(dataset), part)
        if refinement := plan.networks.refiners().get(model):
            results["base"] = self.layout.part(refinement.store(self.layout, dataset), part)
        files = plan.files(plan.predictions(dataset, model), dataset, part)
        return Read(results, sources={"files": files, "network": plan.network(model)})

    def device(self, model: str) -> str:
        """Predict: where a network runs, which affects no result: a resource, so that a change reruns nothing."""
        return getattr(self.config.models[model], "device", None) or self.config.compute.device

    def adopted(self) -> list[str]:
        """Adopt: the models whose predictions are in shared stores."""
        return [name for name, model in self.config.models.items() if model.adopted]

    def adopt(self, dataset: str, part: str) -> Read:
        """Adopt: a part of a dataset."""
        return Read({"dataset": self.layout.part(self.layout.dataset(dataset), part)})

    def seal(self, store: str, dataset: str) -> Read:
        """Seal, write images: all parts of a store."""
        return Read({"parts": self.parts(store, dataset)})

    # ── partition, estimate, fit, merge ──────────────────────────────────────────────────────────────────────

    def predicted(self, dataset: str, models: Sequence[str]) -> Parts:
        """Partition, fit, figures: all parts of a dataset, each with the parts of the models' predictions."""
        stores = [self.layout.predictions(dataset, model) for model in models]
        return [
            (
                self.layout.part(self.layout.dataset(dataset), part),
                [self.layout.part(store, part) for store in stores],
            )
            for part in self.plan.parts(dataset)
        ]

    def reference(self, experiment: str) -> Parts:
        """Partition, fit: all parts of the reference, with the predictions."""
        section = self.config.experiments[experiment]
        return self.predicted(section.reference, section.models)

    def partition(self, experiment: str) -> Read:
        """Partition: all parts of the reference, with the predictions."""
        return Read({"parts": flat(self.reference(experiment))})

    def statistics(self, experiment: str, method: str) -> str:
        """Estimate, fit, merge: the statistics that a method is made from."""
        declared = self.method(experiment, method).statistics
        assert declared is not None
        return self.layout.statistics(experiment, declared.name)

    def estimate(self, experiment: str, method: str) -> Read:
        """Estimate: the statistics."""
        return Read({"statistics": self.statistics(experiment, method)})

    def candidates(self, experiment: str) -> dict[str, CombiningMethod]:
        """Fit: the methods of an experiment among which one can be chosen, by name."""
        methods = self.config.experiments[experiment].methods
        return {name: section for name, section in methods.items() if section.judged}

    def fit_source(
        self, experiment: str, method: str
    ) -> Parts | tuple[str, str] | dict[str, tuple[dict[str, Any], str, str]]:
        """Fit: the module and the store of the statistics that the method declares, or all parts of the reference.

        Of a method that chooses, for each of its candidates: its settings, module and store of its statistics.
        """
        if self.method(experiment, method).chooses:
            return {
                name: (section.traced, section.statistics.module, self.statistics(experiment, name))
                for name, section in self.candidates(experiment).items()
                if section.statistics
            }
        declared = self.method(experiment, method).statistics
        if declared:
            return declared.module, self.layout.statistics(experiment, declared.name)
        return self.reference(experiment)

    def fit(self, experiment: str, method: str) -> Read:
        """Fit: the same."""
        source = self.fit_source(experiment, method)
        if isinstance(source, dict):
            return Read({"source": sorted({store for _, _, store in source.values()})})
        return Read({"source": source[1] if isinstance(source, tuple) else flat(source)})

    def fit_code(self, experiment: str, method: str) -> str:
        """Fit: a digest of the code of the method, and of those that it chooses among."""
        section = self.method(experiment, method)
        chosen = list(self.candidates(experiment).values()) if section.chooses else []
        modules = {other.statistics.module for other in chosen if other.statistics}
        return stage_code("fit", [section, *chosen], sorted(modules))

    def merge(self, experiment: str, method: str) -> Read:
        """Merge: the statistics, and the weights of all shards."""
        shards = range(self.config.compute.shards)
        return Read(
            {
                "statistics": self.statistics(experiment, method),
                "shards": [self.layout.weights(experiment, method, shard) for shard in shards],
            }
        )

    # ── fuse, score ──────────────────────────────────────────────────────────────────────────────────────────

    def made(self, experiment: str, method: str) -> str | None:
        """Fuse, report: the LUT or the fit of a method; None where it needs neither."""
        paths = {"lut": self.layout.lut, "fit": self.layout.fit}
        made = self.method(experiment, method).made
        return paths[made](experiment, method) if made else None

    def fused_models(self, experiment: str, method: str) -> list[str]:
        """Fuse: the names of what is combined: the models or, for a refiner, what it refines."""
        section = self.method(experiment, method)
        if isinstance(section, Refiner):
            return [section.refined]
        return self.config.experiments[experiment].models

    def network(self, experiment: str, method: str) -> list[str]:
        """Fuse: the files of a method that is a network; empty for others."""
        return self.method(experiment, method).network(f"{experiment}/{method}", self.plan.networks)

    def fuse(self, experiment: str, dataset: str, method: str, part: str) -> Read:
        """Fuse: one part of a test set and of each model's predictions, or of what is refined; LUT, fit or network."""
        layout, refinement = self.layout, self.plan.networks.refiners().get(f"{experiment}/{method}")
        models = self.config.experiments[experiment].models
        stores = (
            [refinement.store(layout, dataset)]
            if refinement
            else [layout.predictions(dataset, model) for model in models]
        )
        results: dict[str, str | list[str]] = {
            "dataset": layout.part(layout.dataset(dataset), part),
            "predictions": [layout.part(store, part) for store in stores],
        }
        if made := self.made(experiment, method):
            results["fitted"] = made
        return Read(results, sources={"network": self.network(experiment, method)})

    def temporary(self) -> tuple[list[str], list[str]]:
        """Fuse: the experiments whose fused images are temporary, and the parts that stay nevertheless."""
        names = [name for name, section in self.config.experiments.items() if section.fused == "temporary"]
        stay = {
            part
            for name in names
            for dataset in self.config.experiments[name].tests
            for part in self.plan.lasting(name, dataset)
        }
        return names, sorted(stay)

    def result(self, experiment: str, dataset: str, method: str) -> str:
        """Score: the store of a method's fused images, or of a base model's predictions."""
        if method in self.config.experiments[experiment].models:
            return self.layout.predictions(dataset, method)
        return self.layout.fused(experiment, dataset, method)

    def score(self, experiment: str, dataset: str, method: str, part: str) -> Read:
        """Score: one part of a test set, and of a method's fused images or a base model's predictions."""
        stores = {
            "dataset": self.layout.dataset(dataset),
            "result": self.result(experiment, dataset, method),
        }
        return Read({name: self.layout.part(store, part) for name, store in stores.items()})

    def score_settings(self, experiment: str) -> dict[str, Any]:
        """Score: the keys of the section that values depend on, without how they are printed."""
        score = self.config.experiments[experiment].score
        metrics = {name: metric.traced for name, metric in score.metrics.items()}
        return {**score.model_dump(mode="json", exclude={"metrics"}), "metrics": metrics}

    def scores(self, experiment: str, dataset: str) -> list[str]:
        """Summarize, figures: the scores of all base models and methods on one test set."""
        section = self.config.experiments[experiment]
        return [
            self.layout.scores(experiment, dataset, method, part)
            for method in [*section.models, *section.methods]
            for part in self.plan.parts(dataset)
        ]

    def summarize(self) -> Read:
        """Summarize: all scores, and how long everything took."""
        return Read(files={"scores": self.all_scores(), "seconds": self.all_seconds()})

    def all_scores(self) -> list[str]:
        """Summarize: all scores."""
        return [
            file
            for name in self.config.experiments
            for dataset in self.plan.scored(name)
            for file in self.scores(name, dataset)
        ]

    def all_seconds(self) -> list[str]:
        """Summarize: how long fits and fusing took. No store or digest depends on these times, which vary."""
        files = [
            self.layout.fuse_seconds(*test, part)
            for test in self.targets.tests()
            for part in self.plan.parts(test[1])
        ]
        for name, experiment in self.config.experiments.items():
            for method, section in experiment.methods.items():
                if section.made == "fit":
                    files.append(self.layout.fit_seconds(name, method))
                if section.made == "lut":
                    shards = range(self.config.compute.shards)
                    files += [self.layout.estimate_seconds(name, method, shard) for shard in shards]
        return files

    # ── select, report ───────────────────────────────────────────────────────────────────────────────────────────────

    def select(self) -> Read:
        """Select: the statistics."""
        return Read({"statistics": sorted({asked["statistics"][1] for asked in self.selections.asked()})})

    def experiments(self) -> dict[str, Any]:
        """Report: the sections of all experiments, as plain data, without what figures show and what is kept."""
        return {
            name: experiment.model_dump(mode="json", exclude={"figures", "fused"})
            for name, experiment in self.config.experiments.items()
        }

    def curves(self) -> dict[str, dict[str, str]]:
        """Report: of each experiment, the curves of the refiners that are trained here."""
        return {
            name: {
                refiner: self.layout.refiner_curve(refiner)
                for refiner, refinement in self.plan.networks.refiners_of(name)
                if refinement.settings.training
            }
            for name in self.config.experiments
        }

    def sample(self, experiment: str, dataset: str) -> dict[str, Any]:
        """Figures: the image of a test set that is pictured, its part, and all results of it."""
        image, part = self.plan.pictured(experiment, dataset)
        section, layout = self.config.experiments[experiment], self.layout
        return {
            "experiment": experiment,
            "dataset": dataset,
            "image": image,
            "dataset_part": layout.part(layout.dataset(dataset), part),
            "predictions": {m: layout.part(layout.predictions(dataset, m), part) for m in section.models},
            "fused": {m: layout.part(layout.fused(experiment, dataset, m), part) for m in section.methods},
            "fitted": {m: self.made(experiment, m) for m in section.methods},
        }

    def used_sections(self) -> dict[str, Any]:
        """Provenance: the keys of the configuration that results depend on."""
        used = list(self.plan.used())
        return {
            "datasets": {dataset: self.config.datasets[dataset].traced for _, dataset, _ in used},
            "models": {model: self.config.models[model].traced for _, _, models in used for model in models},
            "experiments": self.experiments(),
        }


def flat(parts: Parts) -> list[str]:
    """Return the parts of datasets and predictions, one after the other."""
    return [path for dataset, predictions in parts for path in (dataset, *predictions)]


def sampled(sample: dict[str, Any]) -> list[str]:
    """Return all results that a sample names."""
    return [
        sample["dataset_part"],
        *sample["predictions"].values(),
        *sample["fused"].values(),
        *filter(None, sample["fitted"].values()),
    ]
