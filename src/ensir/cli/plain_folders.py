"""Plain folders of images and arrays, without a workflow: fused and scored in memory; `plain_fits` fits on such.

In each function, `predictions` gives the folder of each model, by name, or a pattern with named parts or wildcards; an
image has the same name in all folders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ensir import methods
from ensir.cells import support
from ensir.cells.lut import LUT, LutMethod
from ensir.cli import fusing_by_rows
from ensir.cli.outputs import check_files, others_in
from ensir.cli.together import Reading, Together
from ensir.errors import InputError
from ensir.images import image_files, listing
from ensir.library.reading import list_images
from ensir.library.table import Lut
from ensir.storage import writing
from ensir.storage.progress import Progress

Shown = Callable[[str], AbstractContextManager[Progress]]


@dataclass(frozen=True)
class Fused:
    """What `fuse` reports.

    Attributes
    ----------
    images : int
    of_reference : list of str or None
        The images that the LUT was fitted on; None where it does not record them.
    support : Support or None
        How many values are in cells with enough, few and no reference values; None where the LUT holds no counts.
    others : list of str
        Images in the folder of the fused ones that were there before, and still are.
    """

    images: int
    of_reference: list[str] | None
    support: support.Support | None
    others: list[str]


def fuse(
    made: Path,
    predictions: dict[str, Path],
    reading: Reading,
    output: Path,
    error_map: Path | None,
    shown: Shown,
    jobs: int = 1,
) -> Fused:
    """Fuse the images of some folders by a LUT or a fit; write PNG files of the same names, rounded and clipped.

    Parameters
    ----------
    made : Path
        A LUT or a fit.
    predictions : dict
        The models that it was fitted for, in any order.
    reading : Reading
    output : Path
        Folder of the fused images.
    error_map : Path or None
        Folder of maps of the expected squared error, TIFF files of the same names: float32, in squared code values,
        NaN in cells without reference values.
    shown : callable
        Takes a few words; returns a context that yields a progress callback.
    jobs : int
        Images that are fused at a time. Each needs the memory of its predictions, as integers, and little more.

    Returns
    -------
    Fused

    Raises
    ------
    InputError
        A model or an image is missing or superfluous, images do not fit together, or errors are asked for and unknown.
    """
    lut = Lut.load(made)
    combiner, table = lut.combiner, lut.table
    _check(made, lut, predictions, error_map)
    models = table.models
    files = _listed_alike({model: predictions[model] for model in models}, reading.suffix)
    names = list(files[models[0]])
    outputs = [output / f"{name}.png" for name in names]
    outputs += [error_map / f"{name}.tif" for name in names] if error_map else []
    check_files(
        "--output, --error-map", outputs, [path for paths in files.values() for path in paths.values()]
    )
    known = [frozenset(row) for row in table.prediction_digests]
    together = Together(list(files[models[0]].values()), reading, lut.bits)
    for model in models:
        together.check_brightness(files[model].values())
    fusing = _Fusing(
        combiner,
        fusing_by_rows.halo_of(combiner, lut.method),
        models,
        files,
        known,
        output,
        error_map,
        together,
    )
    of_reference, supported = list[str](), support.Support()
    with shown("fuse") as progress, ThreadPoolExecutor(jobs) as threads:
        try:
            fused = threads.map(fusing.fuse, names)
            for done, (name, (learned, values)) in enumerate(zip(names, fused, strict=True), 1):
                of_reference += [name] if learned else []
                supported += values
                progress(done, len(names))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    together.tell(len(names))
    return Fused(
        len(names),
        of_reference if known else None,
        supported if fusing.has_counts else None,
        others_in(output, outputs),
    )


@dataclass(frozen=True)
class _Fusing:
    """What the images of some folders are fused by, and where to; see `fuse`.

    `known` holds the digests of the predictions that a LUT was fitted on, by model.
    """

    combiner: Any
    halo: int | None
    models: Sequence[str]
    files: dict[str, dict[str, str]]
    known: list[frozenset[str]]
    output: Path
    error_map: Path | None
    together: Together

    @property
    def has_counts(self) -> bool:
        """Whether the support of values is known."""
        return isinstance(self.combiner, LutMethod) and support.is_known(self.combiner.lut)

    def fuse(self, name: str) -> tuple[bool, support.Support]:
        """Fuse an image; return whether the LUT was fitted on it, and the support of its values, where it is known."""
        image, *_ = images = self.together.read([self.files[model][name] for model in self.models])
        expecting = self.error_map is not None
        result, errors = fusing_by_rows.fused(self.combiner, images, self.halo, name, expecting)
        if self.error_map and errors is not None:
            image_files.write_map(self.error_map / f"{name}.tif", np.moveaxis(errors, 0, 2))
        image_files.write(self.output / f"{name}.png", result)
        learned = any(
            writing.image_digest(writing.flatten(image)) in digests
            for image, digests in zip(images, self.known, strict=False)
        )
        if not self.has_counts:
            return learned, support.Support()
        sampled = support.sample(image.shape[0] * image.shape[1])
        x = np.stack([image.reshape(-1, image.shape[2])[sampled].T for image in images])
        return learned, support.of_values(self.combiner, x)


def _listed_alike(predictions: dict[str, Path], suffix: str) -> dict[str, dict[str, str]]:
    """List the predictions of every model, all of the same names."""
    found = list_predictions(predictions, suffix)
    parts = next((files.parts for files in found.values() if files.parts), ())
    listed = {
        model: listing.reordered(files, parts, f"--prediction {model}") for model, files in found.items()
    }
    names = {listing.in_nfc(name): "" for files in listed.values() for name in files}
    return match(names, listed, "add the files, or take those of this name out of the other folders")


def _check(made: Path, lut: Lut, predictions: dict[str, Path], error_map: Path | None) -> None:
    """Check the models, and whether errors can be expected."""
    table = lut.table
    if sorted(table.models) != sorted(predictions):
        raise InputError(
            f"{made}: was fitted for the models {', '.join(table.models)}; given: {', '.join(predictions)}"
        )
    if error_map and not isinstance(lut.combiner, methods.ExpectsErrors):
        raise InputError(f"--error-map {error_map}: {made} holds no errors; leave the option out")
    if error_map and isinstance(table, LUT) and np.isnan(table.expected_squared_error).all():
        raise InputError(f"--error-map {error_map}: {made} was imported and holds no errors; fit one")


def score(
    target: Path,
    predictions: dict[str, Path],
    reading: Reading,
    settings: dict[str, Any],
    shown: Shown,
) -> Iterator[tuple[str, str, str, float]]:
    """Score the images of some folders.

    Parameters
    ----------
    target : Path
        Folder of the targets: these images are scored, in every folder.
    predictions : dict
        Models and fused results alike.
    reading : Reading
    settings : dict
        The `score` section of an experiment, as plain data.
    shown : callable
        As in `fit`.

    Yields
    ------
    (str, str, str, float)
        Model, image, metric, value.
    """
    from ensir.stages.score import compare

    targets = list_images(target, "--target")
    together = Together(list(targets.values()), reading)
    listed = match(targets, list_predictions(predictions, reading.suffix))
    for one in (targets, *listed.values()):
        together.check_brightness(one.values())
    for model, files in listed.items():
        with shown(f"score {model}") as progress:
            for done, (name, path) in enumerate(targets.items(), 1):
                among = [path, *(others[name] for others in listed.values())]
                image, result = together.read([path, files[name]], among=among)
                values = compare(name, image, result, 8 * image.itemsize, settings)
                yield from ((model, name, metric, value) for metric, value in values.items())
                progress(done, len(targets))
    together.tell(len(targets) * len(listed))


def list_predictions(predictions: dict[str, Path], suffix: str) -> dict[str, listing.Images]:
    """List the predictions of every model: images or arrays."""
    return {
        model: list_images(folder, f"--prediction {model}", suffix) for model, folder in predictions.items()
    }


def match(
    names: dict[str, str], listed: Mapping[str, dict[str, str]], add: str = "add the files"
) -> dict[str, dict[str, str]]:
    """Return the predictions of every model, one for each name."""
    return {
        model: listing.match(names, files, f"--prediction {model}", add, "rename the files")
        for model, files in listed.items()
    }
