"""The best method of an experiment for its reference, chosen on images of the reference that are held out in turn.

Every method that can be judged from its statistics is fitted to all images of the reference but one, for each of them;
the one with the highest mean gain over the plain average, in dB, is taken. The average is a candidate, so that the
choice is never below it there. What is told of the choice is the gain of choices made without the image: for each
image, the method is the one that is best on the others.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.cells import context, held_luts
from ensir.cells.filter_statistics import FilterStatistics
from ensir.cells.filters import FilterMethod
from ensir.cells.lut import ESTIMATED, LUT, LutMethod, assemble
from ensir.cells.statistics import Statistics, cells_of, fold_errors
from ensir.methods import Candidate, CombiningMethod, Progress, held_out, local_filters
from ensir.scoring import leaving_out
from ensir.storage import fits
from ensir.storage.fits import Fit

if TYPE_CHECKING:
    from jaxtyping import Float64

log = logging.getLogger(__name__)
AVERAGE = "average"
DIMENSIONS = {
    "candidate": ("candidate",),
    "options": ("candidate",),
    "chosen": (),
    "gain": ("fold", "candidate"),
    "gain_of_choice": ("fold",),
    **held_luts.DIMENSIONS,
    **{name: local_filters.DIMENSIONS[name] for name in ("filter", "count", "expected_squared_error")},
}


class Best(CombiningMethod):
    """The best of the experiment's other methods for this reference, by images that are held out in turn."""

    kind: Literal["best"] = "best"

    made: ClassVar[Literal["lut", "fit"] | None] = "fit"
    expects_errors: ClassVar[bool] = True
    chooses: ClassVar[bool] = True


def fit(candidates: list[Candidate], settings: dict[str, Any], progress: Progress) -> dict[str, np.ndarray]:
    """Choose a method, and return its LUT or its filters.

    Returns
    -------
    dict
        `candidate` and `options`, texts, (candidate,): names of the methods, and their settings as JSON, "auto"
        replaced. `gain`: float64 array, (fold, candidate), in dB above the plain average on each image (or fold) when
        it is held out. `chosen`: the name of the method with the highest mean gain. `gain_of_choice`: float64 array,
        (fold,), gain on each image of the method that is best on the others. Then the arrays of the LUT or the fit.

    Raises
    ------
    InputError
        The reference is a single image, so that none can be held out.
    """
    leaving_out.check_folds(candidates[0].statistics.fold)
    names, gains = [AVERAGE], [np.zeros(len(np.unique(candidates[0].statistics.fold)))]
    tables, options = [_average(candidates[0].statistics)], ["{}"]
    for done, candidate in enumerate(candidates, 1):
        gain, resolved, table = _judged(candidate)
        names.append(candidate.name)
        gains.append(gain)
        options.append(json.dumps(resolved, sort_keys=True))
        tables.append(table)
        progress(done, len(candidates))
    gain = np.stack(gains, axis=1)
    best = int(gain.mean(axis=0).argmax())
    found = {
        "candidate": np.array(names, object),
        "options": np.array(options, object),
        "chosen": np.array(names[best], object),
        "gain": gain,
        "gain_of_choice": leaving_out.chosen_on_others(gain),
        **tables[best],
    }
    log.info(
        "chose %s: %s; the choice, made without each image: %s",
        *(names[best], leaving_out.said(gain[:, best]), leaving_out.said(found["gain_of_choice"])),
    )
    return found


def _judged(
    candidate: Candidate,
) -> tuple[Float64[np.ndarray, " fold"], dict[str, Any], dict[str, np.ndarray]]:
    """Return the held-out gains of a candidate, its settings without "auto", and what is made of all images."""
    statistics, settings, module = candidate.statistics, candidate.settings, candidate.module
    if not isinstance(statistics, Statistics):
        made = module.fit(statistics, settings, lambda done, total: None)
        return (
            module.held_out_gains(made),
            settings,
            {name: made[name] for name in DIMENSIONS if name in made},
        )
    tried = held_out(module, statistics, settings, "cpu")
    gains, settings = tried.gains(module.losses), tried.best(module.losses)
    everything = cells_of(statistics, settings)
    cells = everything.without_folds()
    weights = module.estimate_weights(cells, everything, settings, "cpu", lambda done, total: None)
    return gains, settings, held_luts.arrays_of(assemble(cells, weights, module.fill(everything, settings)))


def _average(statistics: Statistics | FilterStatistics) -> dict[str, np.ndarray]:
    """Return the plain average as a LUT of one cell."""
    models = len(statistics.models)
    uniform = np.full((1, models), 1 / models)
    if isinstance(statistics, Statistics):
        whole = np.repeat(uniform, len(statistics), axis=0)
        error = fold_errors(statistics, whole).sum() * statistics.unit**2
    else:
        error = statistics.square.sum(dtype=np.float64) / context.scale(models, statistics.channels) ** 2
    count = statistics.count.sum()
    none = np.zeros(1, np.int64)
    table = LUT(
        statistics.models, 256, statistics.bits, 1, none, none, uniform, np.array([count]), none,
        np.array([ESTIMATED], np.uint8), np.array([error / count]), "constant", uniform[0],
    )  # fmt: skip
    return held_luts.arrays_of(table)


def summary(fit: Fit) -> dict[str, str]:
    """Return what was chosen, by how much it is above the average, and how far the others are."""
    arrays = fit.arrays
    names = [str(name) for name in arrays["candidate"]]
    chosen = names.index(str(arrays["chosen"]))
    settings = json.loads(str(arrays["options"][chosen]))
    told = ", ".join(f"{key}: {value}" for key, value in settings.items() if key != "kind")
    gains = {
        f"gain of {name}": leaving_out.said(arrays["gain"][:, i])
        for i, name in enumerate(names)
        if name != AVERAGE
    }
    return {
        "chosen": f"{names[chosen]} ({told})" if told else names[chosen],
        "gain over the average": f"{leaving_out.said(arrays['gain_of_choice'])}, chosen on the others",
        **gains,
    }


def Method(settings: dict[str, Any], fitted: str | Fit | None) -> LutMethod | FilterMethod:
    """Return the method that was chosen, ready to run."""
    assert fitted is not None
    fit, path = (fits.load(fitted), fitted) if isinstance(fitted, str) else (fitted, "the fit")
    return (
        FilterMethod(settings, fit)
        if "filter" in fit.arrays
        else LutMethod(settings, held_luts.lut_of(fit, path))
    )
