"""EnsIR: a Gaussian mixture with known means in each cell, fitted by EM to the histogram of its targets.

Equations are the paper's; `released` is what the published code computes. `ensir.cells.em` runs the steps, on a GPU
`ensir.cells.em_on_gpu`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.arithmetic.functions import decibels, exponential
from ensir.cells.lut import ESTIMATED, FAILED, FEW, FEWEST, CellWeights, LutMethod, assemble
from ensir.cells.statistics import Statistics, folds_of
from ensir.execution import devices
from ensir.methods import Binned, Progress, Swept
from ensir.section import Context, Problem, shown, texts

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Int

    from ensir.cells.em import Watch

VALUES_AT_ONCE = 2**23  # model × cell × level


class Ensir(Binned):
    """Gaussian mixtures per bin set, fitted by EM on the reference (the paper's method)."""

    timed: ClassVar[bool] = True
    judged: ClassVar[bool] = True

    kind: Literal["ensir"] = "ensir"
    arithmetic: Literal["released", "paper"] = Field(
        "released", description="what the published code computes, or the equations as printed"
    )
    precision: Literal["float64", "float32"] = Field(
        "float64", description="precision of the responsibilities"
    )
    prior: list[float] | None = Field(
        None, description="initial weights, one per model (released arithmetic)"
    )
    max_steps: int = Field(
        1000,
        ge=1,
        le=10**6,
        description="EM stops after this many steps; released arithmetic takes one more, as the "
        "published code does",
    )

    swept: ClassVar[dict[str, Swept]] = {
        "bin_width": Swept(Annotated[int, Field(ge=1, le=256)], "{name}_b{value}", "bin widths"),
        "max_steps": Swept(
            Annotated[int, Field(ge=1, le=10**6)], "{name}_s{value}", "steps after which EM stops"
        ),
    }

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check the initial weights."""
        yield from super().check(context)
        prior, models = context.section.get("prior"), len(texts(context.experiments[0], "models"))
        if isinstance(prior, list) and all(type(weight) in (int, float) for weight in prior):
            key = f"{context.key}.prior"
            if len(prior) != models:
                yield Problem(key, f"{shown(prior)} must hold {models} numbers, one per model")
            if any(weight < 0 for weight in prior):
                yield Problem(key, f"{shown(prior)} must not be negative")
            if not abs(sum(prior) - 1) < 1e-6:
                yield Problem(key, f"{shown(prior)} must sum to one")
            if context.section.get("arithmetic") == "paper":
                yield Problem(key, "arithmetic `paper` starts from uniform weights; remove `prior`")


Method = LutMethod


def estimate_weights(
    cells: Statistics,
    everything: Statistics,
    settings: dict[str, Any],
    device: str,
    progress: Progress,
    watch: Watch | None = None,
) -> CellWeights:
    """Fit the mixing weights of every cell.

    Parameters
    ----------
    cells : Statistics
        Statistics of the cells to be fitted, with their folds added up.
    everything : Statistics
        Not used: a cell depends on no other.
    settings : dict
        `arithmetic`, `precision`, `prior` and `max_steps` of the configuration.
    device : "auto", "cpu" or "cuda"
        "auto" is the CPU: it is the faster one for the cells that occur, and its bits are the same everywhere.
    progress : callable
        Called with the number of finished cells, and of all.
    watch : callable, optional
        See `Watch`.
    """
    released = settings["arithmetic"] == "released"
    variance = initial_variance(cells)
    start = initial_weights(cells, settings["prior"] if released else None, released)
    status = np.full(len(cells), FEW, np.uint8)
    iterations = np.zeros(len(cells), np.int64)
    weights = start.copy()

    enough = cells.count >= FEWEST
    dead = enough & (variance == 0).any(axis=1) if released else np.zeros_like(enough)
    status[dead] = FAILED
    runs = enough & ~dead
    status[runs] = ESTIMATED
    width = 2 ** np.ceil(np.log2(np.maximum(cells.levels, 8))).astype(np.int64)
    run, done = _runner(device), int((~runs).sum())
    for size in np.unique(width[runs]):
        same_width = np.flatnonzero(runs & (width == size))
        at_once = max(1, VALUES_AT_ONCE // (int(size) * len(cells.models)))
        for first in range(0, len(same_width), at_once):
            group = same_width[first : first + at_once]
            found = run(cells, group, start[group], variance[group], settings, watch)
            weights[group], iterations[group], failed = found
            weights[group[failed]] = start[group[failed]]
            status[group[failed]] = FAILED
            done += len(group)
            progress(done, len(cells))
    return CellWeights(weights, iterations, status)


def _runner(device: str) -> Any:
    """Return what runs EM; PyTorch, Numba and their kernels take a moment to load."""
    if device == "cuda":
        devices.choose(device)
        from ensir.cells import em_on_gpu

        return em_on_gpu.run
    from ensir.cells import em

    return em.run


def initial_variance(statistics: Statistics) -> Float[np.ndarray, "cell model"]:
    """Return the population variance of each prediction (Eq. 13, whose norm is a misprint), in squared levels.

    (N Σx² − (Σx)²) / N², the numerator in integers.
    """
    square = np.diagonal(statistics.gram, axis1=1, axis2=2)
    count, total, square = _exact(statistics.count[:, None], statistics.sum, square)
    numerator = count * square - total * total
    return (
        numerator.astype(np.float64) / (statistics.count[:, None].astype(np.float64) * statistics.unit) ** 2
    )


def distance_to_mean(statistics: Statistics) -> Float[np.ndarray, "cell model"]:
    """Return r_m, the root mean square of x_m − mean over the models, in levels.

    M² g_mm − 2M Σ_l g_ml + Σ_kl g_kl, in integers.
    """
    (gram,) = _exact(statistics.gram)
    m = len(statistics.models)
    own = np.diagonal(gram, axis1=1, axis2=2)
    numerator = m * m * own - 2 * m * gram.sum(axis=2) + gram.sum(axis=(1, 2))[:, None]
    mean_square = numerator.astype(np.float64) / (m * m * statistics.count[:, None].astype(np.float64))
    return np.sqrt(mean_square) / statistics.unit


def _exact(*arrays: np.ndarray) -> list[np.ndarray]:
    """Return the arrays as Python integers where a product of them could exceed 64 bits."""
    largest = [float(array.max(initial=0)) for array in arrays]
    if max(a * b for a in largest for b in (*largest, 512.0)) < 2**62:
        return list(arrays)
    return [array.astype(object) for array in arrays]


def initial_weights(
    statistics: Statistics, prior: list[float] | None, released: bool
) -> Float[np.ndarray, "cell model"]:
    """Return p0: the prior if there is one; softmax of 1/(1e-10 + r_m) (released) or uniform (paper)."""
    shape = statistics.sum.shape
    if prior is not None:
        return np.broadcast_to(np.asarray(prior, np.float64), shape).copy()
    if not released:
        return np.full(shape, 1 / shape[1])
    score = 1 / (1e-10 + distance_to_mean(statistics))
    weight = exponential(score - score.max(axis=1, keepdims=True, initial=0))
    return weight / weight.sum(axis=1, keepdims=True)


def fill(statistics: Statistics, settings: dict[str, Any]) -> tuple[str, Float[np.ndarray, " model"]]:
    """Return the rule and the weights for bin sets without reference pixels."""
    models = len(statistics.models)
    return ("previous" if settings["arithmetic"] == "released" else "constant"), np.full(models, 1 / models)


def held_out(
    everything: Statistics, settings: dict[str, Any], device: str
) -> tuple[list[dict[str, Any]], Float64[np.ndarray, "fold option"]]:
    """Return the settings, and the squared error of each fold with the weights of the others, in squared levels.

    Raises
    ------
    InputError
        There is only one fold.
    """
    folds, whole, errors = folds_of(everything), everything.without_folds(), []
    for fold in range(folds[-1] + 1):
        own = everything.taken(slice(*np.searchsorted(folds, [fold, fold + 1]))).without_folds()
        rest = whole.minus(own)
        estimated = estimate_weights(rest, rest, settings, device, lambda done, total: None)
        table = assemble(rest, estimated, fill(rest, settings))
        weights = table.filled[table.rows(own.key * table.channels + own.channel)]
        errors.append((own.expected_squared_error(weights) * own.count).sum() / own.unit**2)
    return [settings], np.array(errors)[:, None]


def losses(
    errors: Float64[np.ndarray, "fold option"], counts: Int[np.ndarray, " fold"]
) -> Float64[np.ndarray, " option"]:
    """Return what is least for the best settings: minus the mean PSNR of the folds."""
    return -decibels(255**2 / np.maximum(errors / counts[:, None], 1e-12)).mean(axis=0)
