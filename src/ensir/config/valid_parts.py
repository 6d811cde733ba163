"""The valid parts of a configuration: they are compared with files, even where others have mistakes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from ensir.config import schema
from ensir.networks.sections import Denoiser, Refiner
from ensir.section import Problem, sections, texts

Part = TypeVar("Part", bound=BaseModel)


def valid_parts(raw: dict[str, Any], problems: Sequence[Problem]) -> schema.Config:
    """Return the valid sections of a configuration; experiments use no others.

    Parameters
    ----------
    raw : dict
        Plain data.
    problems : list of Problem
        Its mistakes.

    Returns
    -------
    Config
        Good for finding files, and nothing else: experiments may have fewer models or methods than required.
    """
    wrong = [tuple(problem.key.split(".")) for problem in problems]
    datasets = _each(raw, "datasets", schema.AnyDataset)
    denoisers = _each(raw, "denoisers", Denoiser)
    untrained = sections(raw, "denoisers").keys() - denoisers.keys()
    models = {
        name: model
        for name, model in _each(raw, "models", schema.AnyModel).items()
        if not _within(wrong, "models", name) and not _mentions(model.model_dump(), untrained)
    }
    while lost := [name for name, model in models.items() if not _complete(model, models, datasets)]:
        for name in lost:
            del models[name]
    experiments = {}
    for name, section in sections(raw, "experiments").items():
        own = [key[2:] for key in wrong if key[:2] == ("experiments", name)]
        if experiment := _experiment(section, own, datasets, models):
            experiments[name] = experiment
    results = raw.get("results")
    return schema.Config.model_construct(
        results=results if isinstance(results, str) and results else "results",
        datasets=datasets,
        models=models,
        denoisers=denoisers,
        experiments=experiments,
        compute=_one(raw, "compute", schema.Compute),
        dask=_one(raw, "dask", schema.Dask),
        report=_one(raw, "report", schema.Report),
    )


def _within(wrong: Sequence[tuple[str, ...]], *key: str) -> bool:
    """Return whether there is a mistake in a section."""
    return any(path[: len(key)] == key for path in wrong)


def _mentions(value: Any, names: Collection[str]) -> bool:
    """Return whether one of some names occurs anywhere in plain data."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return any(_mentions(item, names) for item in value)
    return isinstance(value, str) and value in names


def _each(raw: dict[str, Any], key: str, kind: Any) -> dict[str, Any]:
    """Return the named sections below a key that are valid."""
    valid, adapter = {}, TypeAdapter(kind)
    for name, section in sections(raw, key).items():
        try:
            valid[name] = adapter.validate_python(section)
        except ValidationError:
            continue
    return valid


def _one(raw: dict[str, Any], key: str, kind: type[Part]) -> Part:
    """Return a section; its defaults where it is not valid."""
    try:
        return kind.model_validate(raw.get(key, {}))
    except ValidationError:
        return kind()


def _complete(section: Any, models: dict[str, Any], datasets: dict[str, Any]) -> bool:
    """Return whether what a refiner refines, and what it learns from, is valid."""
    if not isinstance(section, Refiner):
        return True
    return section.refined in models and (section.training is None or section.training.dataset in datasets)


def _experiment(
    section: dict[str, Any],
    wrong: Sequence[tuple[str, ...]],
    datasets: dict[str, Any],
    models: dict[str, Any],
) -> schema.Experiment | None:
    """Return an experiment with its valid parts; None where it has no valid dataset."""
    used = [name for name in texts(section, "reference") if name in datasets]
    tests = [name for name in texts(section, "tests") if name in datasets]
    if not used + tests:
        return None
    named = {
        name: {"kind": name, **method}
        for name, method in sections(section, "methods").items()
        if not _within(wrong, "methods", name)
    }
    methods = _each({"methods": named}, "methods", schema.AnyMethod)
    while lost := [n for n, method in methods.items() if not _complete(method, models | methods, datasets)]:
        for name in lost:
            del methods[name]
    figures = {} if _within(wrong, "figures") or len(tests) < len(texts(section, "tests")) else section
    allowed = texts(section, "allow_overlap")
    return schema.Experiment.model_construct(
        models=[name for name in texts(section, "models") if name in models],
        reference=(used + tests)[0],
        tests=tests,
        score=schema.Score() if _within(wrong, "score") else _one(section, "score", schema.Score),
        methods=methods,
        sweep=schema.Sweep(),
        allow_overlap=allowed,
        figures=_one(figures, "figures", schema.Figures),
    )
