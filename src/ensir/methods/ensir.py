"""EnsIR: a Gaussian mixture with known means in each cell, fitted by EM to the histogram of its targets.

All cells are fitted at once, on padded histograms. Sums over levels halve the padded axis until one is left, and all
else is elementwise: the result of a cell has the same bits whichever cells share its tensor. Equations are the
paper's; `released` is what the published code computes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ensir.lut import LutMethod, assemble
from ensir.methods import ESTIMATED, FAILED, FEW, CellWeights, Progress, folds_of
from ensir.statistics import Statistics

FEWEST = 100  # below this number of values, EM does not run
TOLERANCE = 1e-5  # EM stops when the mean log-likelihood per value rises by less
VALUES_AT_ONCE = 2**23  # model × cell × level

Method = LutMethod
# Looks on: after each step of EM gets the cells that took it, their mean log-likelihood per value (Eq. 8), their
# weights and their variances in squared levels.
Watch = Callable[
    [
        Int[np.ndarray, " cell"],
        Float[np.ndarray, " cell"],
        Float[np.ndarray, "cell model"],
        Float[np.ndarray, "cell model"],
    ],
    None,
]


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
        Of the cells to be fitted, folds added up.
    everything : Statistics
        Not used: a cell depends on no other.
    settings : dict
        `arithmetic`, `precision`, `prior` and `max_steps` of the configuration.
    device : str
        "cpu" or "cuda".
    progress : callable
        Gets the number of finished cells.
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
    done = int((~runs).sum())
    for size in np.unique(width[runs]):
        same_width = np.flatnonzero(runs & (width == size))
        at_once = max(1, VALUES_AT_ONCE // (int(size) * len(cells.models)))
        for first in range(0, len(same_width), at_once):
            group = same_width[first : first + at_once]
            em = _EM(cells, group, int(size), start[group], variance[group], settings, device)
            weights[group], iterations[group], failed = em.run(watch)
            weights[group[failed]] = start[group[failed]]
            status[group[failed]] = FAILED
            done += len(group)
            progress(done, len(cells))
    return CellWeights(weights, iterations, status)


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
    """Return the arrays as Python integers where a product of them could leave 64 bits."""
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
    weight = np.exp(score - score.max(axis=1, keepdims=True, initial=0))
    return weight / weight.sum(axis=1, keepdims=True)


class _EM:
    """EM on a group of cells whose histograms are padded to one power of two."""

    def __init__(
        self,
        statistics: Statistics,
        cells: np.ndarray,
        size: int,
        start: Float[np.ndarray, "cell model"],
        variance: Float[np.ndarray, "cell model"],
        settings: dict[str, Any],
        device: str,
    ):
        self.released = settings["arithmetic"] == "released"
        self.single = settings["precision"] == "float32"
        self.max_steps = settings["max_steps"]
        self.cells = cells

        def tensor(value: np.ndarray) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(value, np.float64), device=device)

        column = np.arange(size)
        inside = column < statistics.levels[cells, None]
        entry = np.where(inside, statistics.offset[cells, None] + column, 0)
        self.y: Float[Tensor, "cell level"] = tensor(statistics.level[entry] / statistics.unit)
        self.histogram: Float[Tensor, "cell level"] = tensor(
            np.where(inside, statistics.level_count[entry], 0)
        )
        self.n: Float[Tensor, " cell"] = tensor(statistics.count[cells])
        mean = statistics.sum[cells] / (statistics.count[cells, None] * statistics.unit)
        self.mean: Float[Tensor, "model cell"] = tensor(mean.T)
        self.weights: Float[Tensor, "model cell"] = tensor(start.T)
        self.variance: Float[Tensor, "model cell"] = tensor(variance.T)
        if not self.released:
            self.variance = self.variance.clamp(min=1e-6)

    def run(self, watch: Watch | None) -> tuple[Float[np.ndarray, "cell model"], np.ndarray, np.ndarray]:
        """Return the weights, the steps taken, and which cells failed."""
        cells = len(self.n)
        weights = np.empty((cells, len(self.weights)))
        steps, failed = np.zeros(cells, np.int64), np.zeros(cells, bool)
        active = torch.arange(cells, device=self.n.device)
        before = torch.full_like(self.n, -torch.inf)
        likelihood, responsibility = self._expectation()
        limit = self.max_steps + 1 if self.released else self.max_steps
        for step in range(1, limit + 1):
            dead = self._maximization(responsibility)
            likelihood, responsibility = self._expectation()
            if watch:
                seen = (likelihood, self.weights.T, self.variance.T)
                watch(self.cells[active.cpu().numpy()], *(value.cpu().numpy() for value in seen))
            finished = dead | ~(likelihood - before >= TOLERANCE)
            if step == limit:
                finished = torch.ones_like(finished)
            before = likelihood
            if finished.any():
                out = active[finished].cpu().numpy()
                weights[out] = self.weights[:, finished].T.cpu().numpy()
                steps[out], failed[out] = step, dead[finished].cpu().numpy()
                kept = ~finished
                active, before, responsibility = active[kept], before[kept], responsibility[:, kept]
                self._keep(kept)
                if not len(active):
                    break
        return weights, steps, failed

    def _expectation(self) -> tuple[Float[Tensor, " cell"], Float[Tensor, "model cell level"]]:
        """E-step (Eq. 9) in log space; also the mean log-likelihood per value (Eq. 8)."""
        log_joint = self.y - self.mean[:, :, None]
        log_joint = log_joint * log_joint / (-2 * self.variance[:, :, None])
        log_joint += (torch.log(self.weights) - 0.5 * torch.log(2 * torch.pi * self.variance))[:, :, None]
        largest = log_joint[0]
        for other in log_joint[1:]:
            largest = torch.maximum(largest, other)
        joint = torch.exp(log_joint - largest)
        marginal = joint[0].clone()
        for other in joint[1:]:
            marginal += other
        likelihood = _sum_levels(self.histogram * (largest + torch.log(marginal))) / self.n
        responsibility = joint / marginal
        if self.single:
            responsibility = responsibility.float().double()
        return likelihood, responsibility

    def _maximization(self, responsibility: Float[Tensor, "model cell level"]) -> Tensor:
        """M-step (Eqs. 10 and 11; `released` adds 1e-6 and takes the variance about the weighted mean)."""
        responsibility = responsibility * self.histogram
        total = _sum_levels(responsibility)
        empty = total == 0
        if self.released:
            centre = _sum_levels(responsibility * self.y) / (total + 1e-6)
            self.weights = (total + 1e-6) / self.n
        else:
            centre = self.mean
            self.weights = total / self.n
        difference = self.y - centre[:, :, None]
        spread = _sum_levels(responsibility * difference * difference) / torch.where(empty, 1, total)
        if self.released:
            self.variance = spread + 1e-6
            return empty.any(dim=0)
        self.variance = torch.where(empty, self.variance, spread.clamp(min=1e-6))
        return torch.zeros_like(empty[0])

    def _keep(self, kept: Tensor) -> None:
        """Drop the cells that are finished, so that a step costs less and less."""
        self.y, self.histogram, self.n = self.y[kept], self.histogram[kept], self.n[kept]
        self.mean, self.weights, self.variance = (
            self.mean[:, kept],
            self.weights[:, kept],
            self.variance[:, kept],
        )


def _sum_levels(value: Float[Tensor, "*axes level"]) -> Float[Tensor, "*axes"]:
    """Sum over a power of two of levels in one fixed order: padding with zeros changes no bit."""
    while value.shape[-1] > 1:
        half = value.shape[-1] // 2
        value = value[..., :half] + value[..., half:]
    return value[..., 0]


def fill(statistics: Statistics, settings: dict[str, Any]) -> tuple[str, Float[np.ndarray, " model"]]:
    """Return the rule and the weights for bin sets that no reference pixel is in."""
    models = len(statistics.models)
    return ("previous" if settings["arithmetic"] == "released" else "constant"), np.full(models, 1 / models)


def settle(everything: Statistics, settings: dict[str, Any], device: str) -> tuple[dict[str, Any], float]:
    """Return the settings, and minus the mean PSNR of the folds, each with the weights of the others.

    Raises
    ------
    InputError
        There is one fold only.
    """
    folds, whole, psnr = folds_of(everything), everything.without_folds(), []
    for fold in range(folds[-1] + 1):
        own = everything.taken(slice(*np.searchsorted(folds, [fold, fold + 1]))).without_folds()
        rest = whole.minus(own)
        found = estimate_weights(rest, rest, settings, device, lambda done, total: None)
        table = assemble(rest, found, fill(rest, settings))
        weights = table.filled[table.rows(own.key * table.channels + own.channel)]
        error = own.expected_squared_error(weights) @ own.count / own.count.sum() / own.unit**2
        psnr.append(10 * np.log10(255**2 / max(error, 1e-12)))
    return settings, -float(np.mean(psnr))
