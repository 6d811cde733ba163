"""A denoising autoencoder as a denoiser: it takes Gaussian noise of the strength that it was trained for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from ensir import devices, provenance
from ensir.priors import dae
from ensir.restorers import Degraded
from ensir.restorers.network import Images, Network, Runner


class Restorer:
    """Runs a DAE; see `network` for how large images are cut."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        path, device = settings["path"], devices.choose(settings["device"])
        found = dae.read(path)
        denoise = dae.denoiser(found.network, device, settings["precision"])

        def run(pieces: Images) -> Images:
            with torch.inference_mode():
                return (denoise(torch.from_numpy(pieces).to(device) * 255) / 255).cpu().numpy()

        self.parameters = {"architecture": found.architecture, "versions": provenance.versions("torch")}
        self.runner = Runner(Network(name=path, run=run, channels=3, scale=1, multiple=(2, 2)), settings)

    def restore(self, images: Iterable[Degraded]) -> Iterator[Float32[np.ndarray, "height width channel"]]:
        """Yield the denoised images, as floats in code values."""
        return self.runner.restore(images)
