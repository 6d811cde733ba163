"""`ensir publish`: put stores where others can use them, and print the configuration with which they do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ensir.cli.outputs import check_outputs
from ensir.cli.progress import shown
from ensir.errors import InputError

if TYPE_CHECKING:
    from ensir.planning.plan import Plan


def publish(
    store: Annotated[
        Path,
        typer.Argument(
            metavar="STORE",
            help="a sealed store of a results folder, or a configuration: all its datasets and predictions",
        ),
    ],
    location: Annotated[
        str, typer.Argument(metavar="LOCATION", help="where it goes: a folder, or s3://BUCKET/…")
    ],
) -> None:
    """Put stores at a path or URL, for datasets and models of `kind: store`. Run it again after an interruption.

    Of a configuration, prints the one with which others get the same results. Credentials for S3 come from the
    environment (AWS_ACCESS_KEY_ID, …), or a profile of ~/.aws (AWS_PROFILE).

    Examples: ensir publish results/predictions/set5/IMDN.zarr s3://bucket/set5/IMDN.zarr; ensir publish mine.yaml s3://…
    """
    from ensir.storage.shared import is_url

    location = location.rstrip("/") or "/"
    if not is_url(location):
        location = os.path.abspath(os.path.expanduser(location))
        check_outputs({}, {"STORE": store}, folders={"LOCATION": location})
    if store.suffix in (".yaml", ".yml"):
        _publish_all(str(store), location)
    else:
        _publish_one(str(store), location)


def _publish_one(store: str, location: str) -> None:
    """Publish a store; print the line for the other side."""
    from ensir.storage.shared import ROOT, SharedStore

    if Path(store, ROOT).is_file() and _is_dataset(store) and not _licence(store):
        raise InputError(
            f"{store}: says no licence; give one to its dataset in the configuration, under which its images may be "
            "shared, and run that"
        )
    digest = _published(store, location)
    shared = SharedStore(location, digest)
    made = shared.attributes(shared.parts[0])
    if made["kind"] == "dataset":
        line = f'{made["dataset"]}: {{kind: store, path: "{location}", digest: {digest}}}'
        typer.echo(f"for others, under datasets:\n  {line}")
    if made["kind"] == "prediction":
        line = f'{{kind: store, path: "{location}", digests: {{{made["dataset"]}: {digest}}}}}'
        typer.echo(f"for others, under models:\n  {made['model']}: {line}")


def _is_dataset(store: str) -> bool:
    from ensir.storage import known, reading

    return any(
        reading.Part(f"{store}/{part}").attributes["kind"] == "dataset" for part in [*known.sealed(store)][:1]
    )


def _licence(store: str) -> str | None:
    """Return the licence that a sealed dataset says.

    Raises
    ------
    InputError
        It cannot be used by others: it is damaged, or was sealed by an earlier version.
    """
    from ensir.storage.index import Index
    from ensir.storage.shared import SharedStore

    licence: str | None = Index(SharedStore(store)).facts.get("licence")
    return licence


def _published(store: str, location: str) -> str:
    """Publish a store; return its digest."""
    from ensir.storage.upload import upload

    with shown(f"publish {store}") as progress:
        done = upload(store, location, progress)
    typer.echo(
        f"{location}: {done.objects} objects uploaded ({done.size / 1e6:,.2f} MB), {done.there} were already there",
        err=True,
    )
    return done.digest


def _publish_all(config: str, location: str) -> None:
    """Publish the datasets and predictions of a configuration, and print the configuration of the other side."""
    import yaml

    from ensir.config import reading
    from ensir.planning.plan import Plan

    plan = Plan(reading.load(config))
    needs = [*_needs(plan)]
    layout, used = plan.layout, [(dataset, models) for _, dataset, models in plan.used()]
    datasets = {dataset: layout.dataset(dataset) for dataset, _ in used}
    predictions = {
        (dataset, model): layout.predictions(dataset, model)
        for dataset, models in used
        for model in models
        if not _only_refers(plan, model)
    }
    licences = dict(_checked_licences(plan, datasets, [*datasets.values(), *predictions.values()]))
    sections: dict[str, dict[str, Any]] = {"datasets": {}, "models": {}}
    for dataset, store in datasets.items():
        path = f"{location}/{dataset}.zarr"
        section: dict[str, Any] = {"kind": "store", "path": path, "digest": _published(store, path)}
        given = plan.config.datasets[dataset].model_dump(exclude_unset=True)
        own = {name: given[name] for name in ("images_per_part", "citation") if given.get(name) is not None}
        sections["datasets"][dataset] = section | {"licence": licences[dataset]} | own
    for (dataset, model), store in predictions.items():
        digest = _published(store, f"{location}/{dataset}/{model}.zarr")
        shared: dict[str, Any] = {
            "kind": "store",
            "path": f"{location}/{{dataset}}/{model}.zarr",
            "digests": {},
        }
        sections["models"].setdefault(model, shared)["digests"][dataset] = digest
    raw = reading.expanded(config)
    for model in dict.fromkeys(model for _, models in used for model in models if _only_refers(plan, model)):
        sections["models"][model] = raw["models"][model]
        needs.append(f"models.{model} is read from {raw['models'][model]['path']}, as before")
    needs_denoisers = any(refinement.method for refinement in plan.networks.refiners().values())
    others = ("experiments", "denoisers") if needs_denoisers else ("experiments",)
    theirs = {**sections, **{key: raw[key] for key in others if key in raw}}
    typer.echo("# Made by `ensir publish`: datasets and predictions are read from where they were published.")
    for line in needs:
        typer.echo(f"# {line}")
    typer.echo(yaml.safe_dump(theirs, sort_keys=False, allow_unicode=True, width=120), nl=False)


def _only_refers(plan: Plan, model: str) -> bool:
    """Return whether the predictions of a model are somebody else's, and are not copied here."""
    section = plan.config.models[model]
    return section.adopted and not getattr(section, "fetch", False)


def _checked_licences(plan: Plan, datasets: dict[str, str], stores: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the licence of each dataset.

    Raises
    ------
    InputError
        One of them has none, or a store is not complete.
    """
    lines = [
        f"{store}: is not complete; run the configuration to its end first"
        for store in stores
        if not Path(plan.layout.seal(store)).is_file()
    ]
    for dataset, store in datasets.items():
        held = _licence(store) if Path(plan.layout.seal(store)).is_file() else None
        if licence := plan.config.datasets[dataset].licence or held:
            yield dataset, licence
        else:
            lines.append(
                f"datasets.{dataset}.licence: is missing; say under which licence its images, and predictions for "
                "them, may be shared"
            )
    if lines:
        raise InputError("\n".join(lines))


def _needs(plan: Plan) -> Iterator[str]:
    """Yield what the experiments need besides stores: files and functions of the user's."""
    from ensir import registry
    from ensir.networks.shipped import SHIPPED_DAES

    for name, experiment in plan.config.experiments.items():
        for method, section in experiment.methods.items():
            files = section.network(f"{name}/{method}", plan.networks)
            if needed := [*(file for file in files if file not in SHIPPED_DAES.values()), *section.functions]:
                yield f"experiments.{name}.methods.{method} also needs {', '.join(needed)}"
        for metric, measured in experiment.score.metrics.items():
            if measured.functions:
                yield f"experiments.{name}.score.metrics.{metric} also needs {', '.join(measured.functions)}"
        for figure in registry.kinds("figures"):
            if files := experiment.figures.options(figure).files(f"experiments.{name}.figures"):
                yield f"experiments.{name}.figures also needs {', '.join(files)}"
