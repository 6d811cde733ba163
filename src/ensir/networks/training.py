"""A training that can be stopped at any step and resumed as if it had not been.

What step n learns from depends on nothing but the seed and n. The checkpoint holds the weights, in float32 whatever the
precision of the arithmetic, their moving average, which is the result, and the state of the optimiser.
"""

from __future__ import annotations

import copy
import csv
import io
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ensir.errors import InputError
from ensir.networks.examples import VALIDATION
from ensir.networks.sections import LEARNING_RATE
from ensir.storage import failures, provenance
from ensir.storage.atomic import replaced

if TYPE_CHECKING:
    from ensir.storage.progress import Progress

Objective = Callable[[Callable[..., Tensor], int], Tensor]  # network in its precision, step → loss
CURVE = ("step", "seconds", "learning_rate", "loss", "psnr")
VALIDATED = 256  # side of the middle of a validation image, in pixels
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Course:
    """The course of a training: its steps, and what each of them sees.

    Attributes
    ----------
    steps : int
        Steps in all; given more steps, a finished training continues.
    learning_rate : float
        Learning rate of Adam; constant, then lowered to zero along half a cosine over the last `cooldown` of all steps.
    cooldown : float
        Share of the steps.
    average : float
        Decay of the moving average of the weights.
    every : int
        Steps between checkpoints and measurements.
    patience : int or None
        Stop after this many measurements in a row without a better PSNR, and use the weights of the best one; None: use
        those of the last step.
    precision : "float32" or "bfloat16"
        Precision of the arithmetic; the weights stay float32.
    seed : int
    patch, batch : int
        Side of a square patch, in pixels; patches of a step.
    validation : int
        Images held out to measure the PSNR.
    """

    steps: int
    learning_rate: float = LEARNING_RATE
    cooldown: float = 0.3
    average: float = 0.998
    every: int = 500
    patience: int | None = None
    precision: str = "float32"
    seed: int = 0
    patch: int = 64
    batch: int = 8
    validation: int = VALIDATION

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        left = (self.steps - step) / max(self.cooldown * self.steps, 1)
        return self.learning_rate * 0.5 * (1 - math.cos(math.pi * min(left, 1.0)))


@dataclass
class Measurement:
    """A row of the curve: the mean loss since the last one, and the PSNR in dB on held-out images."""

    step: int
    seconds: float
    learning_rate: float
    loss: float
    psnr: float


def train(
    make: Callable[[], nn.Module],
    course: Course,
    objective: Objective,
    quality: Callable[[nn.Module], float],
    identity: dict[str, Any],
    checkpoint: Path,
    curve: Path,
    progress: Progress,
    device: str,
    restart: bool = False,
) -> tuple[nn.Module, list[Measurement]]:
    """Train a network, resuming from the checkpoint where there is one.

    Parameters
    ----------
    make : callable
        Makes the network with its first weights, from PyTorch's random numbers.
    course : Course
    objective : callable
        Called with the network, in its precision, and the number of the step; returns the loss.
    quality : callable
        Returns the PSNR in dB of a network on held-out images.
    identity : dict
        What must not change between two runs of one training, as plain data.
    checkpoint, curve : Path
        Both are written at every measurement; the curve is CSV, and starts at the first step.
    progress : callable
    device : "cpu" or "cuda"
    restart : bool
        Start over if the checkpoint belongs to another training, instead of refusing it.

    Returns
    -------
    network : torch module
        With its final weights.
    curve : list of Measurement

    Raises
    ------
    InputError
        The checkpoint belongs to another training, has more steps, or cannot be read.
    """
    state = _State(make, course, identity, device)
    if checkpoint.exists():
        state.load(checkpoint, restart)
    started = time.monotonic() - state.seconds
    losses: list[Tensor] = []
    while state.step < course.steps and not state.exhausted:
        losses.append(state.learn(objective))
        progress(state.step, course.steps)
        if state.step % course.every == 0 or state.step == course.steps:
            state.seconds = time.monotonic() - started
            loss = float(torch.stack(losses).mean())
            losses.clear()
            state.measured(loss, quality(state.average))
            state.save(checkpoint)
            _write_curve(curve, state.curve)
            log.info("step %d: loss %.4g, PSNR %.3f dB", state.step, loss, state.curve[-1].psnr)
    _write_curve(curve, state.curve)
    if course.patience and state.best is not None:
        state.average.load_state_dict(state.best)
    return state.average, state.curve


class _State:
    """Everything that a checkpoint holds."""

    def __init__(self, make: Callable[[], nn.Module], course: Course, identity: dict[str, Any], device: str):
        torch.manual_seed(course.seed)
        self.course, self.identity, self.device = course, identity, device
        self.network = make().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.network.parameters(), course.learning_rate, (0.9, 0.99))
        self.step, self.seconds = 0, 0.0
        self.curve: list[Measurement] = []
        self.best: dict[str, Tensor] | None = None

    @property
    def exhausted(self) -> bool:
        """Whether too many measurements in a row have brought no better PSNR."""
        if not self.course.patience or not self.curve:
            return False
        best = max(range(len(self.curve)), key=lambda i: self.curve[i].psnr)
        return len(self.curve) - 1 - best >= self.course.patience

    def learn(self, objective: Objective) -> Tensor:
        """Take one step; return the loss."""
        self.optimiser.param_groups[0]["lr"] = self.course.rate(self.step)
        loss = objective(self._run, self.step)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.step += 1
        decay = min(
            self.course.average, self.step / (self.step + 10)
        )  # the first steps soon lose their weight
        with torch.no_grad():
            for kept, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)
        return loss.detach()

    def _run(self, *inputs: Any) -> Tensor:
        reduced = self.course.precision == "bfloat16"
        with torch.autocast(self.device, torch.bfloat16, enabled=reduced):
            return self.network(*inputs).float()

    def measured(self, loss: float, psnr: float) -> None:
        """Add a row to the curve; remember the weights where they are the best so far."""
        better = all(psnr > row.psnr for row in self.curve)
        rate = self.course.rate(self.step - 1)
        self.curve.append(Measurement(self.step, round(self.seconds, 1), rate, loss, psnr))
        if self.course.patience and better:
            self.best = copy.deepcopy(self.average.state_dict())

    def save(self, path: Path) -> None:
        held = {
            "identity": self.identity,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "curve": [vars(row) for row in self.curve],
        }
        content = io.BytesIO()  # PyTorch does not report a full disk
        torch.save(held, content)
        with replaced(path) as partial:
            partial.write_bytes(content.getbuffer())

    def load(self, path: Path, restart: bool) -> None:
        try:
            held = torch.load(path, map_location=self.device, weights_only=True)
            same = held["identity"] == self.identity
        except Exception as error:
            what = failures.fix(error, "choose another output, or move it away to start over")
            raise InputError(
                f"{path}: cannot be read as a checkpoint ({failures.reason(error)}); {what}"
            ) from error
        if not same and restart:
            log.info("%s belongs to another training: starting over", path)
            return
        if not same:
            raise InputError(
                f"{path}: belongs to another training (its data, network, loss, course or seed differ); "
                "choose another output, or move it away to start over"
            )
        if held["step"] > self.course.steps:
            raise InputError(
                f"{path}: has taken {held['step']} steps, more than {self.course.steps}; "
                "ask for more, or choose another output"
            )
        self.network.load_state_dict(held["network"])
        self.average.load_state_dict(held["average"])
        self.optimiser.load_state_dict(held["optimiser"])
        self.step, self.seconds, self.best = held["step"], held["seconds"], held["best"]
        self.curve = [Measurement(**row) for row in held["curve"]]
        log.info("resuming after step %d", self.step)


def fixed(course: Course, module: str, restart: bool) -> dict[str, Any]:
    """Return what must not change about a course between two runs of one training.

    By hand, a finished training may be given more steps. The result of a rule depends on nothing but its configuration:
    there, the number of steps is fixed, too, and so is the code.

    Parameters
    ----------
    course : Course
    module : str
        The module that trains.
    restart : bool
        Whether a rule trains, which starts over if something has changed.

    Returns
    -------
    dict
        Plain data.
    """
    held = asdict(course)
    if restart:
        return held | {"source": provenance.source_digest(module)}
    return {name: value for name, value in held.items() if name != "steps"}


def _write_curve(path: Path, rows: Sequence[Measurement]) -> None:
    with replaced(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CURVE)
        for row in rows:
            step, seconds, *rest = (getattr(row, column) for column in CURVE)
            writer.writerow([step, seconds, *(f"{value:.6g}" for value in rest)])
