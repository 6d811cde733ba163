"""Check configurations before a run: all mistakes are reported at once, each with its place and how to fix it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ensir.config import reading
from ensir.errors import InputError
from ensir.execution import devices, functions
from ensir.planning.headers import Headers
from ensir.planning.networks import identity
from ensir.planning.plan import Plan
from ensir.storage.layout import Layout


def plan(raw: dict[str, Any], source: str, files: Sequence[str], layout: Layout) -> Plan:
    """Return the plan of a configuration, if all files exist; see `ensir.config.reading.parse`.

    Raises
    ------
    InputError
        All mistakes of the configuration, and all that is missing.
    """
    config, problems = reading.examine(raw, files)
    planned = Plan(config, layout)
    if lines := [*map(": ".join, problems), *planned.problems()]:
        raise InputError(reading.as_message(source, lines))
    return planned


@dataclass(frozen=True)
class Checked:
    """The plan of a configuration without mistakes, and the headers of its files."""

    plan: Plan
    headers: Headers


def check(path: str, layout: Layout) -> Checked:
    """Check a configuration file as `plan` does, and whatever else could make a run fail.

    Imports the user's functions, looks for a GPU where one is asked for, and reads the headers of image files.

    Raises
    ------
    InputError
        All mistakes, a line each, sorted; or one syntax error, with the line and a caret.
    """
    config, problems = reading.examine(reading.read(path), [path])
    planned = Plan(config, layout)
    headers = Headers(planned)
    lines = [
        *map(": ".join, problems),
        *planned.problems(),
        *_functions(planned),
        *_gpus(planned),
        *headers.problems(),
        *_shared_files(planned),
    ]
    if lines:
        raise InputError(reading.as_message(path, lines))
    return Checked(planned, headers)


def _used_models(plan: Plan) -> list[str]:
    return sorted({model for _, _, models in plan.used() for model in models})


def _functions(plan: Plan) -> Iterator[str]:
    """Report the user's functions that cannot be imported."""
    config = plan.config
    named: dict[str, Any] = {f"models.{model}": config.models[model] for model in _used_models(plan)}
    for name, experiment in config.experiments.items():
        for field, kinds in (("score.metrics", experiment.score.metrics), ("methods", experiment.methods)):
            named |= {f"experiments.{name}.{field}.{one}": section for one, section in kinds.items()}
    for key, section in named.items():
        for function in section.functions:
            try:
                functions.load(function)
            except InputError as error:
                yield f"{key}: {error}"


def _gpus(plan: Plan) -> Iterator[str]:
    """Report keys that ask for a GPU where PyTorch finds none."""
    asked = {
        f"models.{model}.device": getattr(plan.config.models[model], "device", None)
        for model in _used_models(plan)
    }
    keys = [
        key
        for key, device in {"compute.device": plan.config.compute.device, **asked}.items()
        if device == "cuda"
    ]
    if keys:
        try:
            devices.choose("cuda")
        except InputError:
            for key in keys:
                yield f"{key}: 'cuda', but PyTorch finds no GPU here; use auto (a GPU where there is one) or cpu"


def _shared_files(plan: Plan) -> Iterator[str]:
    """Report files that are in both a reference and a test set; equal content in two files is found during the run."""
    for name, experiment in plan.config.experiments.items():
        try:
            reference = {
                identity(image, file): (image, file)
                for image, file in plan.targets(experiment.reference).items()
                if file
            }
            for test in experiment.tests:
                for image, file in plan.targets(test).items():
                    twin = reference.get(identity(image, file))
                    if twin and test != experiment.reference and image not in experiment.allow_overlap:
                        yield (
                            f"experiments.{name}.tests: image {image!r} of {test} and image {twin[0]!r} of the "
                            f"reference {experiment.reference} are one file, {twin[1]}; `exclude` it from one of them, "
                            "or name it in `allow_overlap`"
                        )
        except InputError:  # reported by the plan
            continue


# ── the summary ─────────────────────────────────────────────────────────────────────────────────────────────


def table(checked: Checked) -> str:
    """Return a summary of a configuration and its files, as a short table."""
    plan, headers = checked.plan, checked.headers
    config, used = plan.config, _used_models(plan)
    datasets = [
        (
            name,
            _counted(len(plan.targets(name)), "image"),
            _sizes(headers.sizes[name]),
            _counted(len(plan.parts(name)), "part"),
        )
        for name in headers.models
    ]
    models = [(name, config.models[name].kind, _predictions(headers, name)) for name in used]  # type: ignore[attr-defined]
    experiments = [
        (
            name,
            _counted(len(experiment.models), "model"),
            _counted(len(experiment.methods), "method"),
            f"{experiment.reference} → {', '.join(experiment.tests)}",
        )
        for name, experiment in config.experiments.items()
    ]
    lines = []
    for title, rows in (("datasets", datasets), ("models", models), ("experiments", experiments)):
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines.append(title)
        for row in rows:
            lines.append("  " + "  ".join(map(str.ljust, row, widths)).rstrip())
    if headers.step > 1:
        lines.append(f"sizes and depths: of one in {headers.step} of {headers.images} images")
    return "\n".join(lines)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _sizes(sizes: set[tuple[int, int]]) -> str:
    """Return the sizes as text, width×height."""
    written = [f"{width}×{height}" for height, width in sorted(sizes)]
    if len(written) > 2:
        return f"{written[0]} … {written[-1]}"
    return ", ".join(written) or "–"


def _predictions(headers: Headers, model: str) -> str:
    """Return the number of predictions of a model by dataset, as text, or that it runs here."""
    plan = headers.plan
    counts = {
        dataset: len(plan.predictions(dataset, model))
        for dataset, models in headers.models.items()
        if model in models
    }
    if plan.config.models[model].adopted:
        return f"shared: {', '.join(counts)}"
    if not any(counts.values()):
        return "runs here"
    return ", ".join(f"{dataset} {count}" for dataset, count in counts.items())
