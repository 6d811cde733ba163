"""A denoising autoencoder as a denoiser: it removes Gaussian noise of the strength that it was trained for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.execution import devices
from ensir.networks import heads, pieces
from ensir.networks.runner import Images, Network, Runner
from ensir.networks.sections import NetworkModel, Precision, Weights, check_weights
from ensir.restorers import Degraded
from ensir.restorers._self_ensemble import TurnableModel
from ensir.section import Context, Problem, check_keeps_size
from ensir.storage import provenance

if TYPE_CHECKING:
    from jaxtyping import Float32

    from ensir.planning.networks import Networks


class DaeModel(NetworkModel, TurnableModel):
    """A denoising autoencoder: removes Gaussian noise of the σ that it was trained for from colour images."""

    kind: Literal["dae"]
    dae: Weights = Field("sigma25", description="its weights; two ship with the package")
    precision: Precision = "float32"

    multiple_of: ClassVar[int] = 2
    cut_at: ClassVar[int | None] = pieces.SIDE
    untraced: ClassVar[frozenset[str]] = frozenset({"dae", "device", "batch"})
    gives_features: ClassVar[bool] = True

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check the name of the weights."""
        yield from super().check(context)
        yield from check_weights(context, "dae", context.section.get("dae"))
        yield from check_keeps_size(context, "kind", "dae")

    def network(self, key: str, networks: Networks) -> list[str]:
        """Return the file of the weights."""
        return [networks.weights(f"{key}.dae", self.dae)]

    def check_network(self, files: Sequence[str], device: str = "auto") -> None:
        """Check that the file holds a DAE."""
        heads.noise_of(files[0])


class Restorer:
    """Runs a DAE; `ensir.networks.runner` cuts large images into pieces."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        import torch

        from ensir.networks import dae

        path, device = settings["path"], devices.for_network(settings["device"])
        trained = dae.read(path)
        denoise = dae.denoiser(trained.network, device, settings["precision"])

        def run(pieces: Images) -> Images:
            with torch.inference_mode():
                return (denoise(torch.from_numpy(pieces).to(device) * 255) / 255).cpu().numpy()

        self.parameters = {"architecture": trained.architecture, "versions": provenance.versions("torch")}
        self.runner = Runner(Network(name=path, run=run, channels=3, scale=1, multiple=(2, 2)), settings)

    def restore(self, images: Iterable[Degraded]) -> Iterator[Float32[np.ndarray, "height width channel"]]:
        """Yield the denoised images, as floats in code values."""
        return self.runner.restore(images)
