"""The networks of a configuration: their files, and refiners with what they refine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ensir.errors import InputError
from ensir.images import listing
from ensir.networks import examples
from ensir.networks.sections import CLIP_FILES, BasePrior, ClipPrior, Refiner, RestorationPrior
from ensir.networks.shipped import SHIPPED_DAES
from ensir.storage.layout import Layout
from ensir.storage.paths import existing, readable

if TYPE_CHECKING:
    from ensir.planning.plan import Plan


@dataclass(frozen=True)
class Refinement:
    """A refiner of the configuration, and what it refines.

    Attributes
    ----------
    key : str
        Dotted key of its section.
    settings : Refiner
    model : str or None
        The model whose predictions are refined, or
    experiment, method : str
        the experiment and the method whose fused images are.
    """

    key: str
    settings: Refiner
    model: str | None
    experiment: str = ""
    method: str = ""

    def store(self, layout: Layout, dataset: str) -> str:
        """Return the store of what is refined."""
        if self.model:
            return layout.predictions(dataset, self.model)
        return layout.fused(self.experiment, dataset, self.method)


class Networks:
    """The networks of a plan.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan):
        self.plan, self.config, self.layout = plan, plan.config, plan.layout
        self.photographs = cache(self._photographs)
        self.refiners = cache(self._refiners)

    # ── files ────────────────────────────────────────────────────────────────────────────────────────────────

    def weights(self, key: str, weights: str) -> str:
        """Return the weights of a network: a denoising autoencoder that ships or is trained here, or a file."""
        if weights in SHIPPED_DAES:
            return SHIPPED_DAES[weights]
        if weights in self.config.denoisers:
            self.photographs(weights)
            return self.layout.denoiser(weights)
        return existing(weights, key)

    def _photographs(self, denoiser: str) -> list[str]:
        """Return the images that a denoising autoencoder is trained on."""
        key = f"denoisers.{denoiser}.photographs"
        images = listing.find(self.config.denoisers[denoiser].photographs, key)
        try:
            examples.kept_back(list(images), examples.VALIDATION)
        except InputError as error:
            raise InputError(f"{key}: {error}") from error
        return [readable(file, key) for file in images.values()]

    def denoisers(self) -> list[str]:
        """Return the denoising autoencoders that models and refiners use, of those that are trained here."""
        models = {model for _, _, models in self.plan.used() for model in models}
        used = set[str]()
        for list_files, names in (
            (self.plan.network, models),
            (self.refiner_files, self.refiners()),
            (self.perceptual, self.refiners()),
        ):
            for name in names:
                with suppress(InputError):  # reported by the plan
                    used.update(list_files(name))
        return [name for name in self.config.denoisers if self.layout.denoiser(name) in used]

    def refiner_files(self, name: str) -> list[str]:
        """Return the weights of a refiner, and the files of the network that guides it."""
        refinement = self.refiners()[name]
        weights = refinement.settings.weights or self.layout.refiner(name)
        if refinement.settings.weights:
            existing(weights, f"{refinement.key}.weights")
        return [weights, *self.prior_files(name)]

    def prior_files(self, name: str) -> list[str]:
        """Return the files of the network that guides a refiner."""
        refinement = self.refiners()[name]
        prior, key = refinement.settings.prior, f"{refinement.key}.prior"
        match prior:
            case RestorationPrior():
                return [self.weights(f"{key}.network", prior.network)]
            case BasePrior():
                assert refinement.model is not None
                return self.plan.network(refinement.model)
            case ClipPrior():
                fix = "give the folder of a CLIP as transformers saves it"
                return [existing(os.path.join(prior.path, file), f"{key}.path", fix) for file in CLIP_FILES]
        return []

    def perceptual(self, name: str) -> list[str]:
        """Return the file of the network whose features a refiner's training compares; empty where it has none."""
        refinement = self.refiners()[name]
        training = refinement.settings.training
        if training is None or training.perceptual is None:
            return []
        return [self.weights(f"{refinement.key}.training.perceptual", training.perceptual)]

    # ── refiners ─────────────────────────────────────────────────────────────────────────────────────────────

    def _refiners(self) -> dict[str, Refinement]:
        """Return the refiners that experiments use, by name: the name of a model, or `experiment/method`."""
        return dict(pair for name in self.config.experiments for pair in self.refiners_of(name))

    def refiners_of(self, experiment: str) -> Iterator[tuple[str, Refinement]]:
        """Yield the refiners of an experiment, with their names."""
        section = self.config.experiments[experiment]
        for name in self.with_bases(section.models):
            model = self.config.models[name]
            if isinstance(model, Refiner):
                yield name, Refinement(f"models.{name}", model, model.refined)
        for name, method in section.methods.items():
            if isinstance(method, Refiner):
                key, refined = f"experiments.{experiment}.methods.{name}", method.refined
                behind = (None, experiment, refined) if refined in section.methods else (refined,)
                yield f"{experiment}/{name}", Refinement(key, method, *behind)

    def with_bases(self, models: Sequence[str]) -> list[str]:
        """Return models, and those whose predictions they refine."""
        listed = list(models)
        for name in listed:  # grows inside the loop
            model = self.config.models[name]
            if isinstance(model, Refiner) and model.refined not in listed:
                listed.append(model.refined)
        return listed

    def too_few(self) -> Iterator[str]:
        """Report refiners whose training holds out all images that there are."""
        for refinement in self.refiners().values():
            if training := refinement.settings.training:
                try:
                    examples.kept_back([*self.plan.targets(training.dataset)], training.validation)
                except InputError as error:
                    yield f"{refinement.key}.training.dataset: {error}, or lower `validation`"

    def overlapping(self) -> Iterator[str]:
        """Report images that a refiner is trained on and that are in a reference or test set of its experiment, too."""
        for name, experiment in self.config.experiments.items():
            for _, refinement in self.refiners_of(name):
                if refinement.settings.training is None:
                    continue
                learned = refinement.settings.training.dataset
                twins = {identity: image for image, identity in self._identities(learned).items()}
                for dataset in (experiment.reference, *self.plan.scored(name)):
                    for image, identity in self._identities(dataset).items():
                        if twin := twins.get(identity):
                            yield (
                                f"{refinement.key}.training.dataset: image {twin!r} of {learned} is image {image!r} of "
                                f"{dataset}, too; `exclude` it from one of them"
                            )

    def _identities(self, dataset: str) -> dict[str, tuple[str, str]]:
        """Return what identifies each image: its file, or its digest in a shared store, or else its name."""
        index = self.plan.index(dataset)
        return {
            image: ("file", os.path.realpath(file))
            if file
            else ("digest", index.images[image].target)
            if index
            else ("name", image)
            for image, file in self.plan.targets(dataset).items()
        }
