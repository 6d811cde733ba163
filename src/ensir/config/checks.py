"""Mistakes in a configuration whose values are each allowed: undefined names, clashes, gaps.

Every section checks itself, given its context. Checks work on plain data and skip values of the wrong type, so that
they also work on a configuration with other mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from ensir import registry
from ensir.cells import key as keys
from ensir.config.schema import Figures
from ensir.datasets import Dataset
from ensir.methods import Binned, CombiningMethod, finest_width
from ensir.networks.sections import Denoiser
from ensir.section import Context, Problem, Section, sections, texts, unknown

NAMED = ("datasets", "denoisers", "models", "experiments", "methods", "figures")
REPEATS = 20  # of the end of a name, from which on Snakemake takes it for an endless recursion, in mid-plan
PERIODIC_END = re.compile(rf"(.+?)\1{{{REPEATS - 1},}}$")


def cross_check(raw: dict[str, Any]) -> Iterator[Problem]:
    """Find the mistakes that no single value reveals.

    Of datasets in shared stores nothing is known here: the plan, which reads their roots, checks again.
    """
    datasets, models, experiments = (sections(raw, key) for key in ("datasets", "models", "experiments"))
    classes = {name: _class("restorers", model.get("kind")) for name, model in models.items()}
    context = Context("", {}, raw, models=classes)
    yield from _check_names("", raw)
    for name, dataset in datasets.items():
        if kind := _class("datasets", dataset.get("kind")):
            yield from kind.check(replace(context, key=f"datasets.{name}", section=dataset))
    for name, denoiser in sections(raw, "denoisers").items():
        yield from Denoiser.check(replace(context, key=f"denoisers.{name}", section=denoiser))
    for name, model in models.items():
        users = [
            experiment for experiment in experiments.values() if name in _with_bases(experiment, context)
        ]
        used = {text for user in users for field in ("reference", "tests") for text in texts(user, field)}
        used |= _training_sets(name, users, context)
        if kind := classes[name]:
            yield from kind.check(
                replace(
                    context,
                    key=f"models.{name}",
                    section=model,
                    experiments=users,
                    datasets=_described(datasets, sorted(used)),
                )
            )
    for name, experiment in experiments.items():
        yield from _check_names(f"experiments.{name}.", experiment)
        yield from _check_experiment(f"experiments.{name}", experiment, context)


def _check_names(key: str, section: dict[str, Any]) -> Iterator[Problem]:
    """Check that no name ends as Snakemake does not allow."""
    for field in NAMED:
        for name in sections(section, field):
            if found := PERIODIC_END.search(str(name)):
                yield Problem(
                    f"{key}{field}.{name}",
                    f"the name ends with {found[1]!r} {REPEATS} times or more, which Snakemake refuses; shorten it",
                )


def _class(folder: registry.Folder, kind: Any) -> type[Section] | None:
    """Return the section of a kind; None where there is no such kind."""
    known = isinstance(kind, str) and kind in registry.kinds(folder)
    return registry.section(folder, kind) if known else None


def _described(datasets: dict[str, dict[str, Any]], names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the sections of some datasets that say what their images are."""
    kinds = {name: _class("datasets", section.get("kind")) for name, section in datasets.items()}
    return {name: datasets[name] for name in names if name in datasets and not _is_indexed(kinds[name])}


def _is_indexed(kind: type[Section] | None) -> bool:
    return kind is not None and issubclass(kind, Dataset) and kind.indexed()


def _refined(section: dict[str, Any], kind: type[Section] | None) -> list[str]:
    """Return the name of what a section refines; empty where it is no refiner."""
    return texts(section, getattr(kind, "refines", ""))


def _with_bases(experiment: dict[str, Any], context: Context) -> list[str]:
    """Return the models of an experiment, and those whose predictions they refine."""
    listed, models = texts(experiment, "models"), sections(context.config, "models")
    for name in listed:  # grows inside the loop
        bases = _refined(models.get(name, {}), context.models.get(name))
        listed += [base for base in bases if base not in listed]
    return listed


def _training_sets(name: str, experiments: list[dict[str, Any]], context: Context) -> set[str]:
    """Return the training sets for which refiners need the predictions of a model."""
    training_sets, models = set[str](), sections(context.config, "models")
    for experiment in experiments:
        listed, methods = _with_bases(experiment, context), sections(experiment, "methods")
        refiners = [
            (models[model], name in _refined(models[model], context.models[model]))
            for model in listed
            if model in models
        ]
        for key, method in methods.items():
            refined = _refined(method, _class("methods", method.get("kind", key)))
            behind_ensemble = name in listed and any(after in methods for after in refined)
            refiners.append((method, name in refined or behind_ensemble))
        for section, needed in refiners:
            training = section.get("training")
            if needed and isinstance(training, dict):
                training_sets.update(texts(training, "dataset"))
    return training_sets


def _check_experiment(key: str, experiment: dict[str, Any], context: Context) -> Iterator[Problem]:
    """Check the names that an experiment uses, and its methods against its models."""
    datasets, models = (sections(context.config, name) for name in ("datasets", "models"))
    for field, section, known in (
        ("models", "models", models),
        ("reference", "datasets", datasets),
        ("tests", "datasets", datasets),
    ):
        names = texts(experiment, field)
        for name in names:
            if known and name not in known:
                yield Problem(f"{key}.{field}", unknown(f"{name!r} is not in {section}", name, known))
            if names.count(name) > 1:
                yield Problem(f"{key}.{field}", f"{name!r} is named twice; remove one")
    for name in texts(experiment, "reference"):
        if name in texts(experiment, "tests"):
            yield Problem(f"{key}.reference", f"{name!r} is one of the tests too; choose another dataset")
    used = texts(experiment, "reference") + texts(experiment, "tests")
    for name, method in sections(experiment, "methods").items():
        if name in texts(experiment, "models"):
            yield Problem(f"{key}.methods.{name}", f"a model is called {name!r} too; rename one of them")
        if kind := _class("methods", method.get("kind", name)):
            yield from kind.check(
                replace(
                    context,
                    key=f"{key}.methods.{name}",
                    section=method,
                    experiments=[experiment],
                    datasets=_described(datasets, used),
                )
            )
    score = held if isinstance(held := experiment.get("score"), dict) else {}
    listed = {name: dict[str, Any]() for name in texts(score, "metrics")}
    for name, metric in (listed | sections(score, "metrics")).items():
        if kind := _class("metrics", metric.get("kind", name)):
            yield from kind.check(
                replace(context, key=f"{key}.score.metrics.{name}", section=metric, experiments=[experiment])
            )
    yield from _check_sweep(key, experiment)
    yield from _check_finest(key, experiment)
    if isinstance(figures := experiment.get("figures"), dict):
        yield from Figures.check(
            replace(context, key=f"{key}.figures", section=figures, experiments=[experiment])
        )


def _check_sweep(key: str, experiment: dict[str, Any]) -> Iterator[Problem]:
    """Check that a sweep has methods to vary, and that its instances get unused names."""
    methods, models, sweep = (
        sections(experiment, "methods"),
        texts(experiment, "models"),
        experiment.get("sweep"),
    )
    if not isinstance(sweep, dict) or not methods:
        return
    for option, values in sweep.items():
        able = [kind for kind, section in registry.sections("methods").items() if option in section.swept]
        swept = [name for name, method in methods.items() if method.get("kind", name) in able]
        if values and able and not swept:
            yield Problem(
                f"{key}.sweep.{option}",
                f"varies `{'`, `'.join(able)}` methods, and there is none; add one, or remove it",
            )
        for value in values if isinstance(values, list) else []:
            for name in swept:
                section = registry.section("methods", methods[name].get("kind", name))
                assert issubclass(section, CombiningMethod)
                instance = section.swept[option].name.format(name=name, value=value)
                if instance in {*methods, *models}:
                    yield Problem(
                        f"{key}.sweep.{option}",
                        f"{value} makes a method {instance!r}, a name that is taken; rename that",
                    )
            width = value if option == "bin_width" and type(value) is int else 0
            if 1 <= width <= keys.LEVELS and keys.too_many(width, len(models)):
                yield Problem(
                    f"{key}.sweep.bin_width",
                    f"{width} makes more than 2^61 bin sets of {len(models)} models; widen it, or use fewer models",
                )


def _check_finest(key: str, experiment: dict[str, Any]) -> Iterator[Problem]:
    """Check the width at which an experiment counts: the greatest common divisor of its methods' widths."""
    methods, sweep = sections(experiment, "methods"), experiment.get("sweep")
    models = len(texts(experiment, "models"))
    binned = [
        method.get("bin_width", Binned().bin_width)
        for name, method in methods.items()
        if (kind := _class("methods", method.get("kind", name))) and issubclass(kind, Binned)
    ]
    swept = sweep.get("bin_width") if isinstance(sweep, dict) else None
    binned += swept if isinstance(swept, list) else []
    widths = [
        width for width in map(finest_width, binned) if type(width) is int and 1 <= width <= keys.LEVELS
    ]
    finest = keys.finest(widths)
    if widths and finest not in widths and keys.too_many(finest, models):
        yield Problem(
            f"{key}.methods",
            f"the bin widths {', '.join(map(str, sorted(set(widths))))} are counted at their common divisor, {finest}, "
            f"which makes more than 2^61 bin sets of {models} models; choose multiples of one another",
        )
