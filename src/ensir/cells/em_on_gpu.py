"""EM with PyTorch, for many cells at once: the steps of `ensir.cells.em`, whose last bits are those of the device.

Histograms are padded. Sums over levels halve the padded axis until one is left, and everything else is elementwise:
on one kind of device, the result of a cell has the same bits whichever cells share its tensor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ensir.cells.em import FEWEST_LEVELS, TOLERANCE, Watch
from ensir.cells.statistics import Statistics


def run(
    statistics: Statistics,
    cells: np.ndarray,
    start: Float[np.ndarray, "cell model"],
    variance: Float[np.ndarray, "cell model"],
    settings: dict[str, Any],
    watch: Watch | None = None,
    device: str = "cuda",
) -> tuple[Float[np.ndarray, "cell model"], np.ndarray, np.ndarray]:
    """Fit the weights of some cells; see `ensir.cells.em.run`."""
    size = FEWEST_LEVELS
    while size < statistics.levels[cells].max():
        size *= 2
    return EM(statistics, cells, size, start, variance, settings, device).run(watch)


class EM:
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

    def run(
        self, watch: Watch | None = None
    ) -> tuple[Float[np.ndarray, "cell model"], np.ndarray, np.ndarray]:
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
