"""The schema of a configuration: its keys, their units and their defaults.

The options of a kind of dataset, model, method, metric or figure are declared by the kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model, field_validator

from ensir import registry
from ensir.datasets import Dataset
from ensir.figures import PaperFigure
from ensir.methods import CombiningMethod
from ensir.metrics import Metric
from ensir.networks.sections import Denoiser
from ensir.restorers import RestorerModel
from ensir.section import Context, Name, Problem, Section, texts, unknown

if TYPE_CHECKING:
    AnyDataset = Dataset
    AnyModel = RestorerModel
    AnyMethod = CombiningMethod
    AnyMetric = Metric
else:
    AnyDataset, AnyModel, AnyMethod, AnyMetric = map(
        registry.any_of, ("datasets", "restorers", "methods", "metrics")
    )
DEFAULT_METRICS = ("psnr", "ssim")
METRICS = {kind: section for kind, section in registry.sections("metrics").items() if kind != "function"}
NAMED_METRICS = [
    kind
    for kind, section in METRICS.items()
    if not any(field.is_required() for field in section.model_fields.values())
]  # need no options


def _swept() -> dict[str, Any]:
    """Return the fields of `sweep`: every option that a method declares as swept."""
    return {
        option: (list[swept.value], Field([], description=swept.description))
        for section in registry.sections("methods").values()
        for option, swept in section.swept.items()
    }


Sweep = create_model(
    "Sweep",
    __base__=Section,
    __doc__="""Values of one option: each makes one more instance of every method that can be swept.

    Bin width 16 makes `ensir_b16` of `ensir`, 10 steps make `ensir_s10`; the ablation `plain` makes `refined_plain`.
    """,
    **_swept(),
)


def _kind(name: str, options: Any) -> str:
    """Return the kind of a metric that does not say it: a function's if it has one, else that of its name."""
    return "function" if name not in METRICS or "function" in (options or {}) else name


class Score(Section):
    """How images are compared with their targets."""

    space: Literal["rgb", "y"] = Field(
        "rgb", description="mean over the channels, or BT.601 luma; grey images as they are"
    )
    crop: int = Field(0, ge=0, le=65_536, description="border pixels to leave out on each side")
    metrics: dict[Name, AnyMetric] = Field(
        {name: registry.section("metrics", name)() for name in DEFAULT_METRICS},
        min_length=1,
        title=f"list of {', '.join(NAMED_METRICS)}; or named sections, your own metrics among them",
        description="what is computed for each image",
    )
    rounded: bool = Field(False, description="round and clip the fused images first, as a PNG would")

    @field_validator("metrics", mode="before")
    @classmethod
    def _name_kinds(cls, metrics: Any) -> Any:
        """Take a list of names, or ``{psnr: {}, mine: {function: …, higher_is_better: …}}``."""
        if isinstance(metrics, list) and all(
            isinstance(name, str) and name in NAMED_METRICS for name in metrics
        ):
            metrics = dict.fromkeys(metrics)
        if not isinstance(metrics, dict):
            return metrics
        return {
            name: {"kind": _kind(name, options), **(options or {})}
            if isinstance(options, dict | None)
            else options
            for name, options in metrics.items()
        }


def _options_of_figures() -> tuple[type[Section], ...]:
    """Return the sections of the figures that have options."""
    return tuple(section for section in registry.sections("figures").values() if section.model_fields)


class Figures(*_options_of_figures()):  # type: ignore[misc]
    """What the figures show; `images` applies to the pictures of the report, too."""

    images: dict[Name, str] = Field(
        {},
        title="names of images by test set",
        description="which image of a test set is pictured; the first, where none is named. The report has others, too",
    )

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that pictures are of test sets; the options of each figure are checked by its section."""
        yield from super().check(context)
        tests, images = texts(context.experiments[0], "tests"), context.section.get("images")
        for name in images if isinstance(images, dict) else []:
            if name not in tests:
                yield Problem(f"{context.key}.images", unknown(f"{name!r} is not in tests", name, tests))

    def options(self, figure: str) -> PaperFigure:
        """Return the section of one figure."""
        section = registry.section("figures", figure)
        assert issubclass(section, PaperFigure)
        return section(**{name: getattr(self, name) for name in section.model_fields})


class Experiment(Section):
    """Models, a reference, tests and methods."""

    models: list[Name] = Field(
        min_length=2, description="names of the base models, in the order of the weights"
    )
    reference: Name = Field(description="dataset on which methods are fitted")
    tests: list[Name] = Field(min_length=1, description="datasets that are fused and scored")
    score: Score = Field(Score(), description="how images are compared with their targets")
    methods: dict[Name, AnyMethod] = Field(
        min_length=1, description="named instances; `kind` defaults to the name"
    )
    sweep: Sweep = Field(Sweep(), description="makes further instances of methods")
    allow_overlap: list[str] = Field([], description="names of test images that may be in the reference too")
    png: bool = Field(False, description="write the fused images as PNG files, too")
    fused: Literal["keep", "temporary"] = Field(
        "keep",
        description="temporary: fused images are removed once they are scored and written as PNG files; of each test "
        "set, the part with the pictured image stays, for the report and the figures",
    )
    expected_error: bool = Field(
        False,
        description="methods with a LUT, `local_filters` and `best` also write the expected squared error of each "
        "fused value: `expected_squared_error` of the fused store",
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
            for option, swept in method.swept.items():
                for value in getattr(self.sweep, option):
                    self.methods[swept.name.format(name=name, value=value)] = method.instance(option, value)


class Compute(Section):
    """How the work is done; no result depends on it."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where networks run; `cuda`: EM, too")
    shards: int = Field(1, ge=1, le=10_000, description="jobs among which EM is split")


class Dask(Section):
    """Where a reference is counted and parts are fused; no result depends on it."""

    scheduler: Literal["threads", "processes", "slurm"] | Annotated[str, Field(pattern="^tcp://.")] = Field(
        "threads",
        title="threads, processes, slurm, or an address that starts with tcp://",
        description="the job's own cores; workers that the job starts under Slurm (needs `pip install "
        "'ensir-flow[slurm]'`); or those of a Dask scheduler that is running already",
    )
    workers: int = Field(4, ge=1, le=10_000, description="slurm: jobs, each a worker")
    cores: int = Field(4, ge=1, le=4096, description="slurm: threads of a worker")
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


class Report(Section):
    """The report: one HTML page."""

    title: str = Field("Ensembles of restoration models", min_length=1, description="heading of the page")
    images: int = Field(
        4,
        ge=1,
        le=1000,
        description="how many images of each test set are pictured: the one that `figures.images` names, or the first; "
        "those of the worst, best and median gain over the average; then others between these",
    )
    megabytes: int = Field(
        30,
        ge=1,
        le=1000,
        description="largest size of the page: many or large pictures are shown smaller, each with one close-up at "
        "full resolution",
    )


class Config(Section):
    """A whole configuration."""

    datasets: dict[Name, AnyDataset] = Field(min_length=1, description="images, by name")
    models: dict[Name, AnyModel] = Field(min_length=2, description="base models, by name")
    denoisers: dict[Name, Denoiser] = Field({}, description="denoising autoencoders to be trained, by name")
    experiments: dict[Name, Experiment] = Field(min_length=1, description="what is compared, by name")
    compute: Compute = Field(Compute(), description="how the work is done")
    dask: Dask = Field(Dask(), description="where a reference is counted and parts are fused")
    report: Report = Field(Report(), description="the report: one HTML page")
    results: str = Field(
        "results",
        pattern=r"^[^{}<>]*[^{}<>/.]/*$",
        title="path of a folder below which only results are, without { } < >",
        description="folder that everything is written to; configurations with the same folder share its stores",
    )
