"""What the sections of both mean-shift restorers share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from ensir.errors import InputError
from ensir.networks import heads
from ensir.networks.sections import ALSO_DEGRADED, Computed, Precision, Weights, check_weights
from ensir.restorers import RestorerModel
from ensir.section import Context, Problem, input_scale, sections

if TYPE_CHECKING:
    from ensir.planning.networks import Networks


class MeanShiftModel(Computed, RestorerModel):
    """What both mean-shift restorers have."""

    dae: Weights
    dae_sigma: float | None
    steps: int = Field(300, ge=1, le=10**6, description="steps of the descent")
    precision: Precision = "float32"
    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of the noise of the steps")

    enlarges: ClassVar[bool] = True
    """Whether it restores inputs that are smaller than their targets."""

    one_by_one: ClassVar[bool] = True
    untraced: ClassVar[frozenset[str]] = frozenset({"dae", "device"})

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check the weights, and that datasets describe how their inputs were made."""
        yield from super().check(context)
        weights, asked = (context.section.get(name) for name in ("dae", "dae_sigma"))
        yield from check_weights(context, "dae", weights)
        own = sections(context.config, "denoisers").get(str(weights), {}).get("sigma")
        if all(isinstance(sigma, int | float) for sigma in (own, asked)):
            try:
                heads.check_noise(str(weights), own, asked)
            except InputError as error:
                yield Problem(f"{context.key}.dae_sigma", str(error))
        for name, dataset in context.datasets.items():
            degradation = dataset.get("degradation")
            known = degradation if isinstance(degradation, dict) else {}
            if not known and dataset.get("scale", 1) == 1:
                yield Problem(
                    f"datasets.{name}.degradation",
                    f"is missing: model {context.name!r} has to know how the inputs were made; together with `input`, "
                    "it describes that",
                )
            elif cls.enlarges and input_scale(dataset) > 1 and known.get("kind") not in (None, "downscale"):
                yield Problem(
                    f"{context.key}.kind", f"dataset {name!r}: {ALSO_DEGRADED.format(known['kind'])}"
                )

    def network(self, key: str, networks: Networks) -> list[str]:
        """Return the file of the weights of its denoising autoencoder."""
        return [networks.weights(f"{key}.dae", self.dae)]

    def check_network(self, files: Sequence[str], device: str = "auto") -> None:
        """Check that the file holds a DAE, for the noise that it is said to be for."""
        heads.check_noise(files[0], heads.noise_of(files[0]), self.dae_sigma)
