"""Check configurations before a run: all mistakes are reported at once, each with its place and how to fix it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ensir.config import reading
from ensir.errors import InputError
from ensir.execution import devices, functions
from ensir.planning.headers import Headers
from ensir.planning.overlap import shared_images
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
    of_files = [*planned.problems(), *_functions(planned), *_gpus(planned), *headers.problems()]
    lines = [
        *map(": ".join, problems),
        *(
            line for line in of_files if not reading.VARIABLE.search(line)
        ),  # it is not set, which is said already
        *shared_images(planned),
    ]
    if lines:
        raise InputError(reading.as_message(path, lines))
    return Checked(planned, headers)


def used_models(plan: Plan) -> list[str]:
    """Return the names of the models that experiments use, sorted."""
    return sorted({model for _, _, models in plan.used() for model in models})


def _functions(plan: Plan) -> Iterator[str]:
    """Report the user's functions that cannot be imported."""
    config = plan.config
    named: dict[str, Any] = {f"models.{model}": config.models[model] for model in used_models(plan)}
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
        for model in used_models(plan)
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
