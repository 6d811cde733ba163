"""Plain folders of images and arrays, without a workflow: the same stages, on temporary stores or in memory.

In each function, `predictions` gives the folder of each model, by name, or a pattern with named parts or wildcards; an
image has the same name in all folders.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from ensir.cli.outputs import check_files
from ensir.config.schema import Experiment
from ensir.datasets.folder import FolderDataset
from ensir.errors import InputError
from ensir.images import array_files, image_files, listing
from ensir.images.depth import to_integers
from ensir.planning.parts import assign
from ensir.restorers.folder import FolderModel
from ensir.storage import packing, reading, writing
from ensir.storage.atomic import replaced
from ensir.storage.layout import Layout
from ensir.storage.progress import Progress

if TYPE_CHECKING:
    from jaxtyping import Shaped

    from ensir.cells.support import Support

Shown = Callable[[str], AbstractContextManager[Progress]]
REFERENCE = "reference"


def fit(
    lut: Path,
    target: Path,
    predictions: dict[str, Path],
    suffix: str,
    method: str,
    options: dict[str, Any],
    shown: Shown,
) -> None:
    """Fit a LUT: ingest, predict, partition, estimate and merge in a temporary results folder.

    Parameters
    ----------
    lut : Path
        The file to write.
    target : Path
        Folder of the reference targets.
    predictions : dict
    suffix : str
        End of the file stems of predictions that is not part of the image name.
    method : str
        Kind of the method: one that needs a LUT.
    options : dict
        Options of the method that differ from their defaults.
    shown : callable
        Takes a few words; returns a context that yields a progress callback.

    Raises
    ------
    InputError
        Files or options do not fit together, or the targets are the predictions of a model.
    """
    from ensir.stages.estimate import estimate
    from ensir.stages.merge import merge
    from ensir.stages.partition import partition

    models = list(predictions)
    section = _experiment(models, method, options).methods[method]
    assert section.statistics is not None
    targets = _list(target, "--target")
    files = _matched(targets, _listed(predictions, suffix))
    with tempfile.TemporaryDirectory(prefix="ensir-") as root:
        layout = Layout(root)
        parts = _stored(layout, target, targets, files, shown)
        _check_targets(models, parts, len(targets))
        statistics = layout.statistics("fit", section.statistics.name)
        with shown("partition") as progress:
            partition(
                layout.place(statistics),
                statistics=section.statistics.module,
                settings=section.counted([section]),
                reference=str(target),
                models=models,
                parts=parts,
                dask={"scheduler": "threads"},
                progress=progress,
            )
        weights = layout.weights("fit", method, 0)
        with shown("estimate") as progress:
            estimate(layout.place(weights), statistics, section.traced, 0, 1, "auto", progress)
        made = layout.lut("fit", method)
        merge(layout.place(made), method, section.traced, statistics, [weights])
        with replaced(lut) as partial:
            shutil.copyfile(made, partial)


def _check_targets(models: list[str], parts: list[tuple[str, list[str]]], images: int) -> None:
    """Raise an InputError where all targets are the predictions of a model, bit for bit."""
    from ensir.stages.partition import restored_perfectly

    for i, model in enumerate(models):
        same = [
            name
            for target, predicted in parts
            for name in restored_perfectly(reading.Part(target), reading.Part(predicted[i]))
        ]
        if len(same) == images:
            raise InputError(
                f"image {same[0]!r}: the target is the prediction of model {model} bit for bit, as for all {images} "
                "images; is --target right?"
            )


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
    """

    images: int
    of_reference: list[str] | None
    support: Support | None


def fuse(
    lut: Path, predictions: dict[str, Path], suffix: str, output: Path, error_map: Path | None, shown: Shown
) -> Fused:
    """Fuse the images of some folders by a LUT; write PNG files of the same names, rounded and clipped.

    Parameters
    ----------
    lut : Path
    predictions : dict
        The models of the LUT, in any order.
    suffix : str
        As in `fit`.
    output : Path
        Folder of the fused images.
    error_map : Path or None
        Folder of maps of the expected squared error, TIFF files of the same names: float32, in squared code values,
        NaN in cells without reference values.
    shown : callable
        As in `fit`.

    Returns
    -------
    Fused

    Raises
    ------
    InputError
        A model or an image is missing or superfluous, images do not fit together, or the LUT holds no errors.
    """
    from ensir.cells import support
    from ensir.cells.lut import LutMethod

    combiner = LutMethod({}, str(lut))
    models = combiner.lut.models
    if sorted(models) != sorted(predictions):
        raise InputError(
            f"{lut}: was fitted for the models {', '.join(models)}; given: {', '.join(predictions)}"
        )
    if error_map and np.isnan(combiner.lut.expected_squared_error).all():
        raise InputError(f"--error-map {error_map}: {lut} was imported and holds no errors; fit one")
    found = _listed({model: predictions[model] for model in models}, suffix)
    parts = next((files.parts for files in found.values() if files.parts), ())
    listed = {
        model: listing.reordered(files, parts, f"--prediction {model}") for model, files in found.items()
    }
    names = {listing.in_nfc(name): "" for files in listed.values() for name in files}
    files = _matched(names, listed, "add the files, or take those of this name out of the other folders")
    outputs = [output / f"{name}.png" for name in names]
    outputs += [error_map / f"{name}.tif" for name in names] if error_map else []
    check_files(
        "--output, --error-map", outputs, [path for paths in files.values() for path in paths.values()]
    )
    known = [frozenset(row) for row in combiner.lut.prediction_digests]
    of_reference, supported = [], support.Support() if support.is_known(combiner.lut) else None
    with shown("fuse") as progress:
        for done, name in enumerate(names, 1):
            first, *others = (files[model][name] for model in models)
            image = _read(first)
            x = np.stack(
                [
                    writing.flatten(image),
                    *(writing.flatten(_read_like(image, first, path)) for path in others),
                ]
            )
            fused, expected = combiner.fuse_with_error(x)
            fused = packing.as_stored(fused, 8 * image.itemsize)
            fused, expected = (rows.T.reshape(image.shape) for rows in (fused, expected))
            if error_map:
                image_files.write_map(error_map / f"{name}.tif", expected)
            image_files.write(output / f"{name}.png", to_integers(fused, image.dtype, name))
            if any(writing.image_digest(row) in digests for row, digests in zip(x, known, strict=False)):
                of_reference.append(name)
            if supported is not None:
                supported += support.of_sample(combiner, x)
            progress(done, len(names))
    return Fused(len(names), of_reference if known else None, supported)


def score(
    target: Path, predictions: dict[str, Path], suffix: str, settings: dict[str, Any], shown: Shown
) -> Iterator[tuple[str, str, str, float]]:
    """Score the images of some folders.

    Parameters
    ----------
    target : Path
        Folder of the targets: these images are scored, in every folder.
    predictions : dict
        Models and fused results alike.
    suffix : str
        As in `fit`.
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

    targets = _list(target, "--target")
    for model, files in _matched(targets, _listed(predictions, suffix)).items():
        with shown(f"score {model}") as progress:
            for done, (name, path) in enumerate(targets.items(), 1):
                image = image_files.read(path)
                result = _read_like(image, path, files[name])
                values = compare(name, image, result, 8 * image.itemsize, settings)
                yield from ((model, name, metric, value) for metric, value in values.items())
                progress(done, len(targets))


def _experiment(models: list[str], method: str, options: dict[str, Any]) -> Experiment:
    """Check names and options, as the workflow does."""
    try:
        return Experiment.model_validate(
            {"models": models, "reference": REFERENCE, "tests": [REFERENCE], "methods": {method: options}}
        )
    except ValidationError as error:
        what = error.errors(include_url=False)[0]
        if what["loc"][0] == "models":
            if len(models) < 2:
                raise InputError(f"--prediction {models[0]}: is one model; give two or more") from None
            raise InputError(
                f"--prediction {what['input']}: the name of a model is made of letters, digits, _ and -"
            ) from None
        named = [f"--{step}".replace("_", "-") for step in what["loc"] if step in options]
        if what["type"] == "extra_forbidden":
            raise InputError(f"{named[-1]}: method {method} has no such option") from None
        key = named[-1] if named else what["loc"][-1]
        raise InputError(f"{key}: {what['msg']}, not {what['input']!r}") from None


def _stored(
    layout: Layout,
    target: Path,
    targets: dict[str, str],
    files: dict[str, dict[str, str]],
    shown: Shown,
) -> list[tuple[str, list[str]]]:
    """Write targets and predictions into stores; return each part of the targets, and those of the predictions."""
    from ensir.stages.ingest import ingest
    from ensir.stages.predict import predict

    dataset = FolderDataset(kind="folder", target=str(target))
    model = FolderModel(kind="folder", path="").traced
    store = layout.dataset(REFERENCE)
    parts = []
    for part, names in assign(list(targets), dataset.images_per_part, [store]).items():
        path = layout.part(store, part)
        paths = [targets[name] for name in names]
        with shown("read targets") as progress:
            ingest(layout.place(path), REFERENCE, names, dataset.traced, paths, [], None, progress)
        predicted = []
        for name, listed in files.items():
            predicted.append(layout.part(layout.predictions(REFERENCE, name), part))
            paths = [listed[image] for image in names]
            with shown(f"read {name}") as progress:
                place = layout.place(predicted[-1])
                predict(place, path, layout.digest(path), name, model, paths, None, progress)
        parts.append((path, predicted))
    return parts


def is_pattern(path: Path) -> bool:
    """Return whether a path is no folder, but a pattern with named parts or wildcards."""
    return not path.is_dir() and bool(set(str(path)) & set("{*?["))


def _list(
    folder: Path, option: str, suffix: str = "", extensions: tuple[str, ...] = listing.SUFFIXES
) -> listing.Images:
    """List the images of a folder, and of the folders in it, by name; or those of a pattern."""
    if is_pattern(folder):
        return listing.find(str(folder), option, suffix, extensions=extensions)
    if not folder.is_dir():
        raise InputError(f"{option}: no folder {folder}")
    return listing.find("**/*", option, suffix, extensions=extensions, folder=str(folder))


def _listed(predictions: dict[str, Path], suffix: str) -> dict[str, listing.Images]:
    """List the predictions of every model: images or arrays."""
    extensions = listing.SUFFIXES + array_files.SUFFIXES
    return {
        model: _list(folder, f"--prediction {model}", suffix, extensions)
        for model, folder in predictions.items()
    }


def _matched(
    names: dict[str, str], listed: Mapping[str, dict[str, str]], add: str = "add the files"
) -> dict[str, dict[str, str]]:
    """Return the predictions of every model, one for each name."""
    return {
        model: listing.match(names, files, f"--prediction {model}", add, "rename the files")
        for model, files in listed.items()
    }


def _read_like(
    image: Shaped[np.ndarray, "height width channel"], path: str, other: str
) -> Shaped[np.ndarray, "height width channel"]:
    """Read an image that must have the size, channels and depth of another one."""
    read = _read(other)
    if (read.shape, read.dtype) != (image.shape, image.dtype):
        raise InputError(
            f"{other}: is {_described(read)}, but {path} is {_described(image)}; images of one name must fit together"
        )
    return read


def _read(path: str) -> Shaped[np.ndarray, "height width channel"]:
    """Read an image, or an array of integers."""
    if not array_files.is_array(path):
        return image_files.read(path)
    image = array_files.read(path, None)
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{path}: holds {image.dtype}, whose black and white are not known; write uint8 or uint16, or declare "
            "`value_range` in a configuration"
        )
    return image


def _described(image: np.ndarray) -> str:
    height, width, channels = image.shape
    return f"{width}×{height} with {channels} channels of {8 * image.itemsize} bit"
