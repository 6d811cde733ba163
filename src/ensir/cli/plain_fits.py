"""Fitting on plain folders of images and arrays, without a workflow: the same stages, on temporary stores."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ensir import methods, registry
from ensir.cli.plain_folders import Shown, list_images, list_predictions, match
from ensir.config.schema import Experiment
from ensir.datasets.folder import FolderDataset
from ensir.errors import InputError
from ensir.planning.parts import assign
from ensir.restorers.folder import FolderModel
from ensir.storage import fits, reading
from ensir.storage.atomic import replaced
from ensir.storage.layout import Layout, Place
from ensir.storage.progress import Progress

REFERENCE = "reference"


def fit(
    output: Path,
    target: Path,
    predictions: dict[str, Path],
    suffix: str,
    method: str,
    options: dict[str, Any],
    shown: Shown,
) -> None:
    """Fit a method: ingest, predict, partition, then estimate and merge, or fit, in a temporary results folder.

    Parameters
    ----------
    output : Path
        The file to write: a LUT, or a fit.
    target : Path
        Folder of the reference targets.
    predictions : dict
    suffix : str
        End of the file stems of predictions that is not part of the image name.
    method : str
        Kind of the method: one that is made of statistics.
    options : dict
        Options of the method that differ from their defaults.
    shown : callable
        Takes a few words; returns a context that yields a progress callback.

    Raises
    ------
    InputError
        Files or options do not fit together, or the targets are the predictions of a model.
    """
    from ensir.stages.partition import partition

    models = list(predictions)
    sections = _experiment(models, method, options).methods
    section = sections.pop(method)
    candidates = sections if section.chooses else {method: section}
    targets = list_images(target, "--target")
    files = match(targets, list_predictions(predictions, suffix))
    with tempfile.TemporaryDirectory(prefix="ensir-") as root:
        layout = Layout(root)
        parts = _stored(layout, target, targets, files, shown)
        _check_targets(models, parts, len(targets))
        for name, (module, counted) in methods.statistics_of(candidates.values()).items():
            with shown(f"partition: {name}") as progress:
                partition(
                    layout.place(layout.statistics("fit", name)),
                    statistics=module,
                    settings=counted,
                    reference=str(target),
                    models=models,
                    parts=parts,
                    dask={"scheduler": "threads"},
                    progress=progress,
                )
        sources = {
            name: (other.traced, other.statistics.module, layout.statistics("fit", other.statistics.name))
            for name, other in candidates.items()
            if other.statistics
        }
        with shown("estimate" if section.made == "lut" else "fit") as progress:
            if section.made == "lut":
                made = _estimated(layout, method, section.traced, sources[method][2], progress)
            else:
                source = sources if section.chooses else sources[method][1:]
                made = _fitted(layout, method, section.traced, str(target), models, source, progress)
        with replaced(output) as partial:
            shutil.copyfile(made, partial)


def _estimated(
    layout: Layout, method: str, settings: dict[str, Any], statistics: str, progress: Progress
) -> str:
    """Make a LUT; return where it is."""
    from ensir.stages.estimate import estimate
    from ensir.stages.merge import merge

    weights, made = layout.weights("fit", method, 0), layout.lut("fit", method)
    estimate(layout.place(weights), statistics, settings, 0, 1, "auto", progress)
    merge(layout.place(made), method, settings, statistics, [weights])
    return made


def _fitted(
    layout: Layout,
    method: str,
    settings: dict[str, Any],
    reference: str,
    models: list[str],
    source: tuple[str, str] | dict[str, tuple[dict[str, Any], str, str]],
    progress: Progress,
) -> str:
    """Make a fit, and one file of it; return where that is."""
    from ensir.stages.fit import fit

    made = layout.fit("fit", method)
    fit(layout.place(made), settings, reference, models, source, progress)
    file = Path(layout.root) / "made.fit"
    fits.save_file(
        fits.load(made), registry.module("methods", settings["kind"]).DIMENSIONS, Place.beside(file)
    )
    return str(file)


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


def _experiment(models: list[str], method: str, options: dict[str, Any]) -> Experiment:
    """Check names and options, as the workflow does; beside a method that chooses are all that it may choose."""
    sections = {method: options}
    if registry.section("methods", method).chooses:
        for kind, other in registry.sections("methods").items():
            if other.judged:  # type: ignore[attr-defined]
                sections[kind] = {"bin_width": "auto"} if "bin_width" in other.model_fields else {}
    try:
        return Experiment.model_validate(
            {"models": models, "reference": REFERENCE, "tests": [REFERENCE], "methods": sections}
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
