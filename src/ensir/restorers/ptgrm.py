"""PTG-RM (Xu et al., CVPR 2024): refines the predictions of another model; the network is `ensir.networks.refiner`.

Instance normalisation and both attentions depend on the whole picture, and so does a 1-D prior: images are refined
whole unless `tile` is set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.errors import InputError
from ensir.execution import devices
from ensir.images import depth
from ensir.networks.runner import Images, Network, Runner
from ensir.networks.sections import NetworkModel, Refiner
from ensir.restorers import Degraded, RestorerModel
from ensir.section import Context, Name, Problem, sections, unknown
from ensir.storage import provenance, reading

if TYPE_CHECKING:
    from jaxtyping import Float32

    from ensir.planning.networks import Networks


class PtgrmModel(Refiner, NetworkModel, RestorerModel):
    """PTG-RM (Xu 2024): refines the predictions of another model, guided by a pre-trained network."""

    kind: Literal["ptgrm"]
    base: Name = Field(description="name of the model whose predictions are refined")

    refines: ClassVar[str] = "base"
    one_by_one: ClassVar[bool] = True

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that its base is another model, and that no model refines itself, directly or not."""
        yield from super().check(context)
        models = sections(context.config, "models")
        key, chain, base = f"{context.key}.base", [context.name], context.section.get("base")
        if isinstance(base, str) and base not in models:
            yield Problem(key, unknown(f"{base!r} is not in models", base, models))
        while isinstance(base, str) and base in models:
            if base in chain:
                yield Problem(
                    key, f"{' refines '.join([*chain, base])}: the last must be a model of another kind"
                )
                return
            chain.append(base)
            base = models[base].get(getattr(context.models[base], "refines", ""))

    def network(self, key: str, networks: Networks) -> list[str]:
        """Return its weights, and the files of the network that guides it."""
        return networks.refiner_files(key.removeprefix("models."))


class Restorer:
    """Refines predictions; `ensir.networks.runner` cuts large images into pieces."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        import torch

        from ensir.networks import features, heads, refiner

        path, device = settings["path"], devices.for_network(settings["device"])
        self.trained = refiner.read(path)
        prior = features.Prior(settings["prior"], settings["beside"], device)
        heads.check_refiner(path, settings["architecture"], prior.identity)
        network = self.trained.network.to(device)

        def run(pieces: Images) -> Images:
            with torch.inference_mode():
                base, degraded, place = torch.from_numpy(pieces).to(device).split((3, 3, 2), 1)
                return network(base, degraded, place, prior(degraded)).cpu().numpy()

        self.parameters = {"prior": prior.identity, "versions": provenance.versions("torch")}
        self.runner = Runner(
            Network(name=path, run=run, channels=3, scale=1, multiple=(4, 4), least=(8, 8), whole=True),
            settings,
        )

    def check(self, part: reading.Part) -> None:
        """Raise an InputError if the refiner was trained on an image of a part that is not of its training set."""
        facts = self.trained.facts
        learned = dict(zip(facts["image_digests"], facts["images"], strict=True))
        for name, digest in zip(part.names, part.column("digest"), strict=True):
            if str(digest) in learned and part.attributes["dataset"] != facts["dataset"]:
                raise InputError(
                    f"image {name!r} of {part.attributes['dataset']} is image {learned[str(digest)]!r} of "
                    f"{facts['dataset']}, from which the refiner {self.runner.network.name} has learned; exclude it "
                    "from one of them"
                )

    def restore(self, images: Iterable[Degraded]) -> Iterator[Float32[np.ndarray, "height width channel"]]:
        """Yield the refined images, as floats in code values."""
        for stack in self.runner.stacks(images):
            white = depth.white(stack[0].bits)
            grey = stack[0].shape[2] == 1
            x = np.stack([_channels(degraded, white) for degraded in stack]).transpose(0, 3, 1, 2)
            for refined in self.runner.run(x, 1).transpose(0, 2, 3, 1) * np.float32(white):
                yield refined.mean(2, keepdims=True) if grey else refined


def _channels(degraded: Degraded, white: int) -> Float32[np.ndarray, "height width 8"]:
    """Return what the network takes, channel by channel: base, input, position."""
    from ensir.networks.refiner import enlarged, picture, position

    assert degraded.base is not None
    assert degraded.image is not None
    height, width, _ = degraded.shape
    beside = enlarged(degraded.image, degraded.scale)
    if beside.shape[:2] != (height, width):
        raise InputError(
            f"image {degraded.name!r}: its input is {beside.shape[1]}×{beside.shape[0]} at the size of the target, "
            f"which is {width}×{height}; a refiner needs both of one size"
        )
    return np.concatenate(
        [picture(degraded.base, white), picture(beside, white), position(height, width)], axis=2
    )
