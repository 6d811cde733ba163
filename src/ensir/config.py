"""The one schema of the configuration: what may be said, in which units, with which defaults.

Datasets and models stand in `config_data`, all that is made of them here.
"""

from __future__ import annotations

from math import gcd
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from ensir.config_data import AnyDataset, Denoiser, Function, Model, Name, NoPrior, Refiner, Strict

# ── experiments ─────────────────────────────────────────────────────────────────────────────────────────────


class Combiner(Strict):
    """What all methods have."""

    needs: ClassVar[Literal["lut", "fit"] | None] = None  # what is made of the reference first
    weighs: ClassVar[bool] = True  # whether the fused image is a weighted sum of the predictions


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
    weighs: ClassVar[bool] = False

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
    max_steps: int = Field(
        1000,
        ge=1,
        description="EM stops after this many steps; released arithmetic takes one more, as the "
        "published code does",
    )


class LeastSquares(Binned):
    """Weights of the least squared error per bin set, not negative, sum one, drawn towards those of all pixels."""

    kind: Literal["least_squares"] = "least_squares"
    strength: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        title="number, at least 0, or auto",
        description="λ of λ‖a − a_global‖², in squared levels of 0–255; auto: the best of 0, 10², …, 10⁸ on images "
        "that are held out in turn",
    )


Ablation = Literal[
    "without_sve", "without_channel", "without_spatial", "without_position", "prior_1d", "prior_2d",
    "unguided", "plain",
]  # fmt: skip


class Ptgrm(Combiner, Refiner):
    """PTG-RM (Xu 2024): refines the fused images of another method, or the predictions of one model."""

    weighs: ClassVar[bool] = False

    kind: Literal["ptgrm"] = "ptgrm"
    after: Name = Field(description="name of the method, or of the model, whose images are refined")

    def ablated(self, ablation: Ablation) -> Ptgrm:
        """Return the method of an ablation of the paper."""
        match ablation:
            case "prior_1d" | "prior_2d":
                change: dict[str, Any] = {"spatial": ablation == "prior_2d"}
                return self.model_copy(update={"prior": self.prior.model_copy(update=change)})
            case "unguided" | "plain":
                return self.model_copy(update={"prior": NoPrior(kind="none"), "plain": ablation == "plain"})
        return self.model_copy(update={"without": [ablation.removeprefix("without_")]})


Method = Annotated[
    Average | Zzpm | Refesr | Bagging | Adaboost | Rforest | Gbdt | Hgbt | Ensir | LeastSquares | Ptgrm,
    Field(discriminator="kind"),
]
FINEST_OF_AUTO = 8  # the narrowest bin that a width of "auto" may choose
SWEPT = {"bin_width": "b", "max_steps": "s"}  # the options that `sweep` varies, and how names tell


class Sweep(Strict):
    """Values of one option: each makes one more instance of every `ensir` method, or `ptgrm` for `ablation`.

    Bin width 16 makes `ensir_b16` of `ensir`, 10 steps make `ensir_s10`; the ablation `plain` makes `refined_plain`.
    """

    bin_width: list[Annotated[int, Field(ge=1, le=256)]] = Field([], description="bin widths")
    max_steps: list[Annotated[int, Field(ge=1)]] = Field([], description="steps after which EM stops")

    ablation: list[Ablation] = Field(
        [], description="refiners without a component, with another prior, or plain ones"
    )

    def instances(self, name: str, method: Method) -> dict[str, Method]:
        """Return the instances of a method, by name."""
        if isinstance(method, Ensir):
            return {
                f"{name}_{letter}{value}": method.model_copy(update={option: value})
                for option, letter in SWEPT.items()
                for value in getattr(self, option)
            }
        if isinstance(method, Ptgrm):
            return {f"{name}_{ablation}": method.ablated(ablation) for ablation in self.ablation}
        return {}


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


class Figures(Strict):
    """What the figures show; `images` holds for the pictures of the report, too."""

    images: dict[Name, str] = Field(
        {},
        title="names of images by test set",
        description="which image of a test set is pictured; the first where none is named",
    )
    bin_sets: list[list[Annotated[int, Field(ge=0, le=255)]]] = Field(
        [],
        title="list of lists of whole numbers, 0–255",
        description="bin sets whose distributions are drawn, each named by one level of every model that lies in it; "
        "without any, the two with the most values, and the two with the most where the models differ",
    )
    network: str | None = Field(
        None,
        pattern=r"\.(pt2|onnx)$",
        title="path that ends in .pt2 or .onnx",
        description="program whose output are the features that are drawn: gets (image, channel, height, width) in "
        "[0, 1]; null: intensity, edges and texture at four scales, by scikit-image",
    )


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
    sweep: Sweep = Field(Sweep(), description="makes further instances of the `ensir` and `ptgrm` methods")
    allow_overlap: list[str] = Field([], description="names of test images that may be in the reference too")
    png: bool = Field(False, description="write the fused images as PNG files, too")
    expected_error: bool = Field(
        False,
        description="methods with a LUT also write the expected squared error of each fused value: "
        "`expected_squared_error` of the fused store",
    )
    figures: Figures = Field(Figures(), description="what figures and pictures show")

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


class Dask(Strict):
    """Where a reference is counted and the images of a part are fused; no result depends on it."""

    scheduler: Literal["threads", "processes", "slurm"] | Annotated[str, Field(pattern="^tcp://.")] = Field(
        "threads",
        title="threads, processes, slurm, or an address that starts with tcp://",
        description="on the job's own cores; by workers that the job starts under Slurm (needs `pip install "
        "'ensir-flow[slurm]'`); or by those of a Dask scheduler that runs already",
    )
    workers: int = Field(4, ge=1, description="slurm: jobs, each a worker")
    cores: int = Field(4, ge=1, description="slurm: threads of a worker")
    memory: str = Field(
        "8GB", pattern=r"^\d+ ?[MGT]i?B$", title="text such as 8GB", description="slurm: memory of a worker"
    )
    walltime: str = Field(
        "02:00:00",
        pattern=r"^(\d+-)?\d+:\d\d:\d\d$",
        title="text such as 02:00:00 or 1-12:00:00",
        description="slurm: time that a worker may take",
    )
    queue: str | None = Field(
        None, description="slurm: partition of the workers; null: the cluster's default"
    )
    account: str | None = Field(None, description="slurm: account that pays for the workers")

    @property
    def elsewhere(self) -> bool:
        """Whether the job itself only waits."""
        return self.scheduler not in ("threads", "processes")


class Report(Strict):
    """The page that people look at."""

    megabytes: int = Field(
        30,
        ge=1,
        description="size of the page, at most: where there are many or large pictures, they are shown smaller, with "
        "one close-up each at their own pixels",
    )


class Config(Strict):
    """A whole configuration."""

    datasets: dict[Name, AnyDataset] = Field(min_length=1, description="images, by name")
    models: dict[Name, Model] = Field(min_length=2, description="base models, by name")
    denoisers: dict[Name, Denoiser] = Field({}, description="denoising autoencoders to be trained, by name")
    experiments: dict[Name, Experiment] = Field(min_length=1, description="what is compared, by name")
    compute: Compute = Field(Compute(), description="how the work is done")
    dask: Dask = Field(Dask(), description="where a reference is counted and parts are fused")
    report: Report = Field(Report(), description="the page that people look at")
