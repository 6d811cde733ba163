"""DAEP, denoising autoencoder priors (Bigdeli and Zwicker, VISAPP 2018).

Gradient descent on a data term plus the squared length of the mean-shift vector, x − r(x + n), which vanishes where
the smoothed density of photographs has a mode. Its gradient is taken through the DAE by back-propagation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ensir.networks.sections import Weights
from ensir.restorers._meanshift import MeanShiftModel

if TYPE_CHECKING:
    import torch

    from ensir.networks.linear import Image
    from ensir.networks.meanshift import MeanShift
    from ensir.networks.observation import Observation

STRENGTH = 4 * 6.875  # of the prior relative to the data, as released


class DaepModel(MeanShiftModel):
    """Denoising autoencoder priors (Bigdeli 2018): deblurring, super-resolution, missing pixels, noise."""

    kind: Literal["daep"]
    dae: Weights = Field("sigma25", description="weights of its denoising autoencoder")
    dae_sigma: float | None = Field(
        None, gt=0, description="noise that it was trained for; null: as its file says, or 25"
    )


def Restorer(settings: dict[str, Any], files: list[str]) -> MeanShift:
    """Return a restorer that deblurs, enlarges, fills in missing pixels and denoises."""
    from ensir.networks.meanshift import MeanShift

    return MeanShift(settings, __name__, trained_for=25.0, objective=lambda *given: DAEP(*given[:3]))


class DAEP:
    """The gradient of DAEP for one image.

    Parameters
    ----------
    observation : Observation
    denoise : callable
        The DAE.
    noise : float
        Standard deviation that the DAE was trained for.
    """

    def __init__(self, observation: Observation, denoise: Callable[[Image], Image], noise: float):
        from ensir.networks import linear

        self.observation, self.denoise, self.noise = observation, denoise, noise
        self.extra: dict[str, torch.Tensor] = {}
        self.blur = self.down = self.up = None
        self.share = 1.0 if observation.known is None else float(observation.known.mean())
        if observation.kernel is not None:
            self.blur = linear.Blur(observation.kernel, observation.canvas)
        if observation.scale > 1:
            self.down = linear.Resize(observation.canvas, 1 / observation.scale, observation.y)
            self.up = linear.Resize(observation.size, observation.scale, observation.y)

    def gradient(self, x: Image, noisy: Image, step: int) -> tuple[Image, dict[str, float]]:
        """Return the gradient at x, weighted so that the weights of data and prior sum to one."""
        shift, prior = self._prior(x, noisy)
        residual, data = self._data(x)
        weight = self._weight(step)
        facts = {
            "data": float(residual.square().mean()) / self.share,
            "prior": float(shift.square().mean()),
            "sigma": self.observation.sigma,
        }
        return weight * prior + (1 - weight) * data, facts

    def _weight(self, step: int) -> float:
        """Return the weight of the prior: by the noise, or, without noise, falling with the steps."""
        if self.observation.sigma == 0:
            return step**-0.5
        prior, data = STRENGTH / (2 * self.noise**2), 1 / self.observation.sigma**2
        return prior / (prior + data)

    def _prior(self, x: Image, noisy: Image) -> tuple[Image, Image]:
        """Return x − r(x + n) and the gradient of half its square, (I − J)ᵀ(x − r(x + n)), zero on the border."""
        import torch

        noisy = noisy.detach().requires_grad_()
        with torch.enable_grad():
            restored = self.denoise(noisy)
        shift = x - restored.detach()
        gradient = shift - torch.autograd.grad(restored, noisy, shift)[0]
        inner = torch.zeros_like(gradient)
        self.observation.inner(inner).copy_(self.observation.inner(gradient))
        return shift, inner

    def _data(self, x: Image) -> tuple[Image, Image]:
        """Return the residual and the gradient of the data term."""
        y = self.observation.y
        if self.blur:
            residual = self.blur.apply(x) - y
            return residual, self.blur.adjoint(residual)
        if self.down and self.up:  # as released: bicubic upscaling instead of the adjoint
            residual = self.down.apply(x) - y
            return residual, self.up.apply(residual)
        residual = x - y if self.observation.known is None else self.observation.known * (x - y)
        return residual, residual
