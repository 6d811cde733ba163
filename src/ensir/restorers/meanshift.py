"""What both mean-shift restorers share: what is observed of an image, and the descent towards it.

A restorer gives the gradient of its objective; the descent adds momentum, draws the noise of each step, keeps a
trace, and can be stopped and taken up again at any step with the same result.
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, astuple, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float, Float32, Shaped

from ensir import InputError, devices, digests, metrics, provenance
from ensir.priors import dae, linear, operators
from ensir.priors.linear import Image
from ensir.publish import remove, replaced
from ensir.restorers import Degraded

MOMENTUM, RATE = 0.9, 0.1
SAVED = 20  # steps from one saved state to the next
log = logging.getLogger(__name__)


# ── what is observed ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Observation:
    """A degraded image, and what is known of its degradation.

    Attributes
    ----------
    name : str
        The image's name: the noise of the steps is drawn from it.
    y : float32 tensor, (3, height, width)
        The degraded image, RGB in 0–255.
    sigma : float
        Standard deviation of its noise, in levels of 0–255; zero where it has none, or none is known.
    kernel : float32 tensor, (size, size), or None
        Blur kernel of odd sides, by which the image was convolved.
    known : float32 tensor, (height, width), or None
        One where a pixel is known, zero where it is missing.
    scale : int
        Size of the restored image over the size of y.
    """

    name: str
    y: Image
    sigma: float = 0.0
    kernel: Float[torch.Tensor, "high wide"] | None = None
    known: Float[torch.Tensor, "height width"] | None = None
    scale: int = 1

    def masked(self, known: torch.Tensor) -> Observation:
        """Return it with some of its pixels missing: (height, width), false where they are."""
        if not known.any():
            raise InputError(f"image {self.name!r}: not one of its pixels is known; mend the mask")
        return replace(self, known=known.to(self.y))

    def identity(self) -> dict[str, Any]:
        """Return what tells it from other observations, as plain data."""
        told: dict[str, Any] = {"name": self.name, "sigma": self.sigma, "scale": self.scale}
        for part in ("y", "kernel", "known"):
            value = getattr(self, part)
            told[part] = value if value is None else hashlib.sha256(value.cpu().numpy().tobytes()).hexdigest()
        return told

    @property
    def border(self) -> tuple[int, int]:
        """Rows and columns on each side that are restored beyond the image: the kernel looks there."""
        high, wide = (1, 1) if self.kernel is None else self.kernel.shape
        return high // 2, wide // 2

    def start(self) -> Image:
        """Return a first estimate: missing pixels filled, the border continued, or bicubic upscaling."""
        if self.scale > 1:
            return linear.Resize(self.size, self.scale, self.y).apply(self.y).clamp(0, 255)
        y = self.y if self.known is None else linear.fill(self.y, self.known)
        return linear.pad(y, self.border)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of y."""
        return self.y.shape[1], self.y.shape[2]

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) of what is restored, border included."""
        height, width = (side * self.scale for side in self.size)
        return height + 2 * self.border[0], width + 2 * self.border[1]

    def inner(self, x: Image) -> Image:
        """Return the restored image without the border."""
        high, wide = self.border
        return x[:, high : x.shape[1] - high, wide : x.shape[2] - wide]


def observe(degraded: Degraded, device: str) -> Observation:
    """Put a degraded image on a device, with what its dataset tells of the degradation.

    Raises
    ------
    InputError
        Nothing is known, or an image is both small and degraded otherwise.
    """
    assert degraded.image is not None
    unit = np.iinfo(degraded.image.dtype).max / 255
    known = degraded.degradation or {}
    if not known and degraded.scale == 1:
        raise InputError(
            f"image {degraded.name!r}: a mean-shift restorer has to know how its input was made; "
            "set `degradation` in the dataset"
        )
    if degraded.scale > 1 and known.get("kind") not in (None, "downscale"):
        raise InputError(
            f"image {degraded.name!r}: is to be enlarged, and its input has more than that to mend "
            f"({known['kind']}); only inputs that were made smaller alone can be"
        )
    image = np.broadcast_to(degraded.image, (*degraded.image.shape[:2], 3)) / unit

    def tensor(value: Shaped[np.ndarray, "*shape"]) -> torch.Tensor:
        return torch.from_numpy(np.array(value, np.float32, order="C")).to(device)

    return Observation(
        name=degraded.name,
        y=tensor(image.transpose(2, 0, 1)),
        sigma=known.get("sigma", 0.0),
        kernel=tensor(operators.kernel_of(known)) if known.get("kind") == "blur" else None,
        known=tensor(operators.known_pixels(known, degraded.name, image.shape[:2]))
        if known.get("kind") == "mask"
        else None,
        scale=degraded.scale,
    )


# ── the descent ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Row:
    """One step of a trace.

    Attributes
    ----------
    step : int
        From one on.
    data : float
        Mean squared residual of the observation, before the step.
    prior : float
        Mean squared length of the mean-shift vector, before the step.
    sigma : float
        Standard deviation of the noise, given or estimated, in levels of 0–255.
    psnr : float or None
        Of the image after the step, rounded to 8 bits, in dB; None where the target is not known.
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
    """What else changes from step to step, and is saved with the image: a kernel that is being found."""

    def gradient(self, x: Image, noisy: Image, step: int) -> tuple[Image, dict[str, float]]:
        """Return the gradient at x, and `data`, `prior` and `sigma` of the trace."""
        ...


@dataclass
class Descent:
    """An image on its way.

    Attributes
    ----------
    x, velocity : float32 tensor, (3, height, width)
        With the border.
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
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Descent:
    """Follow a gradient with momentum: v ← 0.9 v − 0.1 g, x ← x + v, clipped to 0–255.

    Parameters
    ----------
    observation : Observation
    objective : Objective
    steps : int
    seed : int
        The noise of a step depends on it, the image's name and the number of the step alone.
    state : State or None
        Where to go on from, and to save to.
    target : float array, (height, width, 1 or 3), or None
        Grey or RGB in 0–255, for the trace; a grey one is compared with the mean of the channels.
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
        random = operators.seeded(seed, observation.name, step)
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
    return metrics.psnr(target, (restored.mean(axis=2, keepdims=True) if grey else restored).round())


def picture(observation: Observation, descent: Descent) -> Float32[np.ndarray, "height width 3"]:
    """Return the image as it is, without the border, RGB in 0–255."""
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
        All that the descent depends on, as plain data: it names the file, so that no other descent is taken for it.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]):
        name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]
        self.path = folder / f"{name}.npz"

    def save(self, descent: Descent, objective: Objective) -> None:
        """Write the file, at once in its place."""
        tensors = {"x": descent.x, "velocity": descent.velocity, **objective.extra}
        arrays: dict[str, Any] = {name: value.cpu().numpy() for name, value in tensors.items()}
        arrays["rows"] = json.dumps([asdict(row) for row in descent.rows])
        with replaced(self.path) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)

    def load(self, descent: Descent, objective: Objective, steps: int) -> None:
        """Take up a descent where the file left it, if there is one that has not gone farther than so many steps."""
        try:
            with np.load(self.path, allow_pickle=False) as held:
                arrays = {name: torch.from_numpy(held[name]).to(descent.x.device) for name in held.files
                          if name != "rows"}  # fmt: skip
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
        log.info("goes on after step %d", len(rows))

    def remove(self) -> None:
        """Delete the file, if it is there."""
        remove(self.path)


# ── as base models ───────────────────────────────────────────────────────────────────────────────────────────


class Restorer:
    """Restores one image after the other; see `daep` and `dmsp` for what they follow.

    Parameters
    ----------
    settings : dict
        The model's section, the ``path`` of the weights, the ``device``, and ``unfinished``: the folder that keeps
        descents until all images are restored, so that a job that was killed goes on; None keeps nothing.
    files : list of str
        Not used.
    """

    trained_for: float
    """Noise of the DAE, in levels of 0–255, where neither its file nor the settings tell it."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        self.settings = settings
        self.device = devices.choose(settings["device"])
        network = dae.read(settings["path"])
        self.noise = self._noise(network)
        run = dae.denoiser(network.network, self.device, settings["precision"])
        self.denoise: Callable[[Image], Image] = lambda x: run(x[None])[0]
        self.weights = digests.sha256(settings["path"])
        self.parameters = {
            "architecture": network.architecture,
            "dae_sigma": self.noise,
            "versions": provenance.versions("torch"),
        }

    def _noise(self, network: dae.DAE) -> float:
        """Return the noise that the DAE was trained for."""
        asked = self.settings["dae_sigma"]
        if network.sigma is not None and asked not in (None, network.sigma):
            raise InputError(
                f"{self.settings['path']}: was trained for noise of σ = {network.sigma:g}, where `dae_sigma` says "
                f"{asked:g}; remove that, or choose other weights"
            )
        return network.sigma or asked or self.trained_for

    def objective(self, observation: Observation) -> Objective:
        """Return the gradient for one image."""
        raise NotImplementedError

    def given(self, observation: Observation) -> Observation:
        """Return what of an observation the restorer is told."""
        return observation

    def restore(self, images: Iterable[Degraded]) -> Iterator[Float32[np.ndarray, "height width channel"]]:
        """Yield the restored images, as floats in code values."""
        states = []
        for degraded in images:
            assert degraded.image is not None
            observation = self.given(observe(degraded, self.device))
            state = self.state(observation)
            states.append(state)
            yield self.finish(observation, self.descend(observation, state), degraded.image)
        for state in filter(None, states):
            state.remove()

    def finish(
        self, observation: Observation, descent: Descent, image: Shaped[np.ndarray, "height width channel"]
    ) -> Float32[np.ndarray, "high wide channel"]:
        """Return a restored image in the code values and the channels of its input."""
        restored = picture(observation, descent)
        if image.shape[2] == 1:
            restored = restored.mean(axis=2, keepdims=True)
        return restored * np.float32(np.iinfo(image.dtype).max / 255)

    def descend(
        self,
        observation: Observation,
        state: State | None = None,
        target: Float[np.ndarray, "height width channel"] | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Descent:
        """Restore one image, and log how it went."""
        objective, started = self.objective(observation), time.monotonic()
        steps, seed = self.settings["steps"], self.settings["seed"]
        with torch.no_grad():
            descent = descend(observation, objective, steps, seed, state, target, progress)
        last, taken = descent.rows[-1], steps - descent.before
        log.info(
            "%s: %d steps of %.3g s; mean squared residual %.4g, mean shift %.4g, σ %.3g",
            *(observation.name, taken, (time.monotonic() - started) / max(taken, 1)),
            *(last.data, last.prior, last.sigma),
        )
        return descent

    def state(
        self, observation: Observation, target: Float[np.ndarray, "height width channel"] | None = None
    ) -> State | None:
        """Return where the descent of an image is kept until all images are restored, with the trace to its target."""
        if not self.settings.get("unfinished"):
            return None
        unseen = ("path", "device", "unfinished", "steps")  # a descent of more steps begins as one of fewer
        identity = {
            "restorer": type(self).__module__,
            "settings": {name: value for name, value in self.settings.items() if name not in unseen},
            "weights": self.weights,
            "source": provenance.source_digest(type(self).__module__),
            "versions": self.parameters["versions"],
            "noise": self.noise,
            "target": None if target is None else hashlib.sha256(target.tobytes()).hexdigest(),
            **observation.identity(),
        }
        return State(Path(self.settings["unfinished"]), identity)
