"""PTG-RM after the ensemble: refines the fused images of another method, or the predictions of one model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir import restorers
from ensir.methods import CombiningMethod, Swept
from ensir.networks.sections import NoPrior, Refiner
from ensir.restorers import ptgrm
from ensir.section import Context, Name, Problem, sections, texts, unknown
from ensir.storage import reading

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

    from ensir.planning.networks import Networks

Ablation = Literal[
    "without_sve", "without_channel", "without_spatial", "without_position", "prior_1d", "prior_2d",
    "unguided", "plain",
]  # fmt: skip


class Ptgrm(CombiningMethod, Refiner):
    """PTG-RM (Xu 2024): refines the fused images of another method, or the predictions of one model."""

    uses_inputs: ClassVar[bool] = True
    weighs: ClassVar[bool] = False
    refines: ClassVar[str] = "after"
    swept: ClassVar[dict[str, Swept]] = {
        "ablation": Swept(
            Ablation, "{name}_{value}", "refiners without a component, with another prior, or plain ones"
        )
    }

    kind: Literal["ptgrm"] = "ptgrm"
    after: Name = Field(description="name of the method, or of the model, whose images are refined")

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that it refines another method, or a model of the experiment, and no refiner."""
        yield from super().check(context)
        (experiment,) = context.experiments
        after, methods = context.section.get("after"), sections(experiment, "methods")
        kinds = {name: section.get("kind", name) for name, section in methods.items()}
        known = [name for name, kind in kinds.items() if kind != "ptgrm"] + texts(experiment, "models")
        if isinstance(after, str) and kinds.get(after) == "ptgrm":
            yield Problem(f"{context.key}.after", f"{after!r} is a refiner itself; name what that refines")
        elif isinstance(after, str) and after not in known:
            what = f"{after!r} is neither a method nor a model of the experiment"
            yield Problem(f"{context.key}.after", unknown(what, after, known))

    def instance(self, option: str, value: Any) -> Ptgrm:
        """Return the method of an ablation of the paper."""
        match value:
            case "prior_1d" | "prior_2d":
                change: dict[str, Any] = {"spatial": value == "prior_2d"}
                return self.model_copy(update={"prior": self.prior.model_copy(update=change)})
            case "unguided" | "plain":
                return self.model_copy(update={"prior": NoPrior(kind="none"), "plain": value == "plain"})
        return self.model_copy(update={"without": [value.removeprefix("without_")]})

    def network(self, name: str, networks: Networks) -> list[str]:
        """Return its weights, and the files of the network that guides it."""
        return networks.refiner_files(name)


class Method:
    """See `ensir.restorers.ptgrm`; the image to be refined is the only prediction."""

    def __init__(self, settings: dict[str, Any], fitted: str | None):
        self.restorer = ptgrm.Restorer({**settings, "path": fitted, "batch": 1}, [])

    def check(self, part: reading.Part) -> None:
        """Raise an InputError if the refiner was trained on an image of a part."""
        self.restorer.check(part)

    def given(
        self,
        degraded: Shaped[np.ndarray, "low_height low_width channel"] | None,
        shape: tuple[int, int, int],
    ) -> Refined:
        """Return the method for the image with this input."""
        assert degraded is not None
        return Refined(self.restorer, degraded, shape)


class Refined:
    """PTG-RM for one image."""

    def __init__(
        self,
        restorer: restorers.Restorer,
        degraded: Shaped[np.ndarray, "low_height low_width channel"],
        shape: tuple[int, int, int],
    ):
        self.restorer, self.degraded, self.shape = restorer, degraded, shape

    def fuse(
        self, x: Shaped[np.ndarray, "1 channel height width"]
    ) -> Float[np.ndarray, "channel height width"]:
        """Return the refined image: float32, code values, neither rounded nor clipped."""
        (refined,) = self.restorer.restore(
            [
                restorers.Degraded(
                    name="",
                    image=self.degraded,
                    shape=self.shape,
                    bits=self.degraded.dtype.itemsize * 8,
                    scale=self.shape[0] // self.degraded.shape[0],
                    degradation=None,
                    base=np.moveaxis(x[0], 0, 2),
                )
            ]
        )
        return np.ascontiguousarray(np.moveaxis(refined, 2, 0), np.float32)

    def weights(self, x: Shaped[np.ndarray, "1 channel height width"]) -> None:
        """Return None: the refined image is no weighted sum."""
        return
