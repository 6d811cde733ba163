"""What there is to do: the images, files and parts of a configuration. Reads no pixel, writes nothing."""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ensir import InputError, arrays, images
from ensir.config import Config, Ptgrm
from ensir.config_data import (
    BasePrior,
    CheckpointModel,
    ClipPrior,
    DaeModel,
    DaepModel,
    DmspModel,
    ExportedModel,
    FolderDataset,
    FolderModel,
    PtgrmModel,
    Refiner,
    RestorationPrior,
    StoreModel,
)
from ensir.layout import Layout
from ensir.priors.operators import kernel_files
from ensir.priors.shipped import SHIPPED_DAES
from ensir.shared import ROOT, is_url

CLIP_FILES = ("config.json", "model.safetensors")


@dataclass(frozen=True)
class Refinement:
    """A refiner of the configuration, and what it refines.

    Attributes
    ----------
    key : str
        Its section, dotted.
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


class Plan:
    """The images and parts of every dataset, and the files that they are made from.

    Parameters
    ----------
    config : Config
    layout : Layout
        Where results are: parts that exist keep their images.
    """

    def __init__(self, config: Config, layout: Layout):
        self.config, self.layout = config, layout
        self.targets = cache(self._targets)
        self.inputs = cache(self._inputs)
        self.predictions = cache(self._predictions)
        self.parts = cache(self._parts)
        self.sizes = cache(self._sizes)
        self.photographs = cache(self._photographs)
        self.refiners = cache(self._refiners)

    def check(self) -> None:
        """List every folder that an experiment needs; all that is missing is one error.

        Raises
        ------
        InputError
            One line per dataset or model whose files are not as they should be.
        """
        problems = []
        for _, dataset, models in self.used():
            looks: list[tuple[Callable[..., object], tuple[str, ...]]]
            looks = [(look, (dataset,)) for look in (self.parts, self.inputs, self.sizes, self.kernel)]
            looks += [(self.predictions, (dataset, model)) for model in models]
            looks += [(self.network, (model,)) for model in models]
            looks += [(self.shared, (dataset, model)) for model in models]
            for look, names in looks:
                try:
                    look(*names)
                except InputError as error:
                    problems.append(str(error))
        for name in self.refiners():
            try:
                self.refiner_files(name)
                self.perceptual(name)
            except InputError as error:
                problems.append(str(error))
        if not problems:
            problems = [*self._unpictured(), *self._overlapping()]
        if problems:
            raise InputError("\n".join(dict.fromkeys(problems)))

    def used(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield (experiment, dataset, models) for every dataset of every experiment, those that refiners need too."""
        for name, experiment in self.config.experiments.items():
            models = self._with_bases(experiment.models)
            for dataset in (experiment.reference, *experiment.tests):
                yield name, dataset, models
            for _, refinement in self.refiners_of(name):
                if training := refinement.settings.training:
                    needed = [refinement.model] if refinement.model else experiment.models
                    yield name, training.dataset, self._with_bases(needed)

    # ── refiners ─────────────────────────────────────────────────────────────────────────────────────────────

    def _refiners(self) -> dict[str, Refinement]:
        """Return the refiners that experiments use, by name: that of a model, or `experiment/method`."""
        return dict(found for name in self.config.experiments for found in self.refiners_of(name))

    def refiners_of(self, experiment: str) -> Iterator[tuple[str, Refinement]]:
        """Yield the refiners of an experiment, with their names."""
        section = self.config.experiments[experiment]
        for name in self._with_bases(section.models):
            model = self.config.models[name]
            if isinstance(model, PtgrmModel):
                yield name, Refinement(f"models.{name}", model, model.base)
        for name, method in section.methods.items():
            if isinstance(method, Ptgrm):
                key, after = f"experiments.{experiment}.methods.{name}", method.after
                behind = (None, experiment, after) if after in section.methods else (after,)
                yield f"{experiment}/{name}", Refinement(key, method, *behind)

    def _with_bases(self, models: Sequence[str]) -> list[str]:
        """Return models, and those whose predictions they refine."""
        found = list(models)
        for name in found:  # which grows
            model = self.config.models[name]
            if isinstance(model, PtgrmModel) and model.base not in found:
                found.append(model.base)
        return found

    def refiner_files(self, name: str) -> list[str]:
        """Return the weights of a refiner, and the files of the network that guides it."""
        refinement = self.refiners()[name]
        weights = refinement.settings.weights or self.layout.refiner(name)
        if refinement.settings.weights:
            _existing(weights, f"{refinement.key}.weights")
        return [weights, *self.prior_files(name)]

    def prior_files(self, name: str) -> list[str]:
        """Return the files of the network that guides a refiner."""
        refinement = self.refiners()[name]
        prior, key = refinement.settings.prior, f"{refinement.key}.prior"
        match prior:
            case RestorationPrior():
                return [self._weights(f"{key}.network", prior.network)]
            case BasePrior():
                assert refinement.model is not None
                return self.network(refinement.model)
            case ClipPrior():
                mend = "give the folder of a CLIP as transformers saves it"
                return [_existing(os.path.join(prior.path, name), f"{key}.path", mend) for name in CLIP_FILES]
        return []

    def perceptual(self, name: str) -> list[str]:
        """Return the file of the network whose features a refiner's training compares; none where it does not."""
        refinement = self.refiners()[name]
        training = refinement.settings.training
        if training is None or training.perceptual is None:
            return []
        return [self._weights(f"{refinement.key}.training.perceptual", training.perceptual)]

    def _overlapping(self) -> Iterator[str]:
        """Say which images teach a refiner and are in a reference or test set of its experiment too."""
        for name, experiment in self.config.experiments.items():
            for _, refinement in self.refiners_of(name):
                if refinement.settings.training is None:
                    continue
                learned = refinement.settings.training.dataset
                files = {
                    os.path.realpath(file): image for image, file in self.targets(learned).items() if file
                }
                photographs = {image for image, file in self.targets(learned).items() if not file}
                for dataset in (experiment.reference, *experiment.tests):
                    for image, file in self.targets(dataset).items():
                        twin = (
                            files.get(os.path.realpath(file))
                            if file
                            else image
                            if image in photographs
                            else None
                        )
                        if twin:
                            yield (
                                f"{refinement.key}.training.dataset: image {twin!r} of {learned} is image {image!r} of "
                                f"{dataset}, too; `exclude` it from one of them"
                            )

    # ── images and files ─────────────────────────────────────────────────────────────────────────────────────

    def _unpictured(self) -> Iterator[str]:
        """Say which images and files that the figures name are not there."""
        for name, experiment in self.config.experiments.items():
            key, figures = f"experiments.{name}.figures", experiment.figures
            for dataset, image in figures.images.items():
                if image not in self.targets(dataset):
                    yield (
                        f"{key}.images.{dataset}: {image!r} is no image of {dataset}; mend the name, or leave it out "
                        f"to picture {next(iter(self.targets(dataset)))!r}"
                    )
            if figures.network:
                try:
                    _existing(figures.network, f"{key}.network")
                except InputError as error:
                    yield str(error)

    def pictured(self, experiment: str, dataset: str) -> tuple[str, str]:
        """Return the image of a test set that is pictured, and its part."""
        parts = self.parts(dataset)
        first = next(iter(parts.values()))[0]
        image = self.config.experiments[experiment].figures.images.get(dataset, first)
        return image, next(part for part, names in parts.items() if image in names)

    def _targets(self, dataset: str) -> dict[str, str]:
        """Return the file of each target by image name; empty strings where images come from a package."""
        settings = self.config.datasets[dataset]
        if isinstance(settings, FolderDataset):
            key = f"datasets.{dataset}.target"
            return _found(settings.target, key, settings.target_suffix, settings.exclude)
        return dict.fromkeys(settings.images, "")

    def _inputs(self, dataset: str) -> dict[str, str]:
        settings = self.config.datasets[dataset]
        if not isinstance(settings, FolderDataset) or not settings.input:
            return {}
        key = f"datasets.{dataset}.input"
        found = _found(settings.input, key, settings.input_suffix, settings.exclude, unmatched_excludes=True)
        return images.match(self.targets(dataset), found, key)

    def _predictions(self, dataset: str, model: str) -> dict[str, str]:
        """Return the file of each prediction by image name; empty where the model runs here."""
        settings = self.config.models[model]
        if not isinstance(settings, FolderModel):
            return {}
        key = f"models.{model}.path"
        pattern = settings.path.replace("{dataset}", dataset)
        extensions = images.SUFFIXES + arrays.SUFFIXES
        found = _found(pattern, key, settings.suffix, extensions=extensions)
        return images.match(self.targets(dataset), found, key)

    def shared(self, dataset: str, model: str) -> dict[str, str | None] | None:
        """Return where the predictions of a shared store are, and its digest, asking no URL; None for other models."""
        settings = self.config.models[model]
        if not isinstance(settings, StoreModel):
            return None
        location = settings.path.replace("{dataset}", dataset).rstrip("/")
        if not is_url(location) and not Path(location, ROOT).is_file():
            raise InputError(
                f"models.{model}.path: {location}/{ROOT}: no such file; mend the path, or seal the store"
            )
        return {"location": location, "digest": settings.digests.get(dataset)}

    def _prediction_shape(self, model: str, file: str) -> tuple[int, int, int]:
        settings = self.config.models[model]
        assert isinstance(settings, FolderModel)
        return arrays.shape(file, settings.array) if arrays.is_array(file) else images.shape(file)

    def network(self, model: str) -> list[str]:
        """Return the files of a network, its weights beside an ONNX graph too; empty where there is none."""
        settings = self.config.models[model]
        if isinstance(settings, PtgrmModel):
            return self.refiner_files(model)
        if isinstance(settings, DaeModel | DaepModel | DmspModel):
            return [self._weights(f"models.{model}.dae", settings.dae)]
        if not isinstance(settings, CheckpointModel | ExportedModel):
            return []
        _existing(settings.path, f"models.{model}.path")
        return [settings.path, *filter(os.path.exists, [f"{settings.path}.data"])]

    def _weights(self, key: str, weights: str) -> str:
        """Return the weights of a network: a denoising autoencoder of the package or to be trained, or a file."""
        if weights in SHIPPED_DAES:
            return SHIPPED_DAES[weights]
        if weights in self.config.denoisers:
            self.photographs(weights)
            return self.layout.denoiser(weights)
        return _existing(weights, key)

    def _photographs(self, denoiser: str) -> list[str]:
        """Return the images that a denoising autoencoder is trained on."""
        pattern = self.config.denoisers[denoiser].photographs
        return list(_found(pattern, f"denoisers.{denoiser}.photographs").values())

    def kernel(self, dataset: str) -> list[str]:
        """Return the file that holds the blur kernel of a dataset; none where it has no such file."""
        degradation = self.config.datasets[dataset].degradation
        found = kernel_files(degradation.model_dump() if degradation else None)
        return [_existing(path, f"datasets.{dataset}.degradation.kernel") for path in found]

    def files(self, found: dict[str, str], dataset: str, part: str) -> list[str]:
        """Return the files of one part's images, in order; empty where there are none."""
        return [found[name] for name in self.parts(dataset)[part] if found.get(name)]

    def _parts(self, dataset: str) -> dict[str, list[str]]:
        """Return the image names of each part, in order."""
        per_part = self.config.datasets[dataset].images_per_part
        stores = [self.layout.dataset(dataset), *sorted(glob.glob(self.layout.predictions(dataset, "*")))]
        return assign(list(self.targets(dataset)), per_part, stores)

    def _sizes(self, dataset: str) -> dict[str, tuple[int, int]]:
        """With `crop`: return the size that target, input and all folder predictions of an image share."""
        settings = self.config.datasets[dataset]
        if not isinstance(settings, FolderDataset) or not settings.crop:
            return {}
        models = sorted({m for _, used, models in self.used() if used == dataset for m in models})
        sizes = {}
        for name, path in self.targets(dataset).items():
            shapes = [images.shape(path)]
            if name in self.inputs(dataset):
                height, width, channels = images.shape(self.inputs(dataset)[name])
                shapes.append((height * settings.scale, width * settings.scale, channels))
            shapes += [
                self._prediction_shape(model, self.predictions(dataset, model)[name])
                for model in models
                if self.predictions(dataset, model)
            ]
            degraded = getattr(settings.degradation, "scale", 1)
            unit = settings.scale if self.inputs(dataset) else degraded  # whole pixels of the input
            height, width, _ = np.min(shapes, axis=0) // unit * unit
            sizes[name] = (int(height), int(width))
        return sizes

    def dataset_settings(self, dataset: str) -> dict[str, Any]:
        """Return what of a dataset's section its parts depend on."""
        return self.config.datasets[dataset].model_dump(
            mode="json",
            exclude={
                "images",
                "images_per_part",
                "target",
                "input",
                "target_suffix",
                "input_suffix",
                "exclude",
            },
        )

    def model_settings(self, model: str) -> dict[str, Any]:
        """Return what of a model's section its predictions depend on."""
        unseen = {
            "path",
            "dae",
            "suffix",
            "device",
            "batch",
            "digests",
        }  # files are inputs; how a network runs shows in no result
        settings = self.config.models[model]
        if isinstance(settings, PtgrmModel):
            return {"kind": settings.kind, **settings.seen}
        return settings.model_dump(mode="json", exclude=unseen)

    def method_settings(self, experiment: str, method: str) -> dict[str, Any]:
        """Return what of a method's section its fused images depend on."""
        settings = self.config.experiments[experiment].methods[method]
        if isinstance(settings, Ptgrm):
            return {"kind": settings.kind, **settings.seen}
        return settings.model_dump(mode="json")


def _found(pattern: str, key: str, *arguments: Any, **options: Any) -> dict[str, str]:
    """Return what `images.find` does, of paths that Snakemake can read."""
    found = images.find(pattern, key, *arguments, **options)
    for path in found.values():
        _readable(path, key)
    return found


def _existing(path: str, key: str, mend: str = "mend the path") -> str:
    """Return the path of a file that is there, and that Snakemake can read."""
    if not Path(path).is_file():
        raise InputError(f"{key}: {path}: no such file; {mend}")
    _readable(path, key)
    return path


def _readable(path: str, key: str) -> None:
    """Refuse what Snakemake takes for a wildcard or a path variable."""
    if set(path) & set("{}<>"):
        raise InputError(f"{key}: {path}: Snakemake reads no path with one of {{ }} < > in it; rename it")


def assign(names: Sequence[str], images_per_part: int, stores: Sequence[str]) -> dict[str, list[str]]:
    """Assign images to parts; parts that exist keep their images, so that appended images only make new parts.

    Parameters
    ----------
    names : list of str
        All image names of the dataset.
    images_per_part : int
    stores : list of str
        Folders whose parts are remembered: the dataset's store, then those of its predictions, for where a part of
        the dataset is gone.

    Returns
    -------
    dict
        Image names by part; a part is named by a hash of its image names.
    """
    left = set(names)
    parts = {}
    for metadata in (path for store in stores for path in sorted(Path(store).glob("*/zarr.json"))):
        if metadata.parent.name in parts:
            continue
        try:
            held = json.loads(metadata.read_text())["attributes"]["images"]
        except (ValueError, KeyError):
            continue  # damaged: it will be made anew
        if left.issuperset(held) and metadata.parent.name == part_name(held):
            parts[metadata.parent.name] = held
            left -= set(held)
    rest = sorted(left)
    for start in range(0, len(rest), images_per_part):
        held = rest[start : start + images_per_part]
        parts[part_name(held)] = held
    return dict(sorted(parts.items(), key=lambda item: item[1]))


def part_name(names: Sequence[str]) -> str:
    """Return the name of the part that holds these images."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
