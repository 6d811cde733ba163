"""Statistics of a reference: counted image by image, and added up in any order."""

from __future__ import annotations

import importlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ensir.errors import InputError
from ensir.library import options
from ensir.library.arrays import Image, Images, images
from ensir.library.meaning import Brightness, Meaning
from ensir.stages.partition import fold_of, model_digest, warn_of_perfect
from ensir.storage.progress import Progress

Settings = dict[str, tuple[str, dict[str, Any]]]  # module and settings of statistics, by their name


@dataclass(frozen=True)
class Counted:
    """An image that statistics are of: its name, and the digests of its target and of its predictions."""

    name: str
    digest: str
    predictions: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Statistics:
    """What methods are fitted to: sums over the values of a reference, which add up (`a + b`), in any order.

    They take the memory of the cells that occur, not of the images. `ensir.count` makes them.

    Attributes
    ----------
    models : tuple of str
        Names of the models.
    bits : int
        8 or 16.
    channels : int
    images : tuple of Counted
        The images that were counted, sorted by name.
    settings : dict
        Module and settings of what was counted, by name.
    sums : dict
        What was counted, by name, fold by fold.
    brightness : Brightness
        How bright the images are, which tells whether they are in the range that they seem to be in.
    """

    models: tuple[str, ...]
    bits: int
    channels: int
    images: tuple[Counted, ...]
    settings: Settings
    sums: dict[str, Any]
    brightness: Brightness = field(default_factory=Brightness)

    def __add__(self, other: Statistics) -> Statistics:
        """Add up the statistics of different images of the same models.

        Raises
        ------
        InputError
            They are of other models, depths or channels, were counted otherwise, or share an image.
        """
        if not isinstance(other, Statistics):
            return NotImplemented
        for what in ("models", "bits", "channels", "settings"):
            if getattr(self, what) != getattr(other, what):
                raise InputError(
                    f"statistics of different {what} do not add up: {getattr(self, what)}, {getattr(other, what)}"
                )
        names = {image.name for image in self.images}
        if twice := [image.name for image in other.images if image.name in names]:
            raise InputError(
                f"image {twice[0]!r} is counted twice; leave it out, or, if these are different images, name them apart"
            )
        together = sorted((*self.images, *other.images), key=lambda image: image.name)
        folds = fold_of([image.name for image in together])
        pieces = [self._in_folds(folds), other._in_folds(folds)]
        sums = {
            name: importlib.import_module(module).total([piece[name] for piece in pieces])
            for name, (module, _) in self.settings.items()
        }
        brightness = self.brightness + other.brightness
        return replace(self, images=tuple(together), sums=sums, brightness=brightness)

    def __radd__(self, other: object) -> Statistics:
        """Let `sum` begin with 0."""
        return self if other == 0 else NotImplemented

    def __repr__(self) -> str:
        counted = ", ".join(self.sums)
        return f"<Statistics of {len(self.images)} images and {len(self.models)} models: {counted}>"

    def _in_folds(self, folds: dict[str, int]) -> dict[str, Any]:
        """Return the sums in the folds of a larger reference."""
        own = fold_of([image.name for image in self.images])
        number = np.zeros(max(own.values()) + 1, np.int64)
        for name, fold in own.items():
            number[fold] = folds[name]
        return {
            name: replace(sums, fold=number[sums.fold]) if hasattr(sums, "fold") else sums
            for name, sums in self.sums.items()
        }

    def reference(self, name: str) -> dict[str, Any]:
        """Return what stores of statistics tell of a reference with this name."""
        names = [image.name for image in self.images]
        predictions = [image.predictions for image in self.images]
        return {
            "reference": name,
            "image": names,
            "digest": [image.digest for image in self.images],
            "prediction_digests": [" ".join(digests) for digests in predictions],
            "model_digests": [
                model_digest(dict(zip(names, digests, strict=True)))
                for digests in zip(*predictions, strict=True)
            ],
        }

    def check_targets(self, reference: str) -> None:
        """Raise an InputError where all targets are the predictions of a model, bit for bit; warn of some."""
        perfect = {
            model: [image.name for image in self.images if image.predictions[m] == image.digest]
            for m, model in enumerate(self.models)
        }
        for model, names in perfect.items():
            if len(names) == len(self.images):
                raise InputError(
                    f"image {names[0]!r}: the target is the prediction of model {model} bit for bit, as for all "
                    f"{len(names)} images; are the targets right?"
                )
        warn_of_perfect(perfect, len(self.images), reference)


def count(
    x: Images,
    y: Any = None,
    *,
    method: str = "ensir",
    models: Sequence[str] | None = None,
    names: Iterable[str] | None = None,
    value_range: tuple[float, float] | None = None,
    bits: int | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Statistics:
    """Count what a method is fitted to: for references that come piece by piece.

    Parameters
    ----------
    x, y, method, models, names, value_range, bits
        As for `ensir.fit`. Names tell the images apart that are held out in turn; without, digests are their names.
    progress : callable, optional
        Called with the number of images that were counted, and of all (so far, where that is not known).
    **settings
        Options of the method.

    Returns
    -------
    Statistics
        `a + b` adds those of other images; `ensir.fit` and `ensir.select` take the sum. A method takes what was counted
        for another one, if the other's bins are as fine.

    Raises
    ------
    InputError
        Arrays do not fit together, what they mean is not known, or an option is wrong.

    Examples
    --------
    >>> total = sum(ensir.count(x, y, method="least_squares") for x, y in batches)  # doctest: +SKIP
    """
    if isinstance(models, str) or not (models is None or isinstance(models, Iterable)):
        raise InputError(f"models: is {models!r}; give a list of names")
    models = None if models is None else [str(model) for model in models]
    found = images(x, y, names, Meaning(value_range, bits), models)
    first = next(found, None)
    if first is None:
        raise InputError("x and y: hold no image")
    models = [f"model_{m}" for m in range(len(first.x))] if first.models is None else list(first.models)
    if len(models) != len(first.x) or len(set(models)) != len(models):
        raise InputError(f"models: {models} are not the names of {len(first.x)} models")
    of_method = options.counted(method, options.section(method, settings, models))
    total = len(y) if hasattr(y, "__len__") and not hasattr(y, "dtype") else None
    return counted(first, found, models, of_method, total, progress or (lambda done, total: None))


def counted(
    first: Image,
    others: Iterator[Image],
    models: Sequence[str],
    settings: Settings,
    total: int | None,
    progress: Progress,
) -> Statistics:
    """Count images, several at a time; they are added up in a tree, so that nothing is added often."""
    threads = os.cpu_count() or 1
    tree: list[tuple[int, Statistics]] = []
    waiting: deque[Future[Statistics]] = deque()
    done = 0

    def take() -> None:
        nonlocal done
        level, piece = 0, waiting.popleft().result()
        while tree and tree[-1][0] == level:
            piece = tree.pop()[1] + piece
            level += 1
        tree.append((level, piece))
        done += 1
        progress(done, max(total or 0, done))

    with ThreadPoolExecutor(threads) as pool:  # the kernels work outside Python's lock
        for image in _chained(first, others, models):
            waiting.append(pool.submit(_of_image, image, models, settings))
            if len(waiting) > threads:
                take()
        while waiting:
            take()
    result = tree.pop()[1]
    while tree:
        result = tree.pop()[1] + result
    return result


def _chained(first: Image, others: Iterator[Image], models: Sequence[str]) -> Iterator[Image]:
    """Yield all images, if they are of one kind."""
    kind = first.x.dtype, len(first.y), len(models)
    yield first
    for image in others:
        if (image.x.dtype, len(image.y), len(image.x)) != kind:
            raise InputError(
                f"image {image.name!r}: has {len(image.x)} models and {len(image.y)} channels of {image.x.dtype}, "
                f"those before {kind[2]} models and {kind[1]} channels of {kind[0]}; convert one of them"
            )
        yield image


def _of_image(image: Image, models: Sequence[str], settings: Settings) -> Statistics:
    """Count one image."""
    bits, channels = 8 * image.y.itemsize, len(image.y)
    sums = {}
    for name, (module, how) in settings.items():
        kind: Any = importlib.import_module(module)
        counter = kind.counter(list(models), bits, channels, how)
        if not kind.HALO:
            counter.add(list(image.x.reshape(len(models), channels, -1)), image.y.reshape(channels, -1), 0)
        elif image.y.ndim == 3:
            counter.add(list(image.x), image.y, 0, rows=slice(0, image.y.shape[1]))
        else:
            raise InputError(
                f"image {image.name!r}: is a run of pixels, but {name} are counted by the neighbours of each; give "
                "(model, channel, height, width)"
            )
        sums[name] = counter.statistics()
    record = Counted(image.name, image.digest, tuple(image.prediction_digests))
    return Statistics(tuple(models), bits, channels, (record,), settings, sums, image.brightness)


def needed(found: Statistics, method: str, settings: Settings) -> dict[str, Any]:
    """Return the sums that a method is fitted to.

    Raises
    ------
    InputError
        They were not counted, or with bins that do not make up those of the method.
    """
    for name, (module, how) in settings.items():
        has, counted_how = found.settings.get(name, (None, {}))
        finer = (
            how.keys() == counted_how.keys() == {"bin_width"}
            and not how["bin_width"] % counted_how["bin_width"]
        )
        if has != module or not (how == counted_how or finer):
            told = f" with {how}" if how else ""
            raise InputError(
                f"method {method} needs the statistics {name!r}{told}; counted were "
                f"{ {one: counted for one, (_, counted) in found.settings.items()} }; count them for this method"
            )
    return {name: found.sums[name] for name in settings}
