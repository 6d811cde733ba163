"""Mean-shift restorers: an observation and the gradient of an objective → a descent, saved in case it is killed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Shaped

from ensir.execution import devices
from ensir.images.depth import unit
from ensir.networks import dae, heads
from ensir.networks.descent import (
    Descent,
    Objective,
    State,
    descend,
    log,
    picture,
)
from ensir.networks.linear import Image
from ensir.networks.observation import Observation, observe
from ensir.storage import digests, provenance

if TYPE_CHECKING:
    from ensir.restorers import Degraded
    from ensir.storage.progress import Progress


class MeanShift:
    """Restores one image after the other; the restorers `daep` and `dmsp` define the gradient that is followed.

    Parameters
    ----------
    settings : dict
        The model's section, the ``path`` of the weights, the ``device``, and ``unfinished``: the folder that keeps
        descents until all images are restored, so that a killed job can resume; None keeps nothing.
    module : str
        The module of the restorer: a descent is only resumed by the code that began it.
    trained_for : float
        Noise of the DAE, in levels of 0–255, where neither its file nor the settings say it.
    objective : callable
        (observation, denoise, noise, settings) → the gradient for one image.
    given : callable
        (observation, settings) → the observation as the restorer may know it.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        module: str,
        trained_for: float,
        objective: Callable[[Observation, Callable[[Image], Image], float, dict[str, Any]], Objective],
        given: Callable[[Observation, dict[str, Any]], Observation] = lambda observation, settings: (
            observation
        ),
    ):
        self.module, self.trained_for, self._objective, self._given = module, trained_for, objective, given
        self.settings = settings
        self.device = devices.for_network(settings["device"])
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
        heads.check_noise(self.settings["path"], network.sigma, asked)
        return network.sigma or asked or self.trained_for

    def objective(self, observation: Observation) -> Objective:
        """Return the gradient for one image."""
        return self._objective(observation, self.denoise, self.noise, self.settings)

    def given(self, observation: Observation) -> Observation:
        """Return an observation as the restorer may know it."""
        return self._given(observation, self.settings)

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
        """Return a restored image with the code values and channels of its input."""
        restored = picture(observation, descent)
        if image.shape[2] == 1:
            restored = restored.mean(axis=2, keepdims=True)
        return restored * np.float32(unit(8 * image.itemsize))

    def descend(
        self,
        observation: Observation,
        state: State | None = None,
        target: Float[np.ndarray, "height width channel"] | None = None,
        progress: Progress = lambda done, total: None,
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
        """Return the file that keeps the descent of an image, and its trace, until all images are restored."""
        if not self.settings.get("unfinished"):
            return None
        unseen = ("path", "device", "unfinished", "steps")  # more steps continue a descent of fewer
        identity = {
            "restorer": self.module,
            "settings": {name: value for name, value in self.settings.items() if name not in unseen},
            "weights": self.weights,
            "source": provenance.source_digest(self.module),
            "versions": self.parameters["versions"],
            "noise": self.noise,
            "target": None if target is None else hashlib.sha256(target.tobytes()).hexdigest(),
            **observation.identity(),
        }
        return State(Path(self.settings["unfinished"]), identity)
