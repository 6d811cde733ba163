"""Published weights: spandrel identifies the architecture that they belong to.

Files are read as weights and nothing else: a `.pth` that contains any other Python object is refused before anything
in it is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.errors import InputError
from ensir.execution import devices, extras
from ensir.networks import heads
from ensir.networks.runner import Images, Network, Runner
from ensir.networks.sections import NetworkModel
from ensir.networks.spandrel_files import EXTRA_ARCHITECTURES, SPANDREL, identify, read_weights
from ensir.restorers import Degraded
from ensir.restorers._self_ensemble import TurnableModel
from ensir.storage import provenance
from ensir.storage.paths import existing

if TYPE_CHECKING:
    from jaxtyping import Float, Float32
    from spandrel import ImageModelDescriptor
    from torch import Tensor
    from torch.nn import Module

    from ensir.planning.networks import Networks


class CheckpointModel(NetworkModel, TurnableModel):
    """Weights of a network whose architecture spandrel knows; needs `pip install 'ensir-flow[pretrained]'`."""

    kind: Literal["checkpoint"]
    path: str = Field(
        pattern=r"\.(pth|pt|ckpt|safetensors)$",
        title="path that ends in .pth, .pt, .ckpt or .safetensors",
        description="file of the weights",
    )
    precision: Literal["float32", "float16", "bfloat16"] = Field(
        "float32", description="precision of the network's arithmetic"
    )

    extra_architectures: bool = Field(
        False,
        description="also Restormer, MPRNet, MIRNet-v2 and others that are not free for every use: see docs/models.md; "
        "needs `pip install 'ensir-flow[extra-architectures]'`",
    )

    untraced: ClassVar[frozenset[str]] = frozenset({"path", "device", "batch"})
    traced_if_set: ClassVar[frozenset[str]] = frozenset({"extra_architectures"})
    gives_features: ClassVar[bool] = True

    def try_out(self) -> None:
        """Check that spandrel is installed."""
        extras.check(*SPANDREL, "spandrel", "torchvision")
        if self.extra_architectures:
            extras.check(*EXTRA_ARCHITECTURES, "spandrel_extra_arches")

    def network(self, key: str, networks: Networks) -> list[str]:
        """Return the file of the weights."""
        return [existing(self.path, f"{key}.path")]

    def check_network(self, files: Sequence[str], device: str = "auto") -> None:
        """Check that the file is whole."""
        heads.check_weights(files[0])


class Restorer:
    """Runs a network of spandrel's on floats in [0, 1]; `ensir.networks.runner` cuts large images into pieces."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        path, precision = settings["path"], settings["precision"]
        device = devices.for_network(settings["device"])
        extra = settings.get("extra_architectures", False)
        model = identify(read_weights(path), path, extra)
        self.parameters = {
            "architecture": " ".join([model.architecture.name, *model.tags]),
            "versions": provenance.versions("spandrel", "torch", *["spandrel-extra-arches"] * extra),
        }
        self.runner = Runner(_network(model, path, precision, device), settings)

    def restore(self, images: Iterable[Degraded]) -> Iterator[Float32[np.ndarray, "height width channel"]]:
        """Yield the restored images, as floats in code values."""
        return self.runner.restore(images)


def _network(model: ImageModelDescriptor[Module], path: str, precision: str, device: str) -> Network:
    """Put a network on its device in its precision."""
    import spandrel
    import torch

    dtype = getattr(torch, precision)
    try:
        model = model.eval().to(torch.device(device), dtype)
    except spandrel.UnsupportedDtypeError as error:
        raise InputError(
            f"{path}: {model.architecture.name} does not work in {precision}; use float32"
        ) from error
    own = FORWARD.get(model.architecture.id)
    forward = partial(own, model.model) if own else model

    def run(pieces: Images) -> Images:
        with torch.inference_mode():
            return forward(torch.from_numpy(pieces).to(device, dtype)).float().cpu().numpy()

    needs = model.size_requirements
    return Network(
        name=path,
        run=run,
        channels=model.input_channels,
        scale=model.scale,
        multiple=(needs.multiple_of, needs.multiple_of),
        least=(max(needs.minimum, 1), max(needs.minimum, 1)),
        whole=model.tiling is not spandrel.ModelTiling.SUPPORTED,
    )


def _craft(
    model: Any, x: Float[Tensor, "image channel height width"]
) -> Float[Tensor, "image channel high wide"]:
    """Run CRAFT without the padding in its `forward`, which adds a whole window even where none is needed."""
    model.h, model.w = x.shape[2:]
    mean = model.mean.type_as(x)
    x = model.conv_first((x - mean) * model.img_range)
    x = model.conv_after_body(model.forward_features(x)) + x
    return (model.upsample(x) / model.img_range + mean).clamp(0, 1)


FORWARD: dict[str, Callable[..., Any]] = {
    "CRAFT": _craft
}  # where spandrel's own differs from the published code
