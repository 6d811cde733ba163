"""DMSP, deep mean-shift priors (Bigdeli, Jin, Favaro and Zwicker, NIPS 2017).

Gradient ascent on a lower bound of the expected utility: its prior gradient is the mean-shift vector of a DAE, without
back-propagation, and its data term knows the variance of the noise, or estimates it at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from ensir.errors import InputError
from ensir.networks.sections import Weights
from ensir.restorers._meanshift import MeanShiftModel
from ensir.section import Context, Problem, input_scale

if TYPE_CHECKING:
    import torch

    from ensir.networks import linear
    from ensir.networks.linear import Image
    from ensir.networks.meanshift import MeanShift
    from ensir.networks.observation import Observation

KERNEL_RATE = 0.02  # chosen by trial: with less, the kernel stays flat for long; with more, it oscillates


class DmspModel(MeanShiftModel):
    """Deep mean-shift priors (Bigdeli 2017): deblurring, missing pixels, noise, of known or unknown strength."""

    kind: Literal["dmsp"]
    dae: Weights = Field("sigma11", description="weights of its denoising autoencoder")
    dae_sigma: float | None = Field(
        None, gt=0, description="noise that it was trained for; null: as its file says, or 11"
    )
    noise_blind: bool = Field(
        False, description="estimate the noise at every step, instead of using the known one"
    )
    kernel_size: int | None = Field(
        None,
        ge=3,
        le=1001,
        description="experimental: estimate a kernel of this odd size too; null: the dataset's is known",
    )

    enlarges: ClassVar[bool] = False

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check the size of the kernel, and that the datasets can be restored."""
        yield from super().check(context)
        size = context.section.get("kernel_size")
        if type(size) is int and size % 2 == 0:
            yield Problem(f"{context.key}.kernel_size", f"{size} must be odd")
        for name, dataset in context.datasets.items():
            degradation = dataset.get("degradation")
            known = degradation if isinstance(degradation, dict) else {}
            if (scale := input_scale(dataset)) > 1:
                yield Problem(
                    f"{context.key}.kind",
                    f"'dmsp' does not enlarge, but the scale of dataset {name!r} is {scale}; use `kind: daep`",
                )
            elif (
                known
                and context.section.get("noise_blind") is not True
                and known.get("sigma", 0 if known.get("kind") == "mask" else None) == 0
            ):
                yield Problem(
                    f"{context.key}.noise_blind",
                    f"must be true: the noise of dataset {name!r} is zero, which dmsp cannot use",
                )


def Restorer(settings: dict[str, Any], files: list[str]) -> MeanShift:
    """Return a restorer that deblurs, fills in missing pixels and denoises.

    The noise may be unknown and, as an experiment, so may the kernel.
    """
    from ensir.networks.meanshift import MeanShift

    return MeanShift(settings, __name__, trained_for=11.0, objective=DMSP, given=without_kernel)


def without_kernel(observation: Observation, settings: dict[str, Any]) -> Observation:
    """Return an observation with a flat kernel instead of its own, where the kernel is to be estimated."""
    import torch

    size = settings["kernel_size"]
    if size is None:
        return observation
    return replace(observation, kernel=torch.full((size, size), size**-2.0, device=observation.y.device))


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
        ``noise_blind``: estimate the noise; ``kernel_size``: not None where the kernel is to be estimated.
    """

    def __init__(
        self,
        observation: Observation,
        denoise: Callable[[Image], Image],
        noise: float,
        settings: dict[str, Any],
    ):
        import torch

        if observation.scale > 1:
            raise InputError(
                f"image {observation.name!r}: dmsp does not enlarge images; use `kind: daep` for super-resolution"
            )
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
        from ensir.networks import linear

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

        The latter includes what the smoothing by the DAE's noise adds to the residual.
        """
        if not self.noise_blind:
            return 1 / self.observation.sigma**2
        energy = 1.0 if self.kernel is None else float(self.kernel.square().sum())
        return 1 / (error + 2 * self.noise**2 * energy)

    def _learn_kernel(self, blur: linear.Blur, x: Image, residual: Image) -> None:
        """Take a step of the kernel: xᵀ(k ∗ x − y) + N σ² k, momentum, then k ≥ 0 and sum one.

        The step is scaled by the variance of the image, so that it does not depend on the contrast. The mean of the
        image, which says nothing about a kernel of sum one, is subtracted.
        """
        from ensir.networks.descent import MOMENTUM

        kernel, velocity = self.extra["kernel"], self.extra["kernel_velocity"]
        varying = x - x.mean(dim=(1, 2), keepdim=True)
        gradient = blur.adjoint_in_kernel(varying, residual) / residual.numel() + self.noise**2 * kernel
        velocity = MOMENTUM * velocity - KERNEL_RATE / (varying.var() + self.noise**2) * gradient
        kernel = (kernel + velocity).clamp(min=0)
        self.extra = {"kernel": kernel / kernel.sum(), "kernel_velocity": velocity}
