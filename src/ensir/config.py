"""The one schema of the configuration: what may be said, in which units, with which defaults."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from math import gcd
from typing import Annotated, Any, Literal, NamedTuple, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ensir import InputError

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Photo = Literal["astronaut", "chelsea", "china", "coffee", "flower", "hubble", "motorcycle", "rocket"]


class Strict(BaseModel):
    """A section of the configuration: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# ── datasets ─────────────────────────────────────────────────────────────────────────────────────────────────


class Noise(Strict):
    """Additive white Gaussian noise, rounded to integers and clipped to the range of the image."""

    kind: Literal["noise"] = "noise"
    sigma: float = Field(gt=0, description="standard deviation, in levels of 0–255")
    seed: int = Field(0, ge=0, description="seed; each image draws its own noise from the seed and its name")


class Blur(Strict):
    """Blur by a kernel of sum one (borders replicated), then noise."""

    kind: Literal["blur"] = "blur"
    kernel: Literal["gaussian", "disk", "motion"] = Field("gaussian", description="shape of the kernel")
    width: float = Field(
        1.6,
        gt=0,
        description="standard deviation (gaussian), radius (disk) or length (motion, at 45°), in pixels",
    )
    sigma: float = Field(2.55, ge=0, description="standard deviation of the noise, in levels of 0–255")
    seed: int = Field(0, ge=0, description="seed of the noise")


class Downscale(Strict):
    """Bicubic downscaling as MATLAB's `imresize` does it; the target is cropped to a multiple of the scale."""

    kind: Literal["downscale"] = "downscale"
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
        description="where predictions are a few border pixels smaller than the targets: what of a larger image is "
        "kept; without it, sizes that differ are an error",
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


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────────


class FolderModel(Strict):
    """Predictions that exist already, as image files."""

    kind: Literal["folder"]
    path: str = Field(description="glob of the predictions; `{dataset}` stands for the dataset's name")
    suffix: str = Field("", description="end of the file stems that is not part of the image name")


class FunctionModel(Strict):
    """A Python function: (height, width, channel) input → prediction of the target's size."""

    kind: Literal["function"]
    function: str = Field(pattern=r"^[\w.]+:\w+$", description="`package.module:name`, importable from here")
    options: dict[str, Any] = Field({}, description="keyword arguments of the function")


class ClassicalModel(Strict):
    """A classical algorithm of scikit-image or SciPy."""

    kind: Literal["classical"]
    algorithm: Literal[
        "identity", "tv_chambolle", "wavelet", "nl_means", "bilateral", "median", "gaussian", "wiener",
        "richardson_lucy", "unsharp", "nearest", "bilinear", "bicubic", "lanczos", "back_projection",
    ] = Field(description="which; the last five upscale")  # fmt: skip
    options: dict[str, Any] = Field({}, description="keyword arguments of the algorithm")


Model = Annotated[FolderModel | FunctionModel | ClassicalModel, Field(discriminator="kind")]


# ── experiments ──────────────────────────────────────────────────────────────────────────────────────────────


class Average(Strict):
    """The mean of the predictions."""

    kind: Literal["average"]


class Zzpm(Strict):
    """One weight per model and image, by its distance to the mean of the models."""

    kind: Literal["zzpm"]
    literal: bool = Field(
        False, description="weights proportional to 1/MSE, instead of softmax of 1/(1e-3 + MSE)"
    )


class Ensir(Strict):
    """Gaussian mixtures per bin set, fitted by EM on the reference (the paper's method)."""

    kind: Literal["ensir"]
    bin_width: int = Field(32, ge=1, le=256, description="b: width of a bin, in levels of 0–255")
    channels: Literal["joint", "separate"] = Field(
        "joint", description="pool R, G and B in one cell, or fit each on its own"
    )
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


Method = Annotated[Average | Zzpm | Ensir, Field(discriminator="kind")]
METHODS = ("average", "zzpm", "ensir")


class Score(Strict):
    """How images are compared with their targets."""

    space: Literal["rgb", "y"] = Field("rgb", description="mean over the channels, or BT.601 luma")
    crop: int = Field(0, ge=0, description="border pixels to leave out on each side")
    metrics: list[Literal["psnr", "ssim"]] = Field(["psnr", "ssim"], min_length=1)
    rounded: bool = Field(False, description="round and clip the fused images first, as a PNG would")


class Experiment(Strict):
    """Models, a reference, tests and methods."""

    models: list[Name] = Field(
        min_length=2, description="names of the base models, in the order of the weights"
    )
    reference: Name = Field(description="dataset on which methods are fitted")
    tests: list[Name] = Field(min_length=1, description="datasets that are fused and scored")
    score: Score = Score()
    methods: dict[Name, Method] = Field(
        min_length=1, description="named instances; `kind` defaults to the name"
    )
    allow_overlap: list[str] = Field([], description="names of test images that may be in the reference too")
    png: bool = Field(False, description="write the fused images as PNG files, too")

    @property
    def bin_width(self) -> int | None:
        """The finest width that the methods need: their greatest common divisor; None where none needs bins."""
        return gcd(*(m.bin_width for m in self.methods.values() if isinstance(m, Ensir))) or None


class Compute(Strict):
    """How the work is done; no result depends on it."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where EM runs")
    shards: int = Field(1, ge=1, description="jobs among which EM is split")
    scheduler: Literal["threads", "processes"] = Field(
        "threads", description="Dask scheduler of the partition"
    )


class Config(Strict):
    """A whole configuration."""

    datasets: dict[Name, Annotated[FolderDataset | PhotosDataset, Field(discriminator="kind")]] = Field(
        min_length=1
    )
    models: dict[Name, Model] = Field(min_length=2)
    experiments: dict[Name, Experiment] = Field(min_length=1)
    compute: Compute = Compute()


# ── read, with every error at once ───────────────────────────────────────────────────────────────────────────


class Problem(NamedTuple):
    """One error of a configuration."""

    key: str
    message: str


class _UniqueLoader(yaml.SafeLoader):
    """YAML, but a key that stands twice is an error."""


def _unique_mapping(loader: _UniqueLoader, node: yaml.MappingNode, deep: bool = False) -> dict:
    seen: set = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            line = key_node.start_mark.line + 1
            raise InputError(
                f"{node.start_mark.name}, line {line}: {key!r} is named twice; rename or remove one"
            )
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


_UniqueLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def read(path: str) -> dict[str, Any]:
    """Read a YAML file as plain data.

    Raises
    ------
    InputError
        No such file, not YAML, not a mapping, or a key that stands twice.
    """
    try:
        with open(path, encoding="utf-8") as file:
            raw = yaml.load(file, _UniqueLoader)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not YAML: {error}") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path}: must hold the keys {', '.join(Config.model_fields)}")
    return raw


def load(path: str) -> Config:
    """Read and check a configuration file; see `parse`."""
    return parse(read(path), path)


def parse(raw: dict[str, Any], source: str) -> Config:
    """Check a configuration.

    Parameters
    ----------
    raw : dict
        Plain data as read from YAML.
    source : str
        Name of the file, for the error message.

    Raises
    ------
    InputError
        All errors of the file, one per line: dotted key, value, what is allowed.
    """
    problems: list[Problem] = []
    raw = _name_methods(_expand(raw, problems, ""))
    config = None
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        problems += [_explain(e, raw) for e in error.errors(include_url=False)]
    problems += _references(raw)
    if problems or config is None:
        count = f"{len(problems)} error{'s' if len(problems) > 1 else ''}"
        lines = sorted({f"  {key}: {message}" for key, message in problems})
        raise InputError("\n".join([f"{source}: {count}", *lines]))
    return config


def _expand(value: Any, problems: list[Problem], key: str) -> Any:
    """Replace ${VAR} in strings by the environment."""
    if isinstance(value, dict):
        return {k: _expand(v, problems, f"{key}.{k}".lstrip(".")) for k, v in value.items()}
    if isinstance(value, list):
        return [_expand(v, problems, f"{key}.{i}") for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in re.findall(r"\$\{(\w+)\}", value):
        if name not in os.environ:
            problems.append(Problem(key, f"{value!r} uses ${{{name}}}, which is not set in the environment"))
    return re.sub(r"\$\{(\w+)\}", lambda m: os.environ.get(m[1], m[0]), value)


def _name_methods(raw: dict[str, Any]) -> dict[str, Any]:
    """Let the kind of a method default to its name: ``ensir: {bin_width: 16}``."""
    experiments = {}
    for name, experiment in _items(raw, "experiments"):
        methods = {
            m: {"kind": m, **(options or {})} if isinstance(options, dict | None) else options
            for m, options in _items(experiment, "methods")
        }
        experiments[name] = {**experiment, "methods": methods} if methods else experiment
    return {**raw, "experiments": experiments} if experiments else raw


def _items(raw: Any, key: str) -> Iterator[tuple[str, Any]]:
    section = raw.get(key) if isinstance(raw, dict) else None
    yield from section.items() if isinstance(section, dict) else ()


_NOT_KEYS = {get_args(get_args(union)[0])[i].__name__ for union in () for i in ()}


def _explain(error: Any, raw: Any) -> Problem:
    """Turn a pydantic error into the key as the user wrote it, the value, and what is allowed."""
    section: Any = Config
    path, value = [], raw
    for step in error["loc"]:
        if step == "[key]":
            continue
        if isinstance(value, dict) and step not in value and value.get("kind") == step:
            continue  # the tag of a union, not a key
        path.append(str(step))
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
    key = ".".join(path)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _allowed(section, error["loc"][:-1])
        return Problem(key, f"unknown key{_did_you_mean(path[-1], allowed)}; allowed: {', '.join(allowed)}")
    if kind == "missing":
        return Problem(key, "is missing")
    if kind == "union_tag_not_found":
        return Problem(
            f"{key}.kind",
            f"is missing; allowed: {context.get('discriminator', '')}{_tags(section, error['loc'])}",
        )
    if kind == "union_tag_invalid":
        tags = [tag.strip("' ") for tag in context["expected_tags"].split(",")]
        return Problem(
            f"{key}.kind",
            f"{context['tag']!r} is unknown{_did_you_mean(context['tag'], tags)}; allowed: {', '.join(tags)}",
        )
    if kind == "literal_error":
        allowed = re.findall(r"'([^']+)'", context["expected"])
        return Problem(
            key, f"{value!r} is unknown{_did_you_mean(value, allowed)}; allowed: {', '.join(allowed)}"
        )
    if kind == "string_pattern_mismatch" and "A-Za-z0-9" in context["pattern"]:
        return Problem(
            key, f"{error['input']!r} is no name; allowed: letters, digits, _ and -, no _ or - in front"
        )
    if kind == "too_short" and context.get("min_length"):
        what = error["input"]
        return Problem(
            key, f"{what!r} holds {context['actual_length']}; at least {context['min_length']} are needed"
        )
    message = error["msg"][0].lower() + error["msg"][1:]
    return Problem(key, f"{value!r} is wrong: {message}")


def _tags(section: Any, loc: tuple) -> str:
    return ""


def _allowed(section: type[BaseModel], loc: tuple) -> list[str]:
    """Return the keys that may stand at a place of the configuration."""
    models: list[Any] = [section]
    for step in loc:
        inner = []
        for model in models:
            if isinstance(model, type) and issubclass(model, BaseModel):
                if step in model.model_fields:
                    inner += _models(model.model_fields[step].annotation)
                elif ("kind" in model.model_fields and step in get_args(model.model_fields["kind"].annotation)) or "kind" not in model.model_fields or len(models) == 1:
                    inner.append(model)
        models = inner or models
    return sorted({field for model in models for field in model.model_fields})


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the sections that an annotation names, through dict, list, union and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _did_you_mean(word: Any, allowed: list[str]) -> str:
    close = difflib.get_close_matches(str(word), allowed, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _references(raw: dict[str, Any]) -> list[Problem]:
    """Find names that nothing bears, and combinations that make no sense."""
    problems = []
    datasets = dict(_items(raw, "datasets"))
    models = dict(_items(raw, "models"))

    def known(key: str, name: Any, names: dict, section: str) -> None:
        if isinstance(name, str) and name not in names:
            hint = _did_you_mean(name, list(names))
            problems.append(
                Problem(key, f"{name!r} is not in {section}{hint}; there are: {', '.join(names)}")
            )

    for name, dataset in datasets.items():
        if isinstance(dataset, dict) and dataset.get("input") and dataset.get("degradation"):
            problems.append(Problem(f"datasets.{name}", "has both `input` and `degradation`; remove one"))
    for name, experiment in _items(raw, "experiments"):
        if not isinstance(experiment, dict):
            continue
        key = f"experiments.{name}"
        listed = experiment.get("models")
        listed = listed if isinstance(listed, list) else []
        tests = experiment.get("tests")
        tests = tests if isinstance(tests, list) else []
        for i, model in enumerate(listed):
            known(f"{key}.models.{i}", model, models, "models")
            if model in listed[:i]:
                problems.append(Problem(f"{key}.models.{i}", f"{model!r} is named twice; remove one"))
        for i, test in enumerate(tests):
            known(f"{key}.tests.{i}", test, datasets, "datasets")
            if test in tests[:i]:
                problems.append(Problem(f"{key}.tests.{i}", f"{test!r} is named twice; remove one"))
        known(f"{key}.reference", experiment.get("reference"), datasets, "datasets")
        used = {d for d in [experiment.get("reference"), *tests] if isinstance(d, str)}
        for model in listed:
            settings = models.get(model) if isinstance(model, str) else None
            if not isinstance(settings, dict):
                continue
            path = settings.get("path", "")
            if settings.get("kind") == "folder" and len(used) > 1 and "{dataset}" not in str(path):
                problems.append(
                    Problem(f"models.{model}.path", f"{path!r} must contain {{dataset}}: several use it")
                )
            for dataset in sorted(used & set(datasets)):
                data = datasets[dataset]
                if settings.get("kind") in ("function", "classical") and isinstance(data, dict):
                    if data.get("kind") == "folder" and not (data.get("input") or data.get("degradation")):
                        problems.append(
                            Problem(
                                f"datasets.{dataset}.input", f"is missing: model {model!r} runs on the inputs"
                            )
                        )
        for method, options in _items(experiment, "methods"):
            problems += _method_problems(f"{key}.methods.{method}", method, options, listed, models)
    return problems


def _method_problems(key: str, method: str, options: Any, listed: list, models: dict) -> list[Problem]:
    problems = []
    if method in models:
        problems.append(Problem(key, f"a base model is called {method!r} too; rename one of them"))
    if not isinstance(options, dict):
        return problems
    prior, width = options.get("prior"), options.get("bin_width", 32)
    if isinstance(prior, list) and all(isinstance(p, int | float) for p in prior):
        if len(prior) != len(listed):
            problems.append(Problem(f"{key}.prior", f"{prior} needs one weight per model ({len(listed)})"))
        elif min(prior) < 0 or abs(sum(prior) - 1) > 1e-6:
            problems.append(Problem(f"{key}.prior", f"{prior} must not be negative and must sum to one"))
    if isinstance(width, int) and 1 <= width <= 256 and (-(-256 // width)) ** len(listed) >= 2**62:
        problems.append(
            Problem(
                f"{key}.bin_width",
                f"{width} with {len(listed)} models makes more than 2^62 bin sets; widen it",
            )
        )
    return problems


# ── documentation ────────────────────────────────────────────────────────────────────────────────────────────


def schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}


def reference() -> str:
    """Return the table of every key, as Markdown."""
    lines = []
    for title, key, sections in (
        ("Datasets", "datasets.NAME", [FolderDataset, PhotosDataset]),
        ("Degradations", "datasets.NAME.degradation", [Noise, Blur, Downscale]),
        ("Models", "models.NAME", [FolderModel, FunctionModel, ClassicalModel]),
        ("Experiments", "experiments.NAME", [Experiment]),
        ("Scores", "experiments.NAME.score", [Score]),
        ("Methods", "experiments.NAME.methods.NAME", [Average, Zzpm, Ensir]),
        ("Compute", "compute", [Compute]),
    ):
        lines += [f"\n## {title}\n", f"`{key}`"]
        for section in sections:
            kind = section.model_fields.get("kind")
            if kind:
                lines += [f"\n### `kind: {get_args(kind.annotation)[0]}`"]
            lines += [
                f"\n{(section.__doc__ or '').strip()}\n",
                "| key | what | allowed | default |",
                "| --- | --- | --- | --- |",
            ]
            lines += [
                row
                for name, field in section.model_fields.items()
                if name != "kind"
                for row in [_row(name, field)]
            ]
    return "\n".join(lines).strip() + "\n"


def _row(name: str, field: Any) -> str:
    default = "required" if field.is_required() else f"`{_plain(field.default)}`"
    return f"| `{name}` | {field.description or ''} | {_type(field)} | {default} |"


def _plain(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "{}"
    return (
        {None: "null", True: "true", False: "false"}.get(value, str(value))
        if not isinstance(value, list)
        else str(value)
    )


def _type(field: Any) -> str:
    text = _annotation(field.annotation)
    bounds = [f"{op} {getattr(m, attribute)}" for m in field.metadata
              for attribute, op in (("gt", ">"), ("ge", "≥"), ("le", "≤")) if getattr(m, attribute, None) is not None]  # fmt: skip
    return ", ".join([text, *bounds])


def _annotation(annotation: Any) -> str:
    origin, arguments = getattr(annotation, "__origin__", None), get_args(annotation)
    if origin is Literal:
        return " \\| ".join(f"`{argument}`" for argument in arguments)
    if annotation is Name or getattr(annotation, "__metadata__", None) == getattr(Name, "__metadata__", ()):
        return "name"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    if origin is list:
        return f"list of {_annotation(arguments[0])}"
    if origin is dict:
        return "section" if _models(annotation) else "options"
    if arguments:
        return " \\| ".join(
            _annotation(argument) for argument in arguments if not hasattr(argument, "default")
        )
    return {
        "str": "text",
        "int": "whole number",
        "float": "number",
        "bool": "true \\| false",
        "NoneType": "null",
    }.get(getattr(annotation, "__name__", ""), str(annotation))
