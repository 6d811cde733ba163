"""The one schema of the configuration: what may be said, in which units, with which defaults."""

from __future__ import annotations

from math import gcd
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Name = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", title="name (letters and digits, then also - and _)")
]
Function = Annotated[str, Field(pattern=r"^[\w.]+:\w+$", title="package.module:name")]
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
    kernel: Literal["gaussian", "disk", "motion"] = Field("gaussian", description="shape of the kernel")
    width: float = Field(
        1.6,
        gt=0,
        description="standard deviation (gaussian), radius (disk) or length (motion, at 45°), in pixels",
    )
    sigma: float = Field(2.55, ge=0, description="standard deviation of the noise, in levels of 0–255")
    seed: int = Field(0, ge=0, description="seed of the noise")


class Downscale(Strict):
    """Bicubic downscaling as MATLAB's `imresize` does it; targets are cropped to a multiple of the scale."""

    kind: Literal["downscale"]
    scale: int = Field(ge=2, le=8, description="factor")


Degradation = Annotated[Noise | Blur | Downscale, Field(discriminator="kind")]


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
        None, description="makes the inputs from the targets, instead of `input`"
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


class FunctionModel(Strict):
    """A Python function: (height, width, channel) input → prediction of the target's size."""

    kind: Literal["function"]
    function: Function = Field(
        description="a function of a module that can be imported from the working directory"
    )
    options: dict[str, Any] = Field({}, description="keyword arguments of the function")


class ClassicalModel(Strict):
    """A classical algorithm of scikit-image or SciPy."""

    kind: Literal["classical"]
    algorithm: Literal[
        "identity", "tv_chambolle", "wavelet", "nl_means", "bilateral", "median", "gaussian", "wiener",
        "richardson_lucy", "unsharp", "nearest", "bilinear", "bicubic", "lanczos", "back_projection",
    ] = Field(description="which; the last five upscale")  # fmt: skip
    options: dict[str, Any] = Field({}, description="keyword arguments of the algorithm")


class Network(Strict):
    """What all networks have."""

    tile: int | None = Field(
        None, ge=32, description="longest side of a piece, in input pixels; null: 512, or whole images"
    )
    overlap: int = Field(64, ge=0, description="pixels that neighbouring pieces share")
    batch: int = Field(1, ge=1, description="images or pieces of one size that go through at once")
    device: Literal["auto", "cpu", "cuda"] | None = Field(
        None, description="where it runs; null: as `compute.device` says"
    )


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


Model = Annotated[
    FolderModel | FunctionModel | ClassicalModel | CheckpointModel | ExportedModel,
    Field(discriminator="kind"),
]


# ── experiments ─────────────────────────────────────────────────────────────────────────────────────────────


class Combiner(Strict):
    """What all methods have."""

    needs: ClassVar[Literal["lut", "fit"] | None] = None  # what is made of the reference first


class Average(Combiner):
    """The mean of the predictions."""

    kind: Literal["average"] = "average"


class Zzpm(Combiner):
    """One weight per model and image, by its distance to the mean of the models."""

    kind: Literal["zzpm"] = "zzpm"
    literal: bool = Field(
        False, description="weights proportional to 1/MSE, instead of softmax of 1/(1e-3 + MSE)"
    )


class Refesr(Combiner):
    """One weight per model and image, by its degraded input and the reference: super-resolution only."""

    needs: ClassVar[Literal["lut", "fit"] | None] = "fit"

    kind: Literal["refesr"] = "refesr"


class Regressor(Combiner):
    """Trees of scikit-learn, with its defaults: from the predictions of a value to its target."""

    needs: ClassVar[Literal["lut", "fit"] | None] = "fit"

    samples: int = Field(
        50_000, ge=1, description="values of the reference to fit on, drawn at random; at most all"
    )
    seed: int = Field(0, ge=0, description="seed of the draw and of the fit")


class Bagging(Regressor):
    """Regression trees on resampled values, averaged."""

    kind: Literal["bagging"] = "bagging"
    trees: int = Field(10, ge=1, description="number of trees")


class Adaboost(Regressor):
    """AdaBoost.R2 of 50 regression trees of depth 3."""

    kind: Literal["adaboost"] = "adaboost"


class Rforest(Regressor):
    """A random forest: trees on resampled values, averaged."""

    kind: Literal["rforest"] = "rforest"
    trees: int = Field(100, ge=1, description="number of trees")


class Gbdt(Regressor):
    """Gradient boosting of 100 regression trees of depth 3."""

    kind: Literal["gbdt"] = "gbdt"


class Hgbt(Regressor):
    """Gradient boosting of 100 regression trees on histograms."""

    kind: Literal["hgbt"] = "hgbt"


class Binned(Combiner):
    """What methods with weights per bin set have."""

    needs: ClassVar[Literal["lut", "fit"] | None] = "lut"

    bin_width: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = Field(
        32,
        title="whole number, at least 1, at most 256, or auto",
        description="b: width of a bin, in levels of 0–255; auto: the best of 8, 16, 32, 64, 128 on images that "
        "are held out in turn",
    )
    channels: Literal["joint", "separate"] = Field(
        "joint", description="pool R, G and B in one cell, or fit each on its own"
    )


class Ensir(Binned):
    """Gaussian mixtures per bin set, fitted by EM on the reference (the paper's method)."""

    kind: Literal["ensir"] = "ensir"
    arithmetic: Literal["released", "paper"] = Field(
        "released", description="what the published code computes, or the equations as printed"
    )
    precision: Literal["float64", "float32"] = Field(
        "float64", description="precision of the responsibilities"
    )
    prior: list[float] | None = Field(
        None, description="initial weights, one per model (released arithmetic)"
    )
    max_steps: int = Field(1000, ge=1, description="EM stops after this many steps")


class LeastSquares(Binned):
    """Weights of the least squared error per bin set, not negative, sum one, drawn towards those of all pixels."""

    kind: Literal["least_squares"] = "least_squares"
    strength: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        title="number, at least 0, or auto",
        description="λ of λ‖a − a_global‖², in squared levels of 0–255; auto: the best of 0, 10², …, 10⁸ on images "
        "that are held out in turn",
    )


Method = Annotated[
    Average | Zzpm | Refesr | Bagging | Adaboost | Rforest | Gbdt | Hgbt | Ensir | LeastSquares,
    Field(discriminator="kind"),
]
FINEST_OF_AUTO = 8  # the narrowest bin that a width of "auto" may choose
SWEPT = {"bin_width": "b", "max_steps": "s"}  # the options that `sweep` varies, and how names tell


class Sweep(Strict):
    """Values of one option: each makes one more instance of every `ensir` method, equal in all else.

    Bin width 16 makes `ensir_b16` of `ensir`, 10 steps make `ensir_s10`.
    """

    bin_width: list[Annotated[int, Field(ge=1, le=256)]] = Field([], description="bin widths")
    max_steps: list[Annotated[int, Field(ge=1)]] = Field([], description="steps after which EM stops")

    def instances(self, name: str, method: Ensir) -> dict[str, Ensir]:
        """Return the instances of a method, by name."""
        return {
            f"{name}_{letter}{value}": method.model_copy(update={option: value})
            for option, letter in SWEPT.items()
            for value in getattr(self, option)
        }


class Metric(Strict):
    """A function of (target, result), floats of 0–255, that returns one number."""

    function: Function = Field(
        description="gets (height, width, channel) arrays, cropped and in the space of the score"
    )
    higher_is_better: bool = Field(description="whether the larger of two values is the better one")


METRICS = {name: {"function": f"ensir.metrics:{name}", "higher_is_better": True} for name in ("psnr", "ssim")}


class Score(Strict):
    """How images are compared with their targets."""

    space: Literal["rgb", "y"] = Field("rgb", description="mean over the channels, or BT.601 luma")
    crop: int = Field(0, ge=0, description="border pixels to leave out on each side")
    metrics: dict[Name, Metric] = Field(
        {name: Metric.model_validate(metric) for name, metric in METRICS.items()},
        min_length=1,
        title=f"list of {', '.join(METRICS)}; or named sections, your own metrics among them",
        description="what is computed for each image",
    )
    rounded: bool = Field(False, description="round and clip the fused images first, as a PNG would")

    @field_validator("metrics", mode="before")
    @classmethod
    def _fill_in(cls, metrics: Any) -> Any:
        """Take a list of names, or ``{psnr: {}, mine: {function: …, higher_is_better: …}}``."""
        if isinstance(metrics, list) and all(isinstance(name, str) and name in METRICS for name in metrics):
            metrics = dict.fromkeys(metrics)
        if not isinstance(metrics, dict):
            return metrics
        return {
            name: {**METRICS.get(name, {}), **(options or {})}
            if isinstance(options, dict | None)
            else options
            for name, options in metrics.items()
        }


class Experiment(Strict):
    """Models, a reference, tests and methods."""

    models: list[Name] = Field(
        min_length=2, description="names of the base models, in the order of the weights"
    )
    reference: Name = Field(description="dataset on which methods are fitted")
    tests: list[Name] = Field(min_length=1, description="datasets that are fused and scored")
    score: Score = Field(Score(), description="how images are compared with their targets")
    methods: dict[Name, Method] = Field(
        min_length=1, description="named instances; `kind` defaults to the name"
    )
    sweep: Sweep = Field(Sweep(), description="makes further instances of the `ensir` methods")
    allow_overlap: list[str] = Field([], description="names of test images that may be in the reference too")
    png: bool = Field(False, description="write the fused images as PNG files, too")

    @field_validator("methods", mode="before")
    @classmethod
    def _name_kinds(cls, methods: Any) -> Any:
        """Let the kind of a method default to its name: ``ensir: {bin_width: 16}``, or just ``ensir:``."""
        if not isinstance(methods, dict):
            return methods
        return {
            name: {"kind": name, **(options or {})} if isinstance(options, dict | None) else options
            for name, options in methods.items()
        }

    def model_post_init(self, context: Any) -> None:
        """Add the instances that `sweep` makes to the methods."""
        for name, method in list(self.methods.items()):
            if isinstance(method, Ensir):
                self.methods.update(self.sweep.instances(name, method))

    @property
    def bin_width(self) -> int | None:
        """The finest width that the methods need, their greatest common divisor; None without bins."""
        binned = [method.bin_width for method in self.methods.values() if isinstance(method, Binned)]
        return gcd(*(FINEST_OF_AUTO if width == "auto" else width for width in binned)) or None


class Compute(Strict):
    """How the work is done; no result depends on it."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where EM and networks run")
    shards: int = Field(1, ge=1, description="jobs among which EM is split")
    scheduler: Literal["threads", "processes"] = Field(
        "threads", description="Dask scheduler of the partition"
    )


class Config(Strict):
    """A whole configuration."""

    datasets: dict[Name, AnyDataset] = Field(min_length=1, description="images, by name")
    models: dict[Name, Model] = Field(min_length=2, description="base models, by name")
    experiments: dict[Name, Experiment] = Field(min_length=1, description="what is compared, by name")
    compute: Compute = Field(Compute(), description="how the work is done")
