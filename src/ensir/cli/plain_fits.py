"""Fitting on plain folders of images and arrays, without a workflow: image by image, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from ensir.cli.plain_folders import Shown, list_predictions, match
from ensir.cli.together import Reading, Together
from ensir.errors import InputError
from ensir.library.fitting import fit as fitted
from ensir.library.options import section
from ensir.library.reading import list_images
from ensir.library.statistics import count
from ensir.section import Name

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Shaped

    from ensir.library.table import Lut


def fit(
    target: Path,
    predictions: dict[str, Path],
    reading: Reading,
    method: str,
    options: dict[str, Any],
    shown: Shown,
) -> Lut:
    """Fit a method.

    Parameters
    ----------
    target : Path
        Folder of the reference targets.
    predictions : dict
    reading : Reading
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
    models = list(predictions)
    _check_models(models)
    section(method, options, models, lambda option: f"--{option}".replace("_", "-"))
    targets = list_images(target, "--target")
    files = match(targets, list_predictions(predictions, reading.suffix))
    together = Together(list(targets.values()), reading)
    for one in (targets, *files.values()):
        together.check_brightness(one.values())
    with shown("count") as progress:
        statistics = count(
            _read(targets, files, together), method=method, models=models, names=targets, value_range=(0, 65535),
            progress=lambda done, total: progress(done, len(targets)), **options,
        )  # fmt: skip
    together.tell(len(targets))
    with shown("fit") as progress:
        return fitted(statistics, method=method, reference=str(target), progress=progress, **options)


def _check_models(models: list[str]) -> None:
    """Check number and names of the models."""
    if len(models) < 2:
        raise InputError(f"--prediction {models[0]}: is one model; give two or more")
    for model in models:
        try:
            TypeAdapter(Name).validate_python(model)
        except ValidationError:
            raise InputError(
                f"--prediction {model}: the name of a model is made of letters, digits, _ and -"
            ) from None


def _read(
    targets: dict[str, str], files: dict[str, dict[str, str]], together: Together
) -> Iterator[tuple[dict[str, Shaped[np.ndarray, "channel height width"]], np.ndarray]]:
    """Yield the predictions of each image, by model, and its target; its files are decoded at the same time."""
    first = None
    with ThreadPoolExecutor() as threads:
        for name, path in targets.items():
            paths = [listed[name] for listed in files.values()]
            target, *others = together.read([path, *paths], threads.map)
            first = first or (path, target.shape[2], target.dtype)
            if first[1:] != (target.shape[2], target.dtype):
                raise InputError(
                    f"{first[0]} has {first[1]} channels of {first[2]}, {path} {target.shape[2]} of {target.dtype}; "
                    "convert one of them"
                )
            x = {model: image.transpose(2, 0, 1) for model, image in zip(files, others, strict=True)}
            yield x, target.transpose(2, 0, 1)
