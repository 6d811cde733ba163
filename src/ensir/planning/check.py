"""Check configurations before a run: all mistakes are reported at once, each with its place and how to fix it."""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ensir import registry
from ensir.config import reading
from ensir.errors import InputError
from ensir.execution import devices, extras, functions
from ensir.execution.workers import DASK_JOBQUEUE
from ensir.images.degradation_files import read_kernel
from ensir.networks import heads
from ensir.networks.sections import Refiner
from ensir.planning import photographs, shared_models
from ensir.planning.headers import Headers
from ensir.planning.jobs import jobs
from ensir.planning.overlap import shared_images, tell_of_copies
from ensir.planning.plan import Plan
from ensir.planning.reads import Reads
from ensir.storage.layout import Layout
from ensir.storage.paths import ignores_case
from ensir.storage.provenance import from_here

LONGEST_NAME = 254  # characters; Snakemake divides longer names of records
# Of an experiment: what adds results, and changes none that has its name.
NO_RESULT = frozenset({"tests", "sweep", "allow_overlap", "png", "expected_error", "printed"})


def plan(raw: dict[str, Any], source: str, files: Sequence[str], prefix: str = "") -> Plan:
    """Return the plan of a configuration, if all files exist; see `ensir.config.reading.parse`.

    Parameters
    ----------
    raw, source, files
        As of `parse`.
    prefix : str
        The folder that the results folder is in, unless it is absolute.

    Raises
    ------
    InputError
        All mistakes of the configuration, and all that is missing.
    """
    config, problems = reading.examine(raw, files)
    planned = Plan(config, Layout(os.path.join(prefix, config.results)))
    if lines := [*map(": ".join, problems), *planned.problems()]:
        raise InputError(reading.as_message(source, lines))
    return planned


@dataclass(frozen=True)
class Checked:
    """The plan of a configuration without mistakes, the headers of its files, and the warnings that were printed."""

    plan: Plan
    headers: Headers
    warnings: Sequence[str] = ()


def check(path: str, results: str | None = None) -> Checked:
    """Check a configuration file as `plan` does, and whatever else could make a run fail.

    Imports the user's functions, looks for a GPU where one is asked for, reads the headers of image files, and asks for
    the roots of shared stores.

    Parameters
    ----------
    path : str
    results : str or None
        A results folder, in place of the configuration's.

    Raises
    ------
    InputError
        All mistakes, a line each, sorted; or one syntax error, with the line and a caret.
    """
    raw = reading.read(path)
    if results is not None:
        raw["results"] = results
    config, problems = reading.examine(raw, [path])
    planned = Plan(config)
    headers = Headers(planned)
    of_files = [
        *planned.problems(),
        *_tried_out(planned),
        *_gpus(planned),
        *headers.problems(),
        *headers.unlike(),
        *photographs.problems(planned),
        *_weights(planned),
        *_kernels(planned),
        *shared_models.problems(planned, headers.kinds),
    ]
    keys = {problem.key for problem in problems}  # of which files say no more
    lines = [
        *map(": ".join, problems),
        *_results_folder(planned.layout.root),
        *_alike(planned),
        *_single_references(planned),
        *(line for line in of_files if line.partition(": ")[0] not in keys),
        *shared_images(planned),
    ]
    if lines:
        raise InputError(reading.as_message(path, lines))
    tell_of_copies(planned)
    return Checked(planned, headers)


def replaced(plan: Plan, file: Path) -> tuple[str, list[str]] | None:
    """Return what a run will replace of another configuration; None without such a one.

    Returns
    -------
    other : str
        The configuration's file: page and tables are replaced.
    experiments : list of str
        Experiments that both have under one name, and differ: all of their results are replaced.
    """
    if not (last := _last_run(plan)):
        return None
    files, ran, wanted = last
    if len(files) != 1 or files[0] == from_here(file) or ran == wanted:
        return None
    before, now = ran.get("experiments", {}), wanted["experiments"]
    return files[0], [name for name in now if name in before and now[name] != before[name]]


def foreign(plan: Plan) -> tuple[str, str, list[str]] | None:
    """Return what a run would take for its own, though another configuration made it in another working directory.

    What a result was made with, Snakemake keeps in the working directory. A result without such a record is taken for
    what is wanted, whatever the configuration says.

    Returns
    -------
    result : str
        The first without a record.
    other : str
        The configuration of the last run.
    keys : list of str
        The keys that differ; None without any, or where all results have records.
    """
    if not (last := _last_run(plan)):
        return None
    files, ran, wanted = last
    keys = sorted(_differences(ran, wanted))
    results = (result for job in jobs(Reads(plan)) for result in job.results) if keys else ()
    strange = next((one for one in results if os.path.exists(one) and not _is_recorded(one)), None)
    return (strange, ", ".join(files), keys) if strange else None


def _last_run(plan: Plan) -> tuple[list[str], dict[str, Any], dict[str, Any]] | None:
    """Return the configuration files of the last run, the keys that its results depend on, and the plan's own."""
    try:
        run = json.loads(Path(plan.layout.provenance).read_text(encoding="utf-8"))["run"]
        files, ran = [*map(str, run["config_files"])], run["config"]
    except (OSError, ValueError, KeyError, TypeError):  # none, or from before files were recorded
        return None
    return files, ran, json.loads(json.dumps(Reads(plan).used_sections()))


def _is_recorded(result: str) -> bool:
    """Whether Snakemake has a record of a result, finished or not, in the working directory."""
    name = urlsafe_b64encode(os.fsencode(result)).decode()
    parts = [name[i : i + LONGEST_NAME] for i in range(0, len(name), LONGEST_NAME)]
    path = os.path.join(*(f"@{part}" for part in parts[:-1]), parts[-1])
    return any(os.path.exists(f".snakemake/{kind}/{path}") for kind in ("metadata", "incomplete"))


def _differences(before: Any, now: Any, key: str = "") -> Iterator[str]:
    """Yield the keys of two configurations that both have and that differ, but for those that change no result."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in before.keys() & now.keys() - NO_RESULT:
            yield from _differences(before[name], now[name], f"{key}.{name}" if key else name)
    elif before != now:
        yield key


def used_models(plan: Plan) -> list[str]:
    """Return the names of the models that experiments use, sorted."""
    return sorted({model for _, _, models in plan.used() for model in models})


def _results_folder(root: str) -> Iterator[str]:
    """Report a results folder that is no folder, or cannot be made."""
    path = Path(root).absolute()
    there = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if not there.is_dir():
        yield f"results: {there} is no folder; name another, or move it away"
    elif there != path and not os.access(there, os.W_OK):
        yield f"results: {root} cannot be made, since {there} cannot be written; name a folder of yours"


def _alike(plan: Plan) -> Iterator[str]:
    """Report names that differ in case only, where the disk of the results takes them for one."""
    sections = ("datasets", "models", "denoisers", "experiments")
    named = {section: list(getattr(plan.config, section)) for section in sections}
    for name, experiment in plan.config.experiments.items():
        named[f"experiments.{name}.methods"] = [*experiment.models, *experiment.methods]
    for key, names in named.items():
        first: dict[str, str] = {}
        for name in names:
            other = first.setdefault(name.lower(), name)
            if other != name and ignores_case(plan.layout.root):
                yield (
                    f"{key}.{name}: differs from {other!r} in case only, and for the disk of {plan.layout.root} both "
                    "are one folder; rename one of them"
                )


def _single_references(plan: Plan) -> Iterator[str]:
    """Report methods that hold images of the reference out, where it has a single one."""
    for name, experiment in plan.config.experiments.items():
        try:
            images = sum(map(len, plan.parts(experiment.reference).values()))
        except (InputError, KeyError):  # reported elsewhere
            continue
        for method, section in experiment.methods.items():
            if images == 1 and section.holds_out:
                number = (
                    ', or give a number instead of "auto"' if "auto" in section.model_dump().values() else ""
                )
                yield (
                    f"experiments.{name}.methods.{method}: chooses on images of the reference that are held out in "
                    f"turn, and {experiment.reference} has a single one; add images to it{number}, or leave the method "
                    "out"
                )


def _tried_out(plan: Plan) -> Iterator[str]:
    """Report functions that cannot be imported, options that nothing takes, and packages that are not installed."""
    config = plan.config
    named: dict[str, Any] = {f"models.{model}": config.models[model] for model in used_models(plan)}
    for name, experiment in config.experiments.items():
        for field, kinds in (("score.metrics", experiment.score.metrics), ("methods", experiment.methods)):
            named |= {f"experiments.{name}.{field}.{one}": section for one, section in kinds.items()}
    for key, section in named.items():
        try:
            for function in section.functions:
                functions.load(function)
            section.try_out()
        except InputError as error:
            yield f"{key}: {error}"
    for name, experiment in config.experiments.items():
        for figure in registry.kinds("figures"):
            try:
                experiment.figures.options(figure).try_out()
            except InputError as error:
                yield f"experiments.{name}.figures: {error}"
    if config.dask.scheduler == "slurm":
        try:
            extras.check(*DASK_JOBQUEUE, "dask_jobqueue")
        except InputError as error:
            yield str(error)


def _weights(plan: Plan) -> Iterator[str]:
    """Report files of networks that are not what they should be, as far as their heads tell."""
    made = {plan.layout.denoiser(name) for name in plan.config.denoisers}
    for model in used_models(plan):
        try:
            files = plan.network(model)
        except InputError:  # reported by the plan
            continue
        section = plan.config.models[model]
        try:
            if files and files[0] not in made and not isinstance(section, Refiner):
                section.check_network(files, getattr(section, "device", None) or plan.config.compute.device)
        except InputError as error:
            yield f"models.{model}: {error}"
    for name, refinement in plan.networks.refiners().items():
        settings = refinement.settings
        try:
            files = plan.networks.refiner_files(name)
            guides = {"prior": files[1:], "training.perceptual": plan.networks.perceptual(name)}
        except InputError:  # reported by the plan
            continue
        for key, listed in guides.items():
            try:
                for file in listed:
                    if file not in made and not file.endswith(".json"):  # of CLIP
                        heads.check_weights(file)
            except InputError as error:
                yield f"{refinement.key}.{key}: {error}"
        try:
            if settings.weights and made.isdisjoint(files):
                prior = heads.identity_of_prior(settings.seen["prior"], files[1:])
                heads.check_refiner(settings.weights, settings.seen["architecture"], prior)
        except InputError as error:
            yield f"{refinement.key}.weights: {error}"


def _kernels(plan: Plan) -> Iterator[str]:
    """Report files that hold no blur kernel."""
    for dataset in dict.fromkeys(dataset for _, dataset, _ in plan.used()):
        try:
            files = plan.kernel(dataset)
        except InputError:  # reported by the plan
            continue
        for file in files:
            blur = plan.config.datasets[dataset].degradation  # type: ignore[attr-defined]
            try:
                read_kernel(file, blur.number, blur.mirrored)
            except InputError as error:
                yield f"datasets.{dataset}.degradation.kernel: {error}"


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
