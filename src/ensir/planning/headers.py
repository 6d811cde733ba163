"""Sizes, channels and depths of image files, from their headers: what does not match is reported before a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from ensir.errors import InputError
from ensir.images import image_files
from ensir.images.codes import Header
from ensir.images.cropping import BORDER
from ensir.networks import examples
from ensir.planning.plan import Plan

if TYPE_CHECKING:
    from ensir.datasets import Dataset
    from ensir.restorers import RestorerModel

log = logging.getLogger(__name__)
MOST_IMAGES = 10_000  # whose headers are read; with more images, every second, third, … is
SOME = 16  # files of a model that are looked at for losses
THREADS = 8  # which wait for the disk or the network


class Headers:
    """The headers of all files of a plan, each read once.

    Parameters
    ----------
    plan : Plan

    Attributes
    ----------
    sizes : dict
        Sizes (height, width) of the targets that were read, by dataset.
    values : dict
        Mean number of values of these, height × width × channels, by dataset; without datasets of which none was read.
    kinds : dict
        Channels and bits of the images, by dataset; without datasets whose images differ in these.
    images : int
        Number of images.
    step : int
        One in this many images is read.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.models: dict[str, list[str]] = {}
        for _, dataset, models in plan.used():
            listed = self.models.setdefault(dataset, [])
            listed += [model for model in models if model not in listed]
        self.targets = {dataset: _files(partial(plan.targets, dataset)) for dataset in self.models}
        self.images = sum(map(len, self.targets.values()))
        self.step = max(1, -(-self.images // MOST_IMAGES))
        self.sizes: dict[str, set[tuple[int, int]]] = {dataset: set() for dataset in self.models}
        self.values: dict[str, float] = {}
        self.kinds: dict[str, Header] = {}
        self.deep: set[str] = set()

    def width(self, dataset: str) -> int:
        """Return the bytes of a value: 1 of 8-bit images, and of those without headers, else 2."""
        return 2 if dataset in self.deep else 1

    def problems(self) -> Iterator[str]:
        """Yield a line for every kind of mistake in a dataset or in the predictions for it."""
        for dataset in self.models:
            try:
                self.plan.index(dataset)
                cropped = self.plan.sizes(dataset)
            except InputError:  # reported by the plan
                continue
            mistakes: dict[str, tuple[str, int]] = {}  # the first of a kind, and how many there are
            checked = _Checked(self.plan, dataset, self.models[dataset], cropped)
            names = [name for name, file in checked.targets.items() if file or name in checked.known][
                :: self.step
            ]
            kinds: dict[tuple[int, int], str] = {}
            values = []
            with ThreadPoolExecutor(THREADS) as pool:
                for name, (header, lines) in zip(names, pool.map(checked.image, names), strict=True):
                    for kind, line in lines:
                        first, count = mistakes.get(kind, (line, 0))
                        mistakes[kind] = (first, count + 1)
                    if header:
                        self.sizes[dataset].add((header.height, header.width))
                        values.append(header.height * header.width * header.channels)
                        if header.bits:
                            kinds.setdefault((header.channels, header.bits), checked.targets[name])
            checked.tell_of_missing_targets()
            for model, files in checked.predictions.items():
                _tell_of_loss(model, list(files.values()))
            if not mistakes:
                yield from checked.too_dark()
            if values:
                self.values[dataset] = sum(values) / len(values)
            if len(kinds) == 1:
                self.kinds[dataset] = Header(0, 0, *next(iter(kinds)))
            if any(bits > 8 for _, bits in kinds):
                self.deep.add(dataset)
            for line, count in mistakes.values():
                yield line if count == 1 else f"{line} ({count} of {len(names)} images)"
            if len(kinds) > 1:
                (a, one), (b, other) = list(kinds.items())[:2]
                fix = (
                    "or split the dataset in two"
                    if a[1] != b[1]
                    else "or set `grey: replicate`, and the grey ones get three equal channels"
                )
                yield (
                    f"datasets.{dataset}.{checked.field}: {one} has {a[0]} channels of {a[1]} bits, {other} {b[0]} of "
                    f"{b[1]}; a dataset holds images of one kind: convert them, {fix}"
                )

    def unlike(self) -> Iterator[str]:
        """Yield a line for every method that cannot fuse a test set, whose images are unlike those of the reference."""
        for name, experiment in self.plan.config.experiments.items():
            reference = self.kinds.get(experiment.reference)
            for test in experiment.tests:
                for method, section in experiment.methods.items():
                    try:
                        if reference and test in self.kinds:
                            section.check_images(reference, self.kinds[test])
                    except InputError as error:
                        yield f"experiments.{name}.methods.{method}: {experiment.reference} → {test}: {error}"


class _Checked:
    """The files of one dataset: its targets, their inputs and their predictions; without targets, inputs alone.

    Parameters
    ----------
    plan : Plan
    dataset : str
    models : list of str
        The models that are used on it.
    cropped : dict
        The size that each target is cropped to; empty without `common_crop`.
    """

    def __init__(self, plan: Plan, dataset: str, models: list[str], cropped: dict[str, tuple[int, int]]):
        self.settings, self.cropped = plan.config.datasets[dataset], cropped
        self.key, self.replicates = f"datasets.{dataset}", plan.replicates(dataset)
        experiments = plan.config.experiments.items()
        self.scores = {name: section.score for name, section in experiments if dataset in plan.scored(name)}
        self.targets = _files(partial(plan.targets, dataset))
        self.inputs = _files(partial(plan.inputs, dataset))
        self.known, self.scale = plan.headers(dataset), plan.input_scale(dataset)
        self.called, self.field, self.enlarged = "target", self.settings.named_by, 1
        if not plan.has_targets(dataset) and not self.known:
            self.targets, self.inputs = self.inputs, {}
            self.called, self.field, self.enlarged = "input", "input", self.scale
        if not self.known:
            drawn = {name: self.settings.drawn(name) for name, file in self.targets.items() if not file}
            self.known = {name: header for name, header in drawn.items() if header}
        self.trainings = {
            f"{refinement.key}.training.patch": training.patch
            for refinement in plan.networks.refiners().values()
            if (training := refinement.settings.training) and training.dataset == dataset
        }
        self.sections = {model: plan.config.models[model] for model in models}
        self.predictions = {model: _files(partial(plan.predictions, dataset, model)) for model in models}

    def image(self, name: str) -> tuple[Header | None, list[tuple[str, str]]]:
        """Return the header of a target, and what is wrong with it or its files: the kind of mistake, and a line."""
        lines: list[tuple[str, str]] = []
        file, key = self.targets[name] or f"image {name!r}", f"{self.key}.{self.field}"
        target = self.known.get(name) or self._read(self.settings.header, file, key, lines)
        if target is None:
            return None, lines
        if self.called == "input":
            target = target._replace(height=target.height * self.enlarged, width=target.width * self.enlarged)
        size = self.cropped.get(name, target[:2])
        if self.cropped:
            lines += _border(key, file, target, size)
        elif not self.inputs and self.called == "target":
            unit = self.scale  # inputs are made of whole pixels
            size = (size[0] // unit * unit, size[1] // unit * unit)
        lines += self._too_small(file, size)
        if name in self.inputs:
            lines += self._input(name, target, size)
        for model, section in self.sections.items():
            if name in self.predictions[model]:
                key, made = f"models.{model}.path", self.predictions[model][name]
                if prediction := self._read(section.header, made, key, lines):
                    lines += self._prediction(key, made, prediction, file, target, size)
        return target, lines

    def _read(
        self, header: Callable[[str], Header], file: str, key: str, lines: list[tuple[str, str]]
    ) -> Header | None:
        """Return the header of an image as it is stored; None where it cannot be read, which is added to the lines."""
        try:
            found = header(file)
        except InputError as error:
            lines.append((f"{key} file", f"{key}: {error}"))
            return None
        return found._replace(channels=3) if found.channels == 1 and self.replicates else found

    def too_dark(self) -> Iterator[str]:
        """Yield a line for targets, inputs, and the predictions of each model, that are all hardly in their range."""
        sets: list[tuple[str, Dataset | RestorerModel, dict[str, str]]] = [
            (f"{self.key}.{self.called}", self.settings, self.targets),
            (f"{self.key}.input", self.settings, self.inputs),
            *(
                (f"models.{model}.path", self.sections[model], files)
                for model, files in self.predictions.items()
            ),
        ]
        for key, section, listed in sets:
            try:
                section.check_brightness([file for file in listed.values() if file])
            except InputError as error:
                yield f"{key}: {error}"

    def _too_small(self, file: str, size: tuple[int, int]) -> Iterator[tuple[str, str]]:
        """Check that every metric can measure what the crop of the scores leaves of a target."""
        left_out = " `exclude` the image," if hasattr(self.settings, "exclude") else ""
        for key, patch in self.trainings.items():
            try:
                examples.check_size(file, size, patch)
            except InputError as error:
                yield key, f"{key}: {error}"
        if min(size) < 1:
            yield (
                f"{self.key} scale",
                (
                    f"{self.key}.{self.field}: {file} is smaller than the scale, {self.scale}, and nothing is left;"
                    f"{left_out} or lower the scale"
                ),
            )
            return
        for experiment, score in self.scores.items():
            for name, metric in score.metrics.items():
                if min(size) - 2 * score.crop < metric.smallest:
                    yield (
                        f"{self.key} {experiment} {name}",
                        f"{self.key}.{self.field}: {file} is {size[1]}×{size[0]}, and with a crop of {score.crop} "
                        f"too small for metric {name} of experiment {experiment}, which needs "
                        f"{metric.smallest}×{metric.smallest} pixels; lower `score.crop`,{left_out} or "
                        "leave the metric out of `score.metrics`",
                    )

    def _input(self, name: str, target: Header, size: tuple[int, int]) -> Iterator[tuple[str, str]]:
        key, file, scale = f"{self.key}.input", self.inputs[name], self.scale
        lines: list[tuple[str, str]] = []
        header = self._read(self.settings.header, file, key, lines)
        yield from lines
        if header is None:
            return
        if self.cropped:
            yield from _border(key, file, header, (size[0] // scale, size[1] // scale))
        elif target[:2] != (header.height * scale, header.width * scale):
            yield (
                f"{key} size",
                f"{key}: {file} is {_size(header)}, its target {self.targets[name]} {_size(target)}, and `scale` is "
                f"{scale}; fix `scale` or the files, or set `common_crop`",
            )
        yield from _kind(key, file, header, f"target {self.targets[name]}", target)

    def _prediction(
        self, key: str, file: str, header: Header, target_file: str, target: Header, size: tuple[int, int]
    ) -> Iterator[tuple[str, str]]:
        if self.cropped:
            yield from _border(key, file, header, size)
        elif header[:2] != size:
            yield (
                f"{key} size",
                f"{key}: {file} is {_size(header)}, its {self.called} {target_file} {size[1]}×{size[0]}"
                f"{f' when enlarged by `scale`, {self.enlarged}' if self.enlarged > 1 else ''}; fix the prediction, "
                f"or set `common_crop` in {self.key} where a few border pixels are missing",
            )
        yield from _kind(key, file, header, f"{self.called} {target_file}", target)

    def tell_of_missing_targets(self) -> None:
        """Warn where inputs and all predictions are of a few more images than targets, which no key leaves out."""
        pattern, exclude = (getattr(self.settings, name, None) for name in ("target", "exclude"))
        if not pattern or exclude or getattr(self.targets, "limited", False):
            return
        spare = [
            set(getattr(files, "unmatched", ()))
            for files in (self.inputs, *self.predictions.values())
            if files
        ]
        missing = sorted(set.intersection(*spare)) if spare else []
        if 0 < len(missing) <= len(self.targets):
            log.warning(
                "%s.target: no file for %r%s, though there are inputs or predictions: not in the dataset; add the "
                "files, unless this is intended",
                self.key,
                missing[0],
                f" and {len(missing) - 1} more" if len(missing) > 1 else "",
            )


def _files(listed: Callable[[], dict[str, str]]) -> dict[str, str]:
    """Return files by name; empty where they cannot be listed, which the plan reports."""
    try:
        return listed()
    except InputError:
        return {}


def _tell_of_loss(model: str, files: list[str]) -> None:
    """Warn where predictions are in lossy files, of which some are looked at."""
    for file in files[:: max(1, len(files) // SOME)]:
        with suppress(InputError):  # reported elsewhere
            if image_files.is_lossy(file):
                log.warning(
                    "models.%s.path: %s is of a lossy format: what is fused and scored is what the file has kept of "
                    "the prediction; save it as PNG, unless this is intended",
                    model,
                    file,
                )
                return


def _size(header: Header) -> str:
    return f"{header.width}×{header.height}"


def _border(key: str, file: str, header: Header, size: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """Check that only a border is cropped."""
    if max(header.height - size[0], header.width - size[1]) > BORDER:
        yield (
            f"{key} border",
            f"{key}: {file} is {_size(header)}, cropped to {size[1]}×{size[0]}, but only a border of up to "
            f"{BORDER} pixels is cropped; fix the smaller files",
        )


def _kind(key: str, file: str, header: Header, other: str, target: Header) -> Iterator[tuple[str, str]]:
    """Check that a file has the channels and the depth of another, which is its target or its input."""
    if header.channels != target.channels:
        yield (
            f"{key} channels",
            f"{key}: {file} has {header.channels} channels, its {other} {target.channels}; convert one of them",
        )
    if header.bits and target.bits and header.bits != target.bits:
        yield (
            f"{key} bits",
            f"{key}: {file} has {header.bits} bits, its {other} {target.bits}; convert one of them",
        )
