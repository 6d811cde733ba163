"""What a configuration may not say although each of its values is allowed: names of nothing, clashes, gaps.

The checks read plain data and pass over what is not of the right type, so that they find their errors in a
configuration that has others too.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ensir.config import FINEST_OF_AUTO, SWEPT, Ensir
from ensir.config_data import Tiled
from ensir.priors.shipped import SHIPPED_DAES

LONGEST = 80  # characters of a value that are shown
MOST_BIN_SETS = 2**61  # times three channels they are numbered in 64 bits


class Problem(NamedTuple):
    """One error of a configuration: the dotted key, and what is wrong there."""

    key: str
    message: str


def shown(value: Any) -> str:
    """Return a value as it may stand in a configuration, shortened."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def unknown(what: str, word: Any, known: Iterable[Any]) -> str:
    """Say that a word is none of those that are known; name the closest."""
    known = [str(name) for name in known]
    close = difflib.get_close_matches(str(word), known, n=1, cutoff=0.7)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{what}; allowed: {', '.join(known) or 'none'}{hint}"


def cross_check(raw: dict[str, Any]) -> Iterator[Problem]:
    """Find the errors that no single value shows."""
    datasets, models, experiments = (_sections(raw, key) for key in ("datasets", "models", "experiments"))
    for name, dataset in datasets.items():
        degradation = dataset.get("degradation")
        kind = degradation.get("kind") if isinstance(degradation, dict) else None
        if dataset.get("input") and kind in ("downscale", "mask"):
            yield Problem(
                f"datasets.{name}.degradation",
                f"{shown(kind)} stands beside `input`, where only noise and blur may tell how it was made; "
                "remove one of them",
            )
    for name in _sections(raw, "denoisers").keys() & SHIPPED_DAES.keys():
        yield Problem(
            f"denoisers.{name}", "is the name of weights that ship with the package; choose another"
        )
    for name, model in models.items():
        users = [section for section in experiments.values() if name in _with_bases(section, models)]
        used = {
            dataset for user in users for dataset in _texts(user, "reference") + _texts(user, "tests")
        } | _taught_on(name, users, models)
        used_datasets = {dataset: datasets[dataset] for dataset in sorted(used & datasets.keys())}
        yield from _check_model(name, model, used_datasets)
        if model.get("kind") in ("dae", "daep", "dmsp"):
            yield from _check_denoising(name, model, used_datasets, _sections(raw, "denoisers"))
        if model.get("kind") == "ptgrm":
            yield from _check_base(name, model, models)
            yield from _check_refiner(f"models.{name}", model, model.get("base"), raw, users)
    for name, experiment in experiments.items():
        yield from _check_experiment(f"experiments.{name}", experiment, datasets, models)
        for method, section in _sections(experiment, "methods").items():
            if section.get("kind", method) == "ptgrm":
                key = f"experiments.{name}.methods.{method}"
                yield from _check_tile(key, section)
                yield from _check_after(key, section, experiment)
                tests = {test: datasets[test] for test in _texts(experiment, "tests") if test in datasets}
                yield from _check_inputs(tests, f"refiner {method!r} looks at inputs")
                yield from _check_refiner(key, section, section.get("after"), raw, [experiment])


def _check_model(name: str, model: dict[str, Any], datasets: dict[str, dict]) -> Iterator[Problem]:
    """Check a model against the datasets that it is used with."""
    kind, path = model.get("kind"), model.get("path")
    if (
        kind in ("folder", "store")
        and isinstance(path, str)
        and "{dataset}" not in path
        and len(datasets) > 1
    ):
        yield Problem(
            f"models.{name}.path", f"{shown(path)} must contain {{dataset}}: {', '.join(datasets)} use it"
        )
    if kind in ("function", "classical", "checkpoint", "exported", "dae", "daep", "dmsp", "ptgrm"):
        yield from _check_inputs(datasets, f"model {name!r} restores inputs")
    levels = model.get("value_range")
    if isinstance(levels, list) and all(type(level) in (int, float) for level in levels):
        black, *white = levels or [0]
        if len(white) != 1 or not black < white[0]:
            yield Problem(
                f"models.{name}.value_range", f"{shown(levels)} must be black and white, in this order"
            )
    yield from _check_tile(f"models.{name}", model)
    if kind == "classical" and isinstance(model.get("options"), dict):
        from ensir.restorers import classical

        algorithm = model.get("algorithm")
        if isinstance(algorithm, str) and algorithm in classical.ALGORITHMS:
            options = classical.options(algorithm)
            for option in model["options"].keys() - set(options):
                yield Problem(f"models.{name}.options.{option}", unknown("unknown key", option, options))


def _check_inputs(datasets: dict[str, dict[str, Any]], why: str) -> Iterator[Problem]:
    """Check that folders have inputs, or that they are made."""
    for name, dataset in datasets.items():
        if dataset.get("kind") == "folder" and not (dataset.get("input") or dataset.get("degradation")):
            yield Problem(f"datasets.{name}.input", f"is missing: {why}; give `input` or `degradation`")


def _check_tile(key: str, section: dict[str, Any]) -> Iterator[Problem]:
    tile, overlap = section.get("tile"), section.get("overlap", Tiled().overlap)
    if type(tile) is int and type(overlap) is int and tile <= overlap:
        yield Problem(f"{key}.tile", f"{tile} must be more than `overlap`, {overlap}")


def _check_denoising(
    name: str, model: dict[str, Any], datasets: dict[str, dict], denoisers: dict[str, dict]
) -> Iterator[Problem]:
    """Check a denoising autoencoder, or a mean-shift restorer against what its datasets tell of their inputs."""
    kind, dae, size = (model.get(key) for key in ("kind", "dae", "kernel_size"))
    names = [*SHIPPED_DAES, *denoisers]
    if isinstance(dae, str) and not dae.endswith(".safetensors") and dae not in names:
        yield Problem(f"models.{name}.dae", unknown(f"{dae!r} is not in denoisers", dae, names))
    if type(size) is int and size % 2 == 0:
        yield Problem(f"models.{name}.kernel_size", f"{size} must be odd")
    if kind == "dae":
        return
    for key, dataset in datasets.items():
        degradation = dataset.get("degradation")
        told = degradation if isinstance(degradation, dict) else {}
        scale = told.get("scale", dataset.get("scale", 1))
        if scale == 1 and not told:
            yield Problem(
                f"datasets.{key}.degradation",
                f"is missing: model {name!r} has to know how the inputs were made; beside `input` it tells that",
            )
        elif kind == "dmsp" and scale != 1:
            yield Problem(f"models.{name}.kind", f"'dmsp' does not enlarge, but the scale of dataset {key!r} "
                          f"is {shown(scale)}; use `kind: daep`")  # fmt: skip
        elif (
            kind == "dmsp"
            and model.get("noise_blind") is not True
            and told.get("sigma", 0 if told.get("kind") == "mask" else None) == 0
        ):
            yield Problem(
                f"models.{name}.noise_blind",
                f"must be true: the noise of dataset {key!r} is zero, which dmsp cannot be told",
            )


def _with_bases(experiment: dict[str, Any], models: dict[str, dict]) -> list[str]:
    """Return the models of an experiment, and those whose predictions they refine."""
    found = _texts(experiment, "models")
    for name in found:  # which grows
        model = models.get(name, {})
        found += [
            base for base in _texts(model, "base") if model.get("kind") == "ptgrm" and base not in found
        ]
    return found


def _taught_on(name: str, experiments: list[dict[str, Any]], models: dict[str, dict]) -> set[str]:
    """Return the training sets on which refiners need the predictions of a model."""
    found: list[str] = []
    for experiment in experiments:
        listed, methods = _with_bases(experiment, models), _sections(experiment, "methods")
        refiners = [
            (models[model], models[model].get("base") == name) for model in listed if model in models
        ] + [
            (method, method.get("after") == name or (method.get("after") in methods and name in listed))
            for method in methods.values()
        ]
        for refiner, needs in refiners:
            training = refiner.get("training")
            if needs and isinstance(training, dict):
                found += _texts(training, "dataset")
    return set(found)


def _check_base(name: str, model: dict[str, Any], models: dict[str, dict]) -> Iterator[Problem]:
    """Check that a refiner's base is another model, and that no model refines itself in the end."""
    key, chain, base = f"models.{name}.base", [name], model.get("base")
    if isinstance(base, str) and base not in models:
        yield Problem(key, unknown(f"{base!r} is not in models", base, models))
    while isinstance(base, str) and base in models:
        if base in chain:
            yield Problem(
                key, f"{' refines '.join([*chain, base])}: the last must be a model of another kind"
            )
            return
        chain.append(base)
        base = models[base].get("base") if models[base].get("kind") == "ptgrm" else None


def _check_after(key: str, method: dict[str, Any], experiment: dict[str, Any]) -> Iterator[Problem]:
    """Check that what a refiner stands behind is another method, or a model of the experiment."""
    after, listed = method.get("after"), _texts(experiment, "models")
    methods = {name: section.get("kind", name) for name, section in _sections(experiment, "methods").items()}
    known = [*(name for name, kind in methods.items() if kind != "ptgrm"), *listed]
    if isinstance(after, str) and methods.get(after) == "ptgrm":
        yield Problem(f"{key}.after", f"{after!r} is a refiner itself; name what that refines")
    elif isinstance(after, str) and after not in known:
        yield Problem(
            f"{key}.after", unknown(f"{after!r} is no method and no model of the experiment", after, known)
        )


def _check_refiner(
    key: str, refiner: dict[str, Any], refined: Any, raw: dict[str, Any], experiments: list[dict[str, Any]]
) -> Iterator[Problem]:
    """Check how a refiner is guided, and what it learns from."""
    datasets, models, denoisers = (_sections(raw, name) for name in ("datasets", "models", "denoisers"))
    training, weights = refiner.get("training"), refiner.get("weights")
    if bool(training) == bool(weights):
        yield Problem(
            f"{key}.training", "give either `training` or `weights`" + ", not both" * bool(training)
        )
    prior = refiner.get("prior")
    told = prior if isinstance(prior, dict) else {}
    if refiner.get("plain") is True and told.get("kind") != "none":
        yield Problem(f"{key}.prior", "a plain network looks at none; say `prior: {kind: none}`")
    if told.get("kind") == "base" and isinstance(refined, str):
        kind = models.get(refined, {}).get("kind")
        if kind not in ("dae", "checkpoint"):
            yield Problem(f"{key}.prior.kind", f"'base' takes the features of {refined!r}, which must be a model of "
                          "kind `dae` or `checkpoint`")  # fmt: skip
    section = training if isinstance(training, dict) else {}
    for where, network in (
        ("prior.network", told.get("network")),
        ("training.perceptual", section.get("perceptual")),
    ):
        names = [*SHIPPED_DAES, *denoisers]
        if isinstance(network, str) and "." not in network and network not in names:
            yield Problem(f"{key}.{where}", unknown(f"{network!r} is not in denoisers", network, names))
    patch, learned = section.get("patch"), section.get("dataset")
    if type(patch) is int and patch % 4:
        yield Problem(f"{key}.training.patch", f"{patch} must be a multiple of 4")
    if not isinstance(learned, str):
        return
    if learned not in datasets:
        yield Problem(
            f"{key}.training.dataset", unknown(f"{learned!r} is not in datasets", learned, datasets)
        )
        return
    yield from _check_inputs({learned: datasets[learned]}, "refiners learn from inputs")
    for experiment in experiments:
        for field in ("reference", "tests"):
            if learned in _texts(experiment, field):
                yield Problem(
                    f"{key}.training.dataset",
                    f"{learned!r} is the {field.removesuffix('s')} of an experiment with this refiner; choose another",
                )


def _check_experiment(
    key: str, experiment: dict[str, Any], datasets: dict[str, dict], models: dict[str, dict]
) -> Iterator[Problem]:
    """Check the names that an experiment gives, and its methods against its models."""
    for field, section, known in (
        ("models", "models", models),
        ("reference", "datasets", datasets),
        ("tests", "datasets", datasets),
    ):
        names = _texts(experiment, field)
        for name in names:
            if name not in known:
                yield Problem(f"{key}.{field}", unknown(f"{name!r} is not in {section}", name, known))
            if names.count(name) > 1:
                yield Problem(f"{key}.{field}", f"{name!r} is named twice; remove one")
    for name in _texts(experiment, "reference"):
        if name in _texts(experiment, "tests"):
            yield Problem(f"{key}.reference", f"{name!r} is one of the tests too; choose another dataset")
    listed = _texts(experiment, "models")
    for name, method in _sections(experiment, "methods").items():
        if name in listed:
            yield Problem(f"{key}.methods.{name}", f"a model is called {name!r} too; rename one of them")
        if method.get("kind", name) == "ensir":
            yield from _check_ensir(f"{key}.methods.{name}", method, len(listed))
        if method.get("kind", name) in ("ensir", "least_squares"):
            width = method.get("bin_width", Ensir().bin_width)
            width = FINEST_OF_AUTO if width == "auto" else width
            yield from _check_width(f"{key}.methods.{name}.bin_width", width, len(listed))
        if method.get("kind", name) == "refesr":
            used = _texts(experiment, "reference") + _texts(experiment, "tests")
            yield from _check_refesr(f"{key}.methods.{name}", {n: datasets[n] for n in used if n in datasets})
    yield from _check_sweep(key, experiment, listed)
    yield from _check_finest(key, experiment, len(listed))
    yield from _check_figures(f"{key}.figures", experiment, listed)


def _check_ensir(key: str, method: dict[str, Any], models: int) -> Iterator[Problem]:
    prior = method.get("prior")
    if isinstance(prior, list) and all(type(weight) in (int, float) for weight in prior):
        if len(prior) != models:
            yield Problem(f"{key}.prior", f"{shown(prior)} must hold {models} numbers, one per model")
        if any(weight < 0 for weight in prior):
            yield Problem(f"{key}.prior", f"{shown(prior)} must not be negative")
        if not abs(sum(prior) - 1) < 1e-6:
            yield Problem(f"{key}.prior", f"{shown(prior)} must sum to one")
        if method.get("arithmetic") == "paper":
            yield Problem(f"{key}.prior", "arithmetic `paper` starts from uniform weights; remove `prior`")


def _check_width(key: str, width: Any, models: int) -> Iterator[Problem]:
    if type(width) is int and 1 <= width <= 256 and _too_fine(width, models):
        yield Problem(
            key, f"{width} makes more than 2^61 bin sets of {models} models; widen it, or use fewer models"
        )


def _too_fine(width: int, models: int) -> bool:
    return (-(-256 // width)) ** models > MOST_BIN_SETS


def _check_finest(key: str, experiment: dict[str, Any], models: int) -> Iterator[Problem]:
    """Check the width at which an experiment counts: the common divisor of the widths of its methods."""
    methods, sweep = _sections(experiment, "methods"), experiment.get("sweep")
    binned = [
        method.get("bin_width", Ensir().bin_width)
        for name, method in methods.items()
        if method.get("kind", name) in ("ensir", "least_squares")
    ]
    swept = sweep.get("bin_width") if isinstance(sweep, dict) else None
    binned += swept if isinstance(swept, list) else []
    widths = [FINEST_OF_AUTO if width == "auto" else width for width in binned]
    widths = [width for width in widths if type(width) is int and 1 <= width <= 256]
    finest = math.gcd(*widths)
    if widths and finest not in widths and _too_fine(finest, models):
        yield Problem(
            f"{key}.methods",
            f"the bin widths {', '.join(map(str, sorted(set(widths))))} are counted at their common divisor, {finest}, "
            f"which makes more than 2^61 bin sets of {models} models; choose multiples of one another",
        )


def _check_refesr(key: str, datasets: dict[str, dict[str, Any]]) -> Iterator[Problem]:
    """Check that every dataset has inputs that are smaller than the targets."""
    for name, dataset in datasets.items():
        degradation = dataset.get("degradation")
        scale = degradation.get("scale", 1) if isinstance(degradation, dict) else dataset.get("scale", 1)
        if not (degradation or dataset.get("input")):
            yield Problem(
                key, f"refesr looks at degraded inputs, but dataset {name!r} has none; give its `input`"
            )
        elif scale == 1:
            yield Problem(
                key, f"refesr is for super-resolution, but the scale of dataset {name!r} is 1; remove refesr"
            )


def _check_sweep(key: str, experiment: dict[str, Any], models: list[str]) -> Iterator[Problem]:
    """Check that a sweep has methods to work on, and that its instances take nobody's name."""
    methods, sweep = _sections(experiment, "methods"), experiment.get("sweep")
    if not isinstance(sweep, dict) or not sweep:
        return
    for option, (kind, form) in {
        **{o: ("ensir", f"{{}}_{x}{{}}") for o, x in SWEPT.items()},
        "ablation": ("ptgrm", "{}_{}"),
    }.items():
        values = sweep.get(option)
        swept = [name for name, method in methods.items() if method.get("kind", name) == kind]
        if values and methods and not swept:
            yield Problem(
                f"{key}.sweep.{option}",
                f"works on `{kind}` methods, and there is none; add one, or remove it",
            )
        for value in values if isinstance(values, list) else []:
            if option == "bin_width":
                yield from _check_width(f"{key}.sweep.bin_width", value, len(models))
            for name in {form.format(name, value) for name in swept} & {*methods, *models}:
                yield Problem(
                    f"{key}.sweep.{option}",
                    f"{value} makes a method {name!r}, a name that is taken; rename that",
                )


def _check_figures(key: str, experiment: dict[str, Any], models: list[str]) -> Iterator[Problem]:
    """Check that pictures are of test sets, and that bin sets have a level for every model."""
    figures, tests = experiment.get("figures"), _texts(experiment, "tests")
    if not isinstance(figures, dict):
        return
    images, bin_sets = figures.get("images"), figures.get("bin_sets")
    for name in images if isinstance(images, dict) else []:
        if name not in tests:
            yield Problem(f"{key}.images", unknown(f"{name!r} is not in tests", name, tests))
    for levels in bin_sets if isinstance(bin_sets, list) else []:
        if isinstance(levels, list) and len(levels) != len(models):
            yield Problem(f"{key}.bin_sets", f"{shown(levels)} must hold {len(models)} levels, one per model")


def _sections(section: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """Return the named sections below a key; what is no section counts as an empty one."""
    named = section.get(key)
    if not isinstance(named, dict):
        return {}
    return {name: value if isinstance(value, dict) else {} for name, value in named.items()}


def _texts(section: dict[str, Any], key: str) -> list[str]:
    """Return the texts that a key holds, one or a list of them."""
    value = section.get(key)
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
