"""The descent that both mean-shift restorers follow.

A restorer provides the gradient of its objective; the descent adds momentum, draws the noise of each step, keeps a
trace, and can be stopped and resumed at any step with the same result.
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
from dataclasses import asdict, astuple, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Float32

from ensir.images import degradations, similarity
from ensir.networks.linear import Image
from ensir.networks.observation import Observation
from ensir.storage.atomic import remove, replaced

if TYPE_CHECKING:
    from ensir.storage.progress import Progress


MOMENTUM, RATE = 0.9, 0.1
SAVED = 20  # steps between saved states
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """One step of a trace.

    Attributes
    ----------
    step : int
        Its number, from one.
    data : float
        Mean squared residual of the observation, before the step.
    prior : float
        Mean squared length of the mean-shift vector, before the step.
    sigma : float
        Standard deviation of the noise, given or estimated, in levels of 0–255.
    psnr : float or None
        PSNR of the image after the step, rounded to 8 bits, in dB; None where the target is not known.
    """

    step: int
    data: float
    prior: float
    sigma: float
    psnr: float | None = None


class Objective(Protocol):
    """The gradient that a restorer follows."""

    noise: float
    """Standard deviation of the noise of each step, in levels of 0–255."""

    extra: dict[str, torch.Tensor]
    """What else changes from step to step and is saved with the image: a kernel that is being estimated."""

    def gradient(self, x: Image, noisy: Image, step: int) -> tuple[Image, dict[str, float]]:
        """Return the gradient at x, and `data`, `prior` and `sigma` of the trace."""
        ...


@dataclass
class Descent:
    """An image during its descent.

    Attributes
    ----------
    x, velocity : float32 tensor, (3, height, width)
        Including the border.
    rows : list of Row
        The trace: one row per step taken.
    before : int
        Steps that an earlier run has taken.
    """

    x: Image
    velocity: Image
    rows: list[Row] = field(default_factory=list)
    before: int = 0


def descend(
    observation: Observation,
    objective: Objective,
    steps: int,
    seed: int,
    state: State | None = None,
    target: Float[np.ndarray, "height width channel"] | None = None,
    progress: Progress = lambda done, total: None,
) -> Descent:
    """Follow a gradient with momentum: v ← 0.9 v − 0.1 g, x ← x + v, clipped to 0–255.

    Parameters
    ----------
    observation : Observation
    objective : Objective
    steps : int
    seed : int
        The noise of a step depends on nothing but the seed, the image's name and the number of the step.
    state : State or None
        Where to resume from, and to save to.
    target : float array, (height, width, 1 or 3), or None
        Grey or RGB in 0–255, for the trace; a grey target is compared with the mean of the channels.
    progress : callable

    Returns
    -------
    Descent
    """
    start = observation.start()
    descent = Descent(start, torch.zeros_like(start))
    if state:
        state.load(descent, objective, steps)
    for step in range(len(descent.rows) + 1, steps + 1):
        x = descent.x
        random = degradations.seeded(seed, observation.name, step)
        noise = objective.noise * random.standard_normal(tuple(x.shape), np.float32)
        gradient, facts = objective.gradient(x, x + torch.from_numpy(noise).to(x.device), step)
        descent.velocity = MOMENTUM * descent.velocity - RATE * gradient
        descent.x = (x + descent.velocity).clamp(0, 255)
        psnr = None if target is None else _psnr(target, picture(observation, descent))
        descent.rows.append(Row(step, **facts, psnr=psnr))
        progress(step, steps)
        if state and (step % SAVED == 0 or step == steps):
            state.save(descent, objective)
    return descent


def _psnr(
    target: Float[np.ndarray, "height width channel"], restored: Float32[np.ndarray, "height width 3"]
) -> float:
    grey = target.shape[2] == 1
    return similarity.psnr(target, (restored.mean(axis=2, keepdims=True) if grey else restored).round())


def picture(observation: Observation, descent: Descent) -> Float32[np.ndarray, "height width 3"]:
    """Return the image as it is now, without the border, RGB in 0–255."""
    return observation.inner(descent.x).permute(1, 2, 0).cpu().numpy()


def write_trace(path: Path, rows: list[Row]) -> None:
    """Write a trace as CSV, six digits per number."""
    with replaced(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(column.name for column in fields(Row))
        for row in rows:
            step, *values = astuple(row)
            writer.writerow([step, *("" if value is None else f"{value:.6g}" for value in values)])


class State:
    """A file that holds a descent between two steps.

    Parameters
    ----------
    folder : Path
    identity : dict
        Everything that the descent depends on, as plain data: it names the file, so that descents are not confused.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]):
        name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
        self.path = folder / f"{name}.npz"

    def save(self, descent: Descent, objective: Objective) -> None:
        """Write the file, atomically."""
        tensors = {"x": descent.x, "velocity": descent.velocity, **objective.extra}
        arrays: dict[str, Any] = {name: value.cpu().numpy() for name, value in tensors.items()}
        arrays["rows"] = json.dumps([asdict(row) for row in descent.rows])
        with replaced(self.path) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)

    def load(self, descent: Descent, objective: Objective, steps: int) -> None:
        """Resume a descent from the file, if there is one that has not taken more steps than wanted."""
        try:
            with np.load(self.path, allow_pickle=False) as held:
                names = [name for name in held.files if name != "rows"]
                arrays = {name: torch.from_numpy(held[name]).to(descent.x.device) for name in names}
                rows = [Row(**row) for row in json.loads(held["rows"].item())]
        except FileNotFoundError:
            return
        except Exception as error:
            log.warning("%s: cannot be read (%s) and is not used", self.path, error)
            return
        if len(rows) > steps:
            return
        descent.x, descent.velocity = arrays.pop("x"), arrays.pop("velocity")
        descent.rows, descent.before = rows, len(rows)
        objective.extra.update(arrays)
        log.info("resuming after step %d", len(rows))

    def remove(self) -> None:
        """Delete the file, if it exists."""
        remove(self.path)
