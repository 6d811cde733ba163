"""The first half of the schema: what experiments work on, datasets and models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", title="name (letters and digits, then also - and _)")
]
Function = Annotated[str, Field(pattern=r"^[\w.]+:\w+$", title="package.module:name")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", title="SHA-256 (64 digits of 0–9 and a–f)")]
Photo = Literal["astronaut", "chelsea", "china", "coffee", "flower", "hubble", "motorcycle", "rocket"]


class Strict(BaseModel):
    """A section of the configuration: unknown keys and loose types are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


# ── datasets ────────────────────────────────────────────────────────────────────────────────────────────────


class Noise(Strict):
    """Additive white Gaussian noise, rounded to integers and clipped to the range of the image."""

    kind: Literal["noise"]
    sigma: float = Field(gt=0, description="standard deviation, in levels of 0–255")
    seed: int = Field(0, ge=0, description="seed; each image draws its own noise from the seed and its name")


class Blur(Strict):
    """Blur by a kernel of sum one (borders replicated), then noise."""

    kind: Literal["blur"]
    kernel: str = Field(
        "gaussian",
        pattern=r"^(gaussian|disk|motion)$|\.(mat|npy|png|tiff?)$",
        title="gaussian, disk, motion, or path that ends in .mat, .npy, .png or .tif",
        description="shape of the kernel, or the file that holds it",
    )
    width: float = Field(
        1.6,
        gt=0,
        description="standard deviation (gaussian), radius (disk) or length (motion, at 45°), in pixels",
    )
    number: int = Field(1, ge=1, description="which of the kernels that a `.mat` file holds")
    mirrored: bool = Field(
        False, description="the kernel of a file is turned by 180°, as where it was made for a correlation"
    )
    sigma: float = Field(2.55, ge=0, description="standard deviation of the noise, in levels of 0–255")
    seed: int = Field(0, ge=0, description="seed of the noise")


class Downscale(Strict):
    """Bicubic downscaling as MATLAB's `imresize` does it; targets are cropped to a multiple of the scale."""

    kind: Literal["downscale"]
    scale: int = Field(ge=2, le=8, description="factor")


class Mask(Strict):
    """Pixels that are missing, each at random on its own: black in the input."""

    kind: Literal["mask"]
    missing: float = Field(gt=0, lt=1, description="share of the pixels")
    sigma: float = Field(0.0, ge=0, description="standard deviation of the noise, in levels of 0–255")
    seed: int = Field(0, ge=0, description="seed of the mask and of the noise")


Degradation = Annotated[Noise | Blur | Downscale | Mask, Field(discriminator="kind")]


class Dataset(Strict):
    """What all datasets have."""

    images_per_part: int = Field(
        16, ge=1, description="images of one job; a later change holds for images that have no part yet"
    )
    licence: str | None = Field(None, description="licence of the images, stored with them")
    citation: str | None = Field(None, description="citation of the images, stored with them")


class FolderDataset(Dataset):
    """Images in folders: targets and, where models run here, their degraded inputs."""

    kind: Literal["folder"]
    target: str = Field(description="glob of the target images; sub-folders belong to the name")
    input: str | None = Field(None, description="glob of the degraded inputs, matched to the targets by name")
    target_suffix: str = Field("", description="end of the target stems that is not part of the name")
    input_suffix: str = Field(
        "", description="end of the input stems that is not part of the name, e.g. `x4`"
    )
    exclude: list[str] = Field([], description="names (or wildcards of names) to leave out")
    scale: int = Field(1, ge=1, description="size of a target over the size of its input")
    crop: Literal["center", "topleft"] | None = Field(
        None,
        description="where predictions are a few border pixels smaller than the targets: what is kept of a "
        "larger image; without it, sizes that differ are an error",
    )
    degradation: Degradation | None = Field(
        None, description="makes the inputs from the targets; beside `input`, tells how those were made"
    )


class PhotosDataset(Dataset):
    """Photographs that ship inside scikit-image and scikit-learn, degraded on the fly."""

    kind: Literal["photos"]
    images: list[Photo] = Field(min_length=1, description="which photographs")
    size: int | None = Field(None, ge=16, description="crop the middle to at most this many pixels each way")
    degradation: Degradation = Field(description="how the inputs are made from the photographs")


AnyDataset = Annotated[FolderDataset | PhotosDataset, Field(discriminator="kind")]


# ── models ──────────────────────────────────────────────────────────────────────────────────────────────────


class FolderModel(Strict):
    """Predictions that exist already: images, or arrays (height, width, channel) in `.npy` and HDF5 files."""

    kind: Literal["folder"]
    path: str = Field(description="glob of the predictions; `{dataset}` stands for the dataset's name")
    suffix: str = Field("", description="end of the file stems that is not part of the image name")
    value_range: list[float] | None = Field(None, description="black and white of arrays of floats")
    array: str | None = Field(None, description="path of the array in HDF5 files that hold more than one")
    any_range: bool = Field(
        False,
        description="accept floats far outside `value_range`, or black where the targets are not",
    )


class StoreModel(Strict):
    """Predictions that somebody shares: a sealed store at a path or URL, as `ensir publish` leaves it."""

    kind: Literal["store"]
    path: str = Field(
        pattern=r"^(s3://|https?://)[^?#@]+$|^[^:?#]+$",
        title="path, s3:// or http(s):// URL without user and query",
        description="where it is; `{dataset}` stands for the dataset's name; S3 credentials come from the environment",
    )
    digests: dict[Name, Digest] = Field(
        {},
        title="SHA-256 by dataset",
        description="what `ensir publish` printed, by dataset: any other store is an error",
    )
    fetch: bool = Field(False, description="copy the predictions, instead of reading them where they are")


class FunctionModel(Strict):
    """A Python function: (height, width, channel) input → prediction of the target's size."""

    kind: Literal["function"]
    function: Function = Field(
        description="a function of a module that can be imported from the working directory"
    )
    options: dict[str, Any] = Field({}, description="keyword arguments of the function")
    any_range: bool = Field(
        False,
        description="accept floats far outside the code values, or black where the targets are not",
    )


class ClassicalModel(Strict):
    """A classical algorithm of scikit-image or SciPy."""

    kind: Literal["classical"]
    algorithm: Literal[
        "identity", "tv_chambolle", "wavelet", "nl_means", "bilateral", "median", "gaussian", "wiener",
        "richardson_lucy", "unsharp", "nearest", "bilinear", "bicubic", "lanczos", "back_projection",
    ] = Field(description="which; the last five upscale")  # fmt: skip
    options: dict[str, Any] = Field({}, description="keyword arguments of the algorithm")


class Computed(Strict):
    """What all models have that run on a GPU where there is one."""

    device: Literal["auto", "cpu", "cuda"] | None = Field(
        None, description="where it runs; null: as `compute.device` says"
    )


class Tiled(Strict):
    """How large images are cut."""

    tile: int | None = Field(
        None, ge=32, description="longest side of a piece, in input pixels; null: 512, or whole images"
    )
    overlap: int = Field(64, ge=0, description="pixels that neighbouring pieces share")


class Network(Computed, Tiled):
    """What all networks have."""

    batch: int = Field(1, ge=1, description="images or pieces of one size that go through at once")


class CheckpointModel(Network):
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


class ExportedModel(Network):
    """A network without its source: a program of `torch.export`, or ONNX (needs `pip install 'ensir-flow[onnx]'`)."""

    kind: Literal["exported"]
    path: str = Field(
        pattern=r"\.(pt2|onnx)$", title="path that ends in .pt2 or .onnx", description="file of the program"
    )
    value_range: list[float] = Field([0.0, 1.0], description="black and white, as the network was trained")
    multiple: int = Field(1, ge=1, description="what both sides of an input must be multiples of")
    any_range: bool = Field(
        False,
        description="accept images far outside `value_range`, or black where the targets are not",
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


class DaeModel(Network):
    """A denoising autoencoder: takes Gaussian noise of the σ that it was trained for from colour images."""

    kind: Literal["dae"]
    dae: Weights = Field("sigma25", description="its weights: two ship with the package")
    precision: Precision = "float32"


class DaepModel(Computed):
    """Denoising autoencoder priors (Bigdeli 2018): deblurring, super-resolution, missing pixels, noise."""

    kind: Literal["daep"]
    dae: Weights = Field("sigma25", description="weights of its denoising autoencoder")
    dae_sigma: float | None = Field(
        None, gt=0, description="noise that it was trained for; null: as its file says, or 25"
    )
    steps: int = Field(300, ge=1, description="steps of the descent")
    precision: Precision = "float32"
    seed: int = Field(0, ge=0, description="seed of the noise of the steps")


class DmspModel(Computed):
    """Deep mean-shift priors (Bigdeli 2017): deblurring, missing pixels, noise, of known or unknown strength."""

    kind: Literal["dmsp"]
    dae: Weights = Field("sigma11", description="weights of its denoising autoencoder")
    dae_sigma: float | None = Field(
        None, gt=0, description="noise that it was trained for; null: as its file says, or 11"
    )
    steps: int = Field(300, ge=1, description="steps of the descent")
    noise_blind: bool = Field(False, description="estimate the noise at every step, instead of being told")
    kernel_size: int | None = Field(
        None,
        ge=3,
        description="experimental: estimate a kernel of this odd size too; null: the dataset's is known",
    )
    precision: Precision = "float32"
    seed: int = Field(0, ge=0, description="seed of the noise of the steps")


# ── the refiner ─────────────────────────────────────────────────────────────────────────────────────────────

NETWORKS = r"^[A-Za-z0-9][A-Za-z0-9_-]*$|\.(pth|pt|ckpt|safetensors)$"
NETWORKS_TITLE = (
    "sigma11, sigma25, name of one of `denoisers`, or path that ends in .pth, .pt, .ckpt or .safetensors"
)


class NoPrior(Strict):
    """Nothing guides the refiner."""

    kind: Literal["none"]


class ClipPrior(Strict):
    """Features of CLIP's image encoder; needs `pip install 'ensir-flow[clip]'`."""

    kind: Literal["clip"]
    path: str = Field(
        description="folder with `config.json` and `model.safetensors`, as transformers saves them"
    )
    spatial: bool = Field(False, description="features of the patches (2-D) instead of the image's (1-D)")


class RestorationPrior(Strict):
    """Features of a restoration network that keeps the size: what its last convolution gets."""

    kind: Literal["restoration"]
    network: str = Field(
        "sigma25",
        pattern=NETWORKS,
        title=NETWORKS_TITLE,
        description="a denoising autoencoder, or a network that spandrel knows",
    )
    spatial: bool = Field(True, description="features of the pixels (2-D) instead of their mean (1-D)")


class BasePrior(Strict):
    """Features of the base model itself, which is of kind `dae` or `checkpoint`."""

    kind: Literal["base"]
    spatial: bool = Field(True, description="features of the pixels (2-D) instead of their mean (1-D)")


Prior = Annotated[NoPrior | ClipPrior | RestorationPrior | BasePrior, Field(discriminator="kind")]


class RefinerTraining(Strict):
    """How a refiner is trained, on images that no experiment with it refers to or tests on."""

    dataset: Name = Field(description="name of the dataset to learn from, targets and inputs")
    steps: int = Field(20_000, ge=1, description="steps; a training that was stopped goes on")
    patch: int = Field(64, ge=16, description="side of a square patch, in pixels, a multiple of 4")
    batch: int = Field(8, ge=1, description="patches of one step")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam, lowered along half a cosine")
    validation: int = Field(8, ge=1, description="images that are kept back to measure the PSNR")
    every: int = Field(500, ge=1, description="steps from one measurement to the next")
    patience: int | None = Field(
        None, ge=1, description="measurements without a better PSNR after which it stops; null: never"
    )
    perceptual: str | None = Field(
        None,
        pattern=NETWORKS,
        title=NETWORKS_TITLE,
        description="network whose features of output and target are compared, too, with a weight of 0.1",
    )
    precision: Precision = "float32"
    seed: int = Field(0, ge=0, description="seed of the first weights and of the patches")

    @property
    def course(self) -> dict[str, Any]:
        """What its weights depend on beside its files, as plain data."""
        return self.model_dump(exclude={"dataset", "perceptual"})


Component = Literal["sve", "channel", "spatial", "position"]


class Refiner(Tiled):
    """What all refiners have: either `training` or `weights` that were trained before."""

    prior: Prior = Field(description="what guides it: features of a pre-trained network")
    training: RefinerTraining | None = Field(None, description="how it is trained here")
    weights: str | None = Field(
        None,
        pattern=r"\.safetensors$",
        title="path that ends in .safetensors",
        description="what `ensir ptgrm train` or another run has trained, with the same prior",
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
    def seen(self) -> dict[str, Any]:
        """What its images depend on, as plain data: its files are inputs, and stand elsewhere."""
        return {
            "prior": self.prior.model_dump(exclude={"network", "path"}),
            "architecture": {"without": sorted(self.without), "plain": self.plain},
            "tile": self.tile,
            "overlap": self.overlap,
        }


class PtgrmModel(Refiner, Network):
    """PTG-RM (Xu 2024): refines the predictions of another model, guided by a pre-trained network."""

    kind: Literal["ptgrm"]
    base: Name = Field(description="name of the model whose predictions are refined")


Model = Annotated[
    FolderModel
    | StoreModel
    | FunctionModel
    | ClassicalModel
    | CheckpointModel
    | ExportedModel
    | DaeModel
    | DaepModel
    | DmspModel
    | PtgrmModel,
    Field(discriminator="kind"),
]


# ── denoisers ───────────────────────────────────────────────────────────────────────────────────────────────


class Denoiser(Strict):
    """A denoising autoencoder that the workflow trains, for models of kind `dae`, `daep` and `dmsp`."""

    photographs: str = Field(description="glob of the images to learn from, 8-bit RGB")
    sigma: float = Field(gt=0, description="standard deviation of the noise, in levels of 0–255")
    steps: int = Field(20_000, ge=1, description="steps; a training that was stopped goes on")
    width: int = Field(64, ge=1, description="channels of the hidden layers")
    blocks: int = Field(5, ge=1, description="residual blocks of two layers each, between a first and a last")
    patch: int = Field(64, ge=16, description="side of a square patch, in pixels")
    batch: int = Field(8, ge=1, description="patches of one step")
    learning_rate: float = Field(1e-3, gt=0, description="of Adam, lowered over the last steps")
    precision: Precision = "float32"
    seed: int = Field(0, ge=0, description="seed of the first weights, the patches and their noise")
