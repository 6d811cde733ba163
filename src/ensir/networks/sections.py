"""Sections about networks: how they run, what guides a refiner, how denoisers and refiners are trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ensir.errors import InputError
from ensir.execution import extras
from ensir.networks import pieces
from ensir.networks.shipped import SHIPPED_DAES
from ensir.section import Context, Name, Problem, Section, check_inputs, sections, texts, unknown

LEARNING_RATE = 1e-3  # of Adam, where nothing else is set
CLIP_FILES = ("config.json", "model.safetensors")  # of a folder in which transformers saves a CLIP
TRANSFORMERS = "prior clip: needs transformers", "clip"  # and the extra that brings it
NETWORKS = r"^[A-Za-z0-9][A-Za-z0-9_-]*$|\.(pth|pt|ckpt|safetensors)$"
NETWORKS_TITLE = (
    "sigma11, sigma25, name of one of `denoisers`, or path that ends in .pth, .pt, .ckpt or .safetensors"
)

ALSO_DEGRADED = (
    "is to be enlarged, but its input is also degraded in another way ({}); only inputs that were downscaled and "
    "nothing else can be enlarged"
)

Weights = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$|\.safetensors$",
        title="sigma11, sigma25, name of one of `denoisers`, or path that ends in .safetensors",
    ),
]
Precision = Annotated[
    Literal["float32", "bfloat16"], Field(description="precision of the network's arithmetic")
]
Component = Literal["sve", "channel", "spatial", "position"]


class Computed(Section):
    """What all models have that run on a GPU, where there is one."""

    device: Literal["auto", "cpu", "cuda"] | None = Field(
        None, description="where it runs; null: as `compute.device` says"
    )


class Tiled(Section):
    """How large images are cut."""

    tile: int | None = Field(
        None,
        ge=32,
        le=65_536,
        description="longest side of a piece, in input pixels; null: 512, or whole images",
    )
    overlap: int = Field(64, ge=0, le=4096, description="pixels that neighbouring pieces share")

    multiple_of: ClassVar[int] = 1
    """What both sides of an input must be multiples of, as far as that is known here."""

    cut_at: ClassVar[int | None] = None
    """Longest side of a piece where `tile` is null, if images are cut then, as far as that is known here."""

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that pieces are larger than what they share."""
        yield from super().check(context)
        tile, overlap = context.section.get("tile"), context.section.get("overlap", Tiled().overlap)
        tile = cls.cut_at if tile is None else tile
        multiple = context.section.get("multiple", cls.multiple_of)
        if type(tile) is type(overlap) is type(multiple) is int and multiple > 0:
            try:
                pieces.check_room(pieces.aligned(tile, multiple, 1), overlap, multiple)
            except InputError as error:
                yield Problem(f"{context.key}.tile", str(error))


class NetworkModel(Computed, Tiled):
    """What all networks have."""

    batch: int = Field(1, ge=1, le=65_536, description="images or pieces of one size that go through at once")


class NoPrior(Section):
    """Nothing guides the refiner."""

    kind: Literal["none"]


class ClipPrior(Section):
    """Features of CLIP's image encoder; needs `pip install 'ensir-flow[clip]'`."""

    kind: Literal["clip"]
    path: str = Field(
        description="folder with `config.json` and `model.safetensors`, as transformers saves them"
    )
    spatial: bool = Field(False, description="features of the patches (2-D) instead of the image's (1-D)")


class RestorationPrior(Section):
    """Features of a restoration network that keeps the size: what its last convolution gets."""

    kind: Literal["restoration"]
    network: str = Field(
        "sigma25",
        pattern=NETWORKS,
        title=NETWORKS_TITLE,
        description="a denoising autoencoder, or a network that spandrel knows",
    )
    spatial: bool = Field(True, description="features of the pixels (2-D) instead of their mean (1-D)")


class BasePrior(Section):
    """Features of the base model itself, which is of kind `dae` or `checkpoint`."""

    kind: Literal["base"]
    spatial: bool = Field(True, description="features of the pixels (2-D) instead of their mean (1-D)")


Prior = Annotated[NoPrior | ClipPrior | RestorationPrior | BasePrior, Field(discriminator="kind")]


class RefinerTraining(Section):
    """How a refiner is trained, on images that are in no reference or test set of an experiment with it."""

    dataset: Name = Field(description="name of the dataset to learn from, targets and inputs")
    steps: int = Field(20_000, ge=1, le=10**9, description="steps; an interrupted training resumes")
    patch: int = Field(64, ge=16, le=4096, description="side of a square patch, in pixels, a multiple of 4")
    batch: int = Field(8, ge=1, le=65_536, description="patches of one step")
    learning_rate: float = Field(LEARNING_RATE, gt=0, description="of Adam, lowered along half a cosine")
    validation: int = Field(8, ge=1, le=10**6, description="images held out to measure the PSNR")
    every: int = Field(500, ge=1, le=10**9, description="steps from one measurement to the next")
    patience: int | None = Field(
        None,
        ge=1,
        le=10**6,
        description="measurements without a better PSNR after which it stops; null: never",
    )
    perceptual: str | None = Field(
        None,
        pattern=NETWORKS,
        title=NETWORKS_TITLE,
        description="network whose features of output and target are compared, too, with a weight of 0.1",
    )
    precision: Precision = "float32"
    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of the first weights and of the patches")

    @property
    def course(self) -> dict[str, Any]:
        """What its weights depend on besides its files, as plain data."""
        return self.model_dump(exclude={"dataset", "perceptual"})


class Refiner(Tiled):
    """What all refiners have: either `training` or `weights` that were trained before."""

    multiple_of: ClassVar[int] = 4
    refines: ClassVar[str]
    """The field that names what is refined."""

    prior: Prior = Field(description="what guides it: features of a pre-trained network")
    training: RefinerTraining | None = Field(None, description="how it is trained here")
    weights: str | None = Field(
        None,
        pattern=r"\.safetensors$",
        title="path that ends in .safetensors",
        description="weights from `ensir ptgrm train` or another run, with the same prior",
    )
    without: list[Component] = Field(
        [],
        description="components to leave out: spatial-varying enhancement, channel or spatial attention, position "
        "embedding",
    )
    plain: bool = Field(
        False, description="a plain convolutional network of the same size instead; `prior: {kind: none}`"
    )

    @property
    def refined(self) -> str:
        """The name of what is refined."""
        refined: str = getattr(self, self.refines)
        return refined

    def try_out(self) -> None:
        """Check that transformers is installed, for CLIP."""
        if isinstance(self.prior, ClipPrior):
            extras.check(*TRANSFORMERS, "transformers")

    @property
    def seen(self) -> dict[str, Any]:
        """What its images depend on, as plain data, without its files, which are inputs."""
        return {
            "prior": self.prior.model_dump(exclude={"network", "path"}),
            "architecture": {"without": sorted(self.without), "plain": self.plain},
            "tile": self.tile,
            "overlap": self.overlap,
        }

    @property
    def traced(self) -> dict[str, Any]:
        """See `Section`; without the files of its networks, which are inputs."""
        return {"kind": self.model_dump()["kind"], **self.seen}

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check what guides a refiner, and what it learns from."""
        yield from super().check(context)
        key, section, datasets = context.key, context.section, sections(context.config, "datasets")
        training, weights = section.get("training"), section.get("weights")
        if bool(training) == bool(weights):
            yield Problem(
                f"{key}.training", "give either `training` or `weights`" + ", not both" * bool(training)
            )
        prior = section["prior"] if isinstance(section.get("prior"), dict) else {}
        training = training if isinstance(training, dict) else {}
        if section.get("plain") is True and prior.get("kind") != "none":
            yield Problem(f"{key}.prior", "a plain network uses none; set `prior: {kind: none}`")
        refined = section.get(cls.refines)
        base = context.models.get(refined) if isinstance(refined, str) else None
        if (
            prior.get("kind") == "base"
            and isinstance(refined, str)
            and not getattr(base, "gives_features", False)
        ):
            yield Problem(
                f"{key}.prior.kind",
                f"'base' takes the features of {refined!r}, which must be a model of kind `dae` or `checkpoint`",
            )
        for where, network in (
            ("prior.network", prior.get("network")),
            ("training.perceptual", training.get("perceptual")),
        ):
            if isinstance(network, str) and "." not in network:
                yield from check_weights(context, where, network)
        patch = training.get("patch")
        if type(patch) is int and patch % 4:
            yield Problem(f"{key}.training.patch", f"{patch} must be a multiple of 4")
        for learned in texts(training, "dataset"):
            if learned not in datasets:
                yield Problem(
                    f"{key}.training.dataset", unknown(f"{learned!r} is not in datasets", learned, datasets)
                )
                continue
            yield from check_inputs({learned: datasets[learned]}, "refiners learn from inputs")
            for experiment in context.experiments:
                for field in ("reference", "tests"):
                    if learned in texts(experiment, field):
                        yield Problem(
                            f"{key}.training.dataset",
                            f"{learned!r} is the {field.removesuffix('s')} of an experiment with this refiner; "
                            "choose another",
                        )


class Denoiser(Section):
    """A denoising autoencoder that the workflow trains, for models of kind `dae`, `daep` and `dmsp`."""

    photographs: str = Field(
        description="glob of the images to learn from: 8-bit RGB, no smaller than a patch, more than 8"
    )
    sigma: float = Field(gt=0, description="standard deviation of the noise, in levels of 0–255")
    steps: int = Field(20_000, ge=1, le=10**9, description="steps; an interrupted training resumes")
    width: int = Field(64, ge=1, le=4096, description="channels of the hidden layers")
    blocks: int = Field(
        5, ge=1, le=1000, description="residual blocks of two layers each, between a first and a last"
    )
    patch: int = Field(64, ge=16, le=4096, description="side of a square patch, in pixels")
    batch: int = Field(8, ge=1, le=65_536, description="patches of one step")
    learning_rate: float = Field(LEARNING_RATE, gt=0, description="of Adam, lowered over the last steps")
    precision: Precision = "float32"
    seed: int = Field(
        0, ge=0, le=2**32 - 1, description="seed of the first weights, the patches and their noise"
    )

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that its name is not taken."""
        yield from super().check(context)
        if context.name in SHIPPED_DAES:
            yield Problem(context.key, "is the name of weights that ship with the package; choose another")


def check_weights(context: Context, field: str, weights: Any) -> Iterator[Problem]:
    """Check that weights, unless they are a file, name a denoising autoencoder that exists."""
    names = [*SHIPPED_DAES, *sections(context.config, "denoisers")]
    if isinstance(weights, str) and not weights.endswith(".safetensors") and weights not in names:
        yield Problem(f"{context.key}.{field}", unknown(f"{weights!r} is not in denoisers", weights, names))
