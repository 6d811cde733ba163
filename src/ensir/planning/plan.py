"""What there is to do: the images, files and parts of a configuration. No pixels are read, and nothing is written."""

from __future__ import annotations

import glob
import logging
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from ensir import registry
from ensir.config.checks import cross_check
from ensir.config.schema import Config
from ensir.datasets.store import check_degradation
from ensir.errors import InputError
from ensir.images import listing
from ensir.images.codes import Header
from ensir.images.colours import first_grey
from ensir.methods import statistics_of
from ensir.planning.networks import Networks
from ensir.planning.parts import assign
from ensir.storage.index import Index
from ensir.storage.index import read as read_index
from ensir.storage.layout import Layout
from ensir.storage.paths import readable

log = logging.getLogger(__name__)


class Plan:
    """The images and parts of every dataset, and the files that they are made from.

    Parameters
    ----------
    config : Config
    layout : Layout or None
        Where results are, if elsewhere than the configuration says: parts that exist keep their images.
    """

    def __init__(self, config: Config, layout: Layout | None = None):
        self.config, self.layout = config, layout or Layout(config.results)
        self.networks = Networks(self)
        self._read_index = cache(self._index_or_error)
        self.headers = cache(self._headers)
        self.targets = cache(self._targets)
        self.grey = cache(self._grey)
        self.inputs = cache(self._inputs)
        self.predictions = cache(self._predictions)
        self.parts = cache(self._parts)
        self.sizes = cache(self._sizes)

    def check(self) -> None:
        """List every folder that an experiment needs; everything that is missing is reported as one error.

        Raises
        ------
        InputError
            A line for each dataset or model with missing or wrong files.
        """
        if problems := self.problems():
            raise InputError("\n".join(problems))

    def problems(self) -> list[str]:
        """Return what is missing, a line each."""
        lines = []
        for list_files, names in self._listings():
            try:
                list_files(*names)
            except InputError as error:
                lines.append(str(error))
        for further in (
            self._unsuitable,
            self._untargeted,
            self._ambiguous,
            self._without_choice,
            self._unpictured,
            self.networks.overlapping,
            self.networks.too_few,
        ):
            try:
                for line in further():
                    lines.append(line)
            except InputError as error:
                lines.append(str(error))
        return list(dict.fromkeys(lines))

    def _listings(self) -> Iterator[tuple[Callable[..., object], tuple[str, ...]]]:
        """Yield calls that list files, each of which may find something wrong."""
        for _, dataset, models in self.used():
            for list_files in (self.index, self.parts, self.inputs, self.sizes, self.kernel):
                yield list_files, (dataset,)
            for model in models:
                yield self.predictions, (dataset, model)
                yield self.network, (model,)
                yield self.shared, (dataset, model)
        for name in self.networks.refiners():
            yield self.networks.refiner_files, (name,)
            yield self.networks.perceptual, (name,)

    def used(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield (experiment, dataset, models) for every dataset of every experiment, and those that refiners need."""
        for name, experiment in self.config.experiments.items():
            models = self.networks.with_bases(experiment.models)
            for dataset in (experiment.reference, *experiment.tests):
                yield name, dataset, models
            for _, refinement in self.networks.refiners_of(name):
                if training := refinement.settings.training:
                    needed = [refinement.model] if refinement.model else experiment.models
                    yield name, training.dataset, self.networks.with_bases(needed)

    # ── datasets ─────────────────────────────────────────────────────────────────────────────────────────────

    def index(self, dataset: str) -> Index | None:
        """Return what is known of a shared dataset; None for others. A URL is asked until all of it has been copied.

        Raises
        ------
        InputError
            It cannot be reached, or is not what it should be.
        """
        found = self._read_index(dataset)
        if isinstance(found, InputError):
            raise found
        return found

    def _index_or_error(self, dataset: str) -> Index | InputError | None:
        """Return what `index` returns or raises: a server that does not answer is asked once."""
        section, key = self.config.datasets[dataset], f"datasets.{dataset}"
        try:
            shared = section.shared(key)
        except InputError as error:
            return error
        if shared is None:
            return None
        assert shared["location"] is not None
        try:
            index = read_index(shared["location"], shared["digest"], self.layout.dataset(dataset))
            check_degradation(shared["location"], index.facts["degradation"])
        except InputError as error:
            return InputError(f"{key}.path: {error}")
        return index

    def _headers(self, dataset: str) -> dict[str, Header]:
        """Return what is known of the targets of a shared dataset, by name; empty for others, whose files tell."""
        if not (index := self.index(dataset)):
            return {}
        return {
            name: Header(image.height, image.width, index.channels, index.facts["bits"])
            for name, image in index.images.items()
        }

    def input_scale(self, dataset: str) -> int:
        """Return the size of a target over the size of its input."""
        index = self.index(dataset)
        return index.scale if index else self.config.datasets[dataset].input_scale

    def _targets(self, dataset: str) -> dict[str, str]:
        """Return the file of each target by image name; an empty string for images without a file."""
        if index := self.index(dataset):
            return dict.fromkeys(sorted(index.images), "")
        key = f"datasets.{dataset}"
        return _readable(self.config.datasets[dataset].targets(key), f"{key}.target")

    def _inputs(self, dataset: str) -> dict[str, str]:
        """Return the file of each degraded input by image name; empty where there are no such files."""
        key = f"datasets.{dataset}"
        files = _readable(self.config.datasets[dataset].inputs(key), f"{key}.input")
        return listing.match(self.targets(dataset), files, f"{key}.input") if files else {}

    def counted(self, dataset: str) -> tuple[int, int]:
        """Return how many images a dataset has, and how many there are with those that are left out beside them."""
        targets = self.targets(dataset)
        return len(targets), len(targets) + getattr(targets, "beside", 0)

    def has_targets(self, dataset: str) -> bool:
        """Whether a dataset has targets: a test set without any is fused, but not scored."""
        try:
            index = self.index(dataset)
        except InputError:  # reported where images are listed
            return True
        return index.has_targets if index else self.config.datasets[dataset].has_targets

    def scored(self, experiment: str) -> list[str]:
        """Return the test sets of an experiment that have targets."""
        return [dataset for dataset in self.config.experiments[experiment].tests if self.has_targets(dataset)]

    def _grey(self, dataset: str) -> str | None:
        """Return a grey image of a dataset that holds colour images, too, and does not say what to do; else None."""
        section = self.config.datasets[dataset]
        try:
            images = self.targets(dataset) if self.has_targets(dataset) else self.inputs(dataset)
        except InputError:  # reported where they are listed
            return None
        files = [file for file in images.values() if file]
        if getattr(section, "grey", "refuse") is not None or not (found := first_grey(files, section.header)):
            return None
        log.warning(
            "datasets.%s: holds grey images among colour ones, such as %s: they get three equal channels, as "
            "published code scores them; `grey: replicate` says that this is meant, `grey: refuse` makes it an error",
            dataset,
            found,
        )
        return found

    def replicates(self, dataset: str) -> bool:
        """Whether grey images of a dataset get three equal channels."""
        if index := self.index(dataset):
            return index.facts.get("grey") == "replicate"
        return getattr(self.config.datasets[dataset], "grey", None) == "replicate" or bool(self.grey(dataset))

    def ingested(self, dataset: str) -> dict[str, Any]:
        """Return what the images of a dataset depend on, as plain data."""
        traced = {key: value for key, value in self.config.datasets[dataset].traced.items() if key != "grey"}
        return traced | ({"grey": "replicate"} if self.replicates(dataset) else {})

    def makes_inputs(self, dataset: str) -> bool:
        """Whether the inputs of a dataset are made from its targets."""
        return getattr(self.config.datasets[dataset], "degradation", None) is not None

    def has_inputs(self, dataset: str) -> bool:
        """Whether a dataset has inputs, from files or made."""
        if index := self.index(dataset):
            return index.has_inputs
        return self.makes_inputs(dataset) or bool(self.inputs(dataset))

    def kernel(self, dataset: str) -> list[str]:
        """Return the file that holds the blur kernel of a dataset; empty where it has no such file."""
        return self.config.datasets[dataset].kernel(f"datasets.{dataset}")

    def _parts(self, dataset: str) -> dict[str, list[str]]:
        """Return the image names of each part, in order."""
        per_part = self.config.datasets[dataset].images_per_part
        stores = [self.layout.dataset(dataset), *sorted(glob.glob(self.layout.predictions(dataset, "*")))]
        return assign(list(self.targets(dataset)), per_part, stores)

    def files(self, paths: dict[str, str], dataset: str, part: str) -> list[str]:
        """Return the files of one part's images, in order, from those of all; empty where there are none."""
        return [paths[name] for name in self.parts(dataset)[part] if paths.get(name)]

    def _sizes(self, dataset: str) -> dict[str, tuple[int, int]]:
        """Return the size that all files of each image are cropped to; empty without `common_crop`."""
        settings = self.config.datasets[dataset]
        if not settings.cropped:
            return {}
        scale = self.input_scale(dataset)
        models = sorted({m for _, used, models in self.used() if used == dataset for m in models})
        sizes = {}
        for name, path in self.targets(dataset).items():
            shapes = [settings.header(path)[:3]] if path else []
            if name in self.inputs(dataset):
                height, width, channels = settings.header(self.inputs(dataset)[name])[:3]
                shapes.append((height * scale, width * scale, channels))
            shapes += [
                self.config.models[model].shape(self.predictions(dataset, model)[name])
                for model in models
                if self.predictions(dataset, model)
            ]
            height, width, _ = np.min(shapes, axis=0) // scale * scale  # whole pixels of the input
            sizes[name] = (int(height), int(width))
        return sizes

    # ── models ───────────────────────────────────────────────────────────────────────────────────────────────

    def _predictions(self, dataset: str, model: str) -> dict[str, str]:
        """Return the file of each prediction by image name; empty where the model runs here."""
        key = f"models.{model}"
        files = _readable(self.config.models[model].predictions(key, dataset), f"{key}.path")
        return listing.match(self.targets(dataset), files, f"{key}.path") if files else {}

    def shared(self, dataset: str, model: str) -> dict[str, str | None] | None:
        """Return where predictions are shared, and their digest, without a request; None for other models."""
        return self.config.models[model].shared(f"models.{model}", dataset)

    def network(self, model: str) -> list[str]:
        """Return the file of a model's network, then the files that belong to it; empty where it has none."""
        return self.config.models[model].network(f"models.{model}", self.networks)

    # ── experiments ──────────────────────────────────────────────────────────────────────────────────────────

    def statistics(self, experiment: str) -> dict[str, tuple[str, dict[str, Any]]]:
        """Return the statistics that the methods of an experiment need: the module and the settings, by name."""
        return statistics_of(self.config.experiments[experiment].methods.values())

    def _unsuitable(self) -> Iterator[str]:
        """Report models and methods that shared datasets do not suit, now that it is known what these hold."""
        datasets = {
            dataset: index.described for _, dataset, _ in self.used() if (index := self.index(dataset))
        }
        if datasets:
            raw = self.config.model_dump(mode="json", exclude_unset=True)
            known = {*cross_check(raw)}
            raw["datasets"] |= datasets
            yield from (": ".join(problem) for problem in cross_check(raw) if problem not in known)

    def _untargeted(self) -> Iterator[str]:
        """Report datasets without targets that something is fitted to."""
        fix = "choose a dataset with targets, or give its `target`"
        for name, experiment in self.config.experiments.items():
            if not self.has_targets(experiment.reference):
                yield (
                    f"experiments.{name}.reference: {experiment.reference!r} has no targets, to which methods are "
                    f"fitted; {fix}"
                )
            for _, refinement in self.networks.refiners_of(name):
                training = refinement.settings.training
                if training and not self.has_targets(training.dataset):
                    yield (
                        f"{refinement.key}.training.dataset: {training.dataset!r} has no targets, to which refiners "
                        f"are trained; {fix}"
                    )

    def _ambiguous(self) -> Iterator[str]:
        """Report statistics of one name that are counted by several modules, as those of different packages may be."""
        for name, experiment in self.config.experiments.items():
            counted: dict[str, set[str]] = {}
            for method in experiment.methods.values():
                if method.made and method.statistics:
                    counted.setdefault(method.statistics.name, set()).add(method.statistics.module)
            for statistics, modules in counted.items():
                if len(modules) > 1:
                    yield (
                        f"experiments.{name}.methods: statistics {statistics!r} are counted by "
                        f"{', '.join(sorted(modules))}; use methods of one of these"
                    )

    def _without_choice(self) -> Iterator[str]:
        """Report methods that choose among others where there are none."""
        kinds = registry.sections("methods").items()
        judged = ", ".join(kind for kind, section in kinds if section.judged)  # type: ignore[attr-defined]
        for name, experiment in self.config.experiments.items():
            if not any(method.judged for method in experiment.methods.values()):
                for method, section in experiment.methods.items():
                    if section.chooses:
                        yield (
                            f"experiments.{name}.methods.{method}: has nothing to choose from; add one or more of "
                            f"{judged}"
                        )

    def _unpictured(self) -> Iterator[str]:
        """Report images and files that the figures name, but that do not exist."""
        for name, experiment in self.config.experiments.items():
            key, figures = f"experiments.{name}.figures", experiment.figures
            for dataset, image in figures.images.items():
                if image not in self.targets(dataset):
                    yield (
                        f"{key}.images.{dataset}: {image!r} is no image of {dataset}; fix the name, or leave it out "
                        f"to picture {next(iter(self.targets(dataset)))!r}"
                    )
            for figure in registry.kinds("figures"):
                try:
                    figures.options(figure).files(key)
                except InputError as error:
                    yield str(error)

    def lasting(self, experiment: str, dataset: str) -> list[str]:
        """Return the parts of a dataset whose fused images stay: with `fused: temporary` those that are pictured."""
        section = self.config.experiments[experiment]
        if section.fused == "keep":
            return list(self.parts(dataset))
        return [self.pictured(experiment, dataset)[1]] if dataset in section.tests else []

    def pictured(self, experiment: str, dataset: str) -> tuple[str, str]:
        """Return the image of a test set that is pictured, and its part."""
        parts = self.parts(dataset)
        first = next(iter(parts.values()))[0]
        image = self.config.experiments[experiment].figures.images.get(dataset, first)
        return image, next(part for part, names in parts.items() if image in names)


def _readable(files: dict[str, str], key: str) -> dict[str, str]:
    """Return files by name, if Snakemake can read all their paths."""
    for file in files.values():
        readable(file, key)
    return files
