"""DMSP, deep mean-shift priors (Bigdeli, Jin, Favaro and Zwicker, NIPS 2017).

Gradient ascent of a lower bound of the expected utility: its prior gradient is the mean-shift vector of a DAE, without
back-propagation, and its data term knows the variance of the noise, or estimates it at every step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from ensir import InputError
from ensir.priors import linear
from ensir.priors.linear import Image
from ensir.restorers import meanshift
from ensir.restorers.meanshift import MOMENTUM, Observation

KERNEL_RATE = 0.02  # found by trial: with less the kernel stays flat for long, with more it trembles


class Restorer(meanshift.Restorer):
    """Deblurs, fills holes, denoises; the noise and, as an experiment, the kernel may be unknown."""

    trained_for = 11.0

    def objective(self, observation: Observation) -> DMSP:
        """Return the gradient for one image."""
        if observation.scale > 1:
            raise InputError(
                f"image {observation.name!r}: dmsp does not enlarge images; use `kind: daep` for super-resolution"
            )
        return DMSP(observation, self.denoise, self.noise, self.settings)

    def given(self, observation: Observation) -> Observation:
        """Return the observation with a flat kernel in the place of its own, where that shall be found."""
        size = self.settings["kernel_size"]
        if size is None:
            return observation
        return replace(observation, kernel=torch.full((size, size), size**-2.0, device=self.device))


class DMSP:
    """The gradient of DMSP for one image.

    Parameters
    ----------
    observation : Observation
    denoise : callable
        The DAE.
    noise : float
        Standard deviation that the DAE was trained for.
    settings : dict
        ``noise_blind``: estimate the noise; ``kernel_size``: not None where the kernel is to be found.
    """

    def __init__(
        self,
        observation: Observation,
        denoise: Callable[[Image], Image],
        noise: float,
        settings: dict[str, Any],
    ):
        self.observation, self.denoise, self.noise = observation, denoise, noise
        self.noise_blind = settings["noise_blind"]
        self.kernel = observation.kernel
        self.extra: dict[str, torch.Tensor] = {}
        if settings["kernel_size"] is not None and self.kernel is not None:
            self.extra = {"kernel": self.kernel, "kernel_velocity": torch.zeros_like(self.kernel)}
        if not self.noise_blind and observation.sigma == 0:
            raise InputError(
                f"image {observation.name!r}: dmsp has to know the noise; set `sigma` in the dataset's "
                "`degradation`, or `noise_blind: true` in the model"
            )

    def gradient(self, x: Image, noisy: Image, step: int) -> tuple[Image, dict[str, float]]:
        """Return the gradient at x, weighted so that the weights of data and prior sum to one."""
        observation = self.observation
        self.kernel = self.extra.get("kernel", self.kernel)
        blur = None if self.kernel is None else linear.Blur(self.kernel, observation.canvas)
        residual = (blur.apply(x) if blur else x) - observation.y
        share = 1.0
        if observation.known is not None:
            residual = residual * observation.known
            share = float(observation.known.mean())
        error = float(residual.square().mean()) / share
        shift = x - self.denoise(noisy)
        precision = self._precision(error)
        weight = precision / (precision + 1 / self.noise**2)
        if self.extra and blur:
            self._learn_kernel(blur, x, residual)
        data = (blur.adjoint(residual) if blur else residual) / share
        facts = {
            "data": error,
            "prior": float(shift.square().mean()),
            "sigma": error**0.5 if self.noise_blind else observation.sigma,
        }
        return weight * data + (1 - weight) * shift, facts

    def _precision(self, error: float) -> float:
        """Return the inverse variance of the data: of the known noise, or the best for the mean squared residual.

        The latter counts what the smoothing by the DAE's noise leaves of itself in the data, too.
        """
        if not self.noise_blind:
            return 1 / self.observation.sigma**2
        energy = 1.0 if self.kernel is None else float(self.kernel.square().sum())
        return 1 / (error + 2 * self.noise**2 * energy)

    def _learn_kernel(self, blur: linear.Blur, x: Image, residual: Image) -> None:
        """Take a step of the kernel: xᵀ(k ∗ x − y) + N σ² k, momentum, then k ≥ 0 and sum one.

        The step is scaled by the variance of the image, so that it does not depend on the contrast; the mean of the
        image, which tells nothing of a kernel of sum one, is left out.
        """
        kernel, velocity = self.extra["kernel"], self.extra["kernel_velocity"]
        varying = x - x.mean(dim=(1, 2), keepdim=True)
        gradient = blur.adjoint_in_kernel(varying, residual) / residual.numel() + self.noise**2 * kernel
        velocity = MOMENTUM * velocity - KERNEL_RATE / (varying.var() + self.noise**2) * gradient
        kernel = (kernel + velocity).clamp(min=0)
        self.extra = {"kernel": kernel / kernel.sum(), "kernel_velocity": velocity}
