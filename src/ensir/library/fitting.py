"""Fitting: arrays, or their statistics, to the table of a method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ensir import methods, registry
from ensir.cells.statistics import cells_of
from ensir.errors import InputError
from ensir.library import options
from ensir.library.arrays import Images
from ensir.library.statistics import Statistics, count, needed
from ensir.library.table import Lut
from ensir.stages import fit as fitting
from ensir.stages import merge
from ensir.storage import provenance
from ensir.storage.progress import Progress


def fit(
    x: Images | Statistics,
    y: Any = None,
    *,
    method: str = "ensir",
    models: Sequence[str] | None = None,
    names: Iterable[str] | None = None,
    value_range: tuple[float, float] | None = None,
    bits: int | None = None,
    reference: str = "arrays",
    device: str = "auto",
    progress: Progress | None = None,
    **settings: Any,
) -> Lut:
    """Fit a method to a reference: predictions of several models, and their targets.

    Parameters
    ----------
    x : array (model, channel, height, width) or (model, channel, pixel); several such; or Statistics
        Predictions, in the code values of uint8 (0–255) or uint16 (0–65535), or floats with a `value_range`. Arrays may
        be of NumPy, PyTorch, Dask, Zarr or xarray. Of several images, of one size or different ones, x is a list or any
        other iterable, which is read once; one image and its predictions are in memory for each core. A mapping from
        names of models to images (or lists of them), or a coordinate "model" of xarray, tells their order, which else
        is that of `models`. Runs of pixels are for methods that need no neighbours.
    y : array (channel, height, width) or (channel, pixel), or several
        Targets. Those of a mapping by name, as of `ensir.read`, are paired with such mappings of each model. Without, x
        yields pairs of predictions and target.
    method : str
        "ensir", "least_squares", "weighted", "local_filters", "best", or a kind of another package that is fitted to
        statistics.
    models : sequence of str, optional
        Names of the models.
    names : iterable of str, optional
        Names of the images. With the names of a workflow's images, a fit is the workflow's to the last bit.
    value_range : (float, float), optional
        Black and white of floats: required where x or y holds some.
    bits : int, optional
        8 or 16: depth that floats are rounded to; required where x and y are both floats.
    reference : str
        What the table calls the reference.
    device : str
        "auto", "cpu" or "cuda": where EM runs.
    progress : callable, optional
        Called with the number of images that were counted, and of all; of statistics, with what is fitted.
    **settings
        Options of the method as in a configuration, such as ``bin_width=32`` or ``channels="separate"``.

    Returns
    -------
    Lut

    Raises
    ------
    InputError
        Arrays do not fit together, what they mean is not known, or an option is wrong.

    Examples
    --------
    >>> lut = ensir.fit(x, y, method="least_squares", bin_width=16)  # doctest: +SKIP
    """
    options.check_device(device)
    if isinstance(x, Statistics):
        if any(value is not None for value in (y, models, names, value_range, bits)):
            raise InputError("x: statistics say y, models, names, value_range and bits; leave these out")
        found = x
    else:
        found = count(
            x, y, method=method, models=models, names=names, value_range=value_range, bits=bits, progress=progress,
            **settings,
        )  # fmt: skip
        progress = None
    found.brightness.check()
    found.check_targets(reference)
    section = options.section(method, settings, found.models)
    sums = needed(found, method, options.counted(method, section))
    if section.made == "lut":
        return _estimated(
            found, method, section.traced, next(iter(sums.values())), reference, device, progress or silent
        )
    return _fitted(found, method, section, sums, reference, progress or silent)


def silent(done: int, total: int) -> None:
    """Show no progress."""


def _estimated(
    found: Statistics,
    method: str,
    settings: dict[str, Any],
    everything: Any,
    reference: str,
    device: str,
    progress: Progress,
) -> Lut:
    """Make a LUT, as the stages estimate and merge do."""
    module = registry.module("methods", method)
    chosen = [option for option, value in settings.items() if value == "auto"]
    if chosen and len(found.images) == 1:
        raise InputError(
            f'{" and ".join(chosen)}: "auto" is chosen by images that are held out, but the reference is a single '
            "image; give a number, or add images"
        )
    settled, gain = methods.settled(module, everything, settings, device)
    cells = cells_of(everything, settled)
    whole = cells.without_folds()
    estimated = module.estimate_weights(whole, cells, settled, device, progress)
    versions = provenance.versions("torch", "numpy", "numba", "dask")
    reference_of = found.reference(reference)
    return Lut(merge.made(method, settings, settled, gain, cells, estimated, reference_of, versions))


def _fitted(
    found: Statistics,
    method: str,
    section: methods.CombiningMethod,
    sums: dict[str, Any],
    reference: str,
    progress: Progress,
) -> Lut:
    """Make a fit, as the stage does."""
    module = registry.module("methods", method)
    if section.chooses:
        source: Any = [
            methods.Candidate(
                kind, other.traced, registry.module("methods", kind), sums[other.statistics.name]
            )
            for kind, other in options.candidates(method, section).items()
            if other.statistics
        ]
    else:
        (source,) = sums.values()
    arrays = module.fit(source, section.traced, progress)
    names = [image.name for image in found.images]
    made = fitting.made(
        section.traced,
        reference,
        found.models,
        found.bits,
        arrays,
        names,
        [image.digest for image in found.images],
        [image.predictions for image in found.images],
    )
    return Lut(made)
