"""Which models are worth running, by held-out images of a reference."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from ensir import registry
from ensir.errors import InputError
from ensir.library import options
from ensir.library.arrays import Images
from ensir.library.fitting import silent
from ensir.library.statistics import Statistics, count, needed
from ensir.scoring import selection
from ensir.section import unknown
from ensir.stages.select import compared
from ensir.storage.progress import Progress


class Selection(selection.Selection):
    """Which models are worth running: rows of four tables.

    Attributes
    ----------
    subsets : list of Subset
    models : list of Model
    gains : list
        `models` of a subset, `added` to it, its `gain` in dB, and the interval `low`, `high`.
    images : list
        `models` of a subset, `image`, and its `psnr` when it is held out.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        from ensir.library import shown_selection

        return shown_selection.text(self)

    def _repr_html_(self) -> str:
        from ensir.library import shown_selection

        return shown_selection.html(self)


def select(
    x: Images | Statistics,
    y: Any = None,
    *,
    method: str = "least_squares",
    models: Sequence[str] | None = None,
    names: Iterable[str] | None = None,
    value_range: tuple[float, float] | None = None,
    bits: int | None = None,
    seconds: Mapping[str, float] | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Selection:
    """Compare the subsets of the models: PSNR of each reference image, when it is held out.

    Parameters
    ----------
    x, y, method, models, names, value_range, bits, **settings
        As for `ensir.fit`; a method that can be fitted to subsets from statistics alone, such as least_squares.
    seconds : mapping, optional
        How long each model takes for an image, by name.
    progress : callable, optional
        Called with the number of subsets that were tried, and of those in sight.

    Returns
    -------
    Selection
        `subsets`, `models`, `gains` and `images`: lists of rows, as `ensir select` prints them.

    Raises
    ------
    InputError
        Arrays do not fit together, what they mean is not known, or the reference is a single image.
    """
    able = [kind for kind, section in registry.sections("methods").items() if section.selects]
    if method not in able:
        raise InputError(unknown(f"method: {method!r} cannot compare subsets", method, able))
    found = (
        x
        if isinstance(x, Statistics)
        else count(
            x, y, method=method, models=models, names=names, value_range=value_range, bits=bits, **settings
        )
    )
    found.brightness.check()
    if len(found.images) < 2:
        raise InputError("the reference is a single image, so that none can be held out; add images")
    section = options.section(method, settings, found.models)
    (everything,) = needed(found, method, options.counted(method, section)).values()
    seconds = {str(model): value for model, value in (seconds or {}).items()}
    for model, value in seconds.items():
        if not isinstance(value, Real) or not value >= 0:
            raise InputError(f"seconds: {model} takes {value!r}; give a number")
    if stray := set(seconds) - set(found.models):
        raise InputError(f"seconds: {', '.join(sorted(stray))} are no models of {', '.join(found.models)}")
    took = {model: {model: seconds.get(model, math.nan)} for model in found.models}
    names = [image.name for image in found.images]
    threads = os.cpu_count() or 1
    return Selection(*compared(everything, section.traced, names, took, threads, progress or silent))
