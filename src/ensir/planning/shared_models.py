"""Shared stores of predictions, asked for their roots before a run: are they there, and what they should be?"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType

from ensir.errors import InputError
from ensir.images.codes import Header
from ensir.planning.plan import Plan
from ensir.storage.shared import SharedImage, SharedStore, is_url
from ensir.storage.shared_predictions import OTHER_KIND, mismatches

log = logging.getLogger(__name__)
THREADS = 8  # which wait for servers


def problems(plan: Plan, kinds: Mapping[str, Header] = MappingProxyType({})) -> Iterator[str]:
    """Yield a line for everything that is wrong with the shared stores of models, as far as their roots tell.

    `kinds` are the channels and bits of the images, by dataset, where these are known.

    Each root is requested once; that at a URL only until all of its predictions have been adopted. Where targets are
    in files, images are compared by name; where they are in a shared dataset, by the digests of their pixels, too.
    """
    used = {(model, dataset): None for _, dataset, models in plan.used() for model in models}
    wanted = [(model, dataset) for model, dataset in used if plan.config.models[model].adopted]
    with ThreadPoolExecutor(THREADS) as pool:
        for lines in pool.map(lambda pair: [*_problems(plan, pair[0], pair[1], kinds.get(pair[1]))], wanted):
            yield from lines


def _problems(plan: Plan, model: str, dataset: str, kind: Header | None) -> Iterator[str]:
    try:
        where, names, index = plan.shared(dataset, model), list(plan.targets(dataset)), plan.index(dataset)
    except InputError:  # reported by the plan
        return
    assert where is not None
    assert where["location"] is not None
    key = f"models.{model}.path"
    if is_url(where["location"]) and _is_adopted(plan, model, dataset):
        return
    try:
        shared = SharedStore(where["location"], where["digest"])
    except InputError as error:
        yield f"{key}: {error}"
        return
    images = index.images if index else {}
    ours = {
        name: SharedImage(image.part, image.position, image.target, image.input)
        for name, image in images.items()
    }
    yield from (f"{key}: {line}" for line in mismatches(shared, dataset, names, ours))
    depths = {shared.attributes(image.part).get("bits") for image in shared.images.values()}
    if kind and kind.bits and depths - {kind.bits, None}:
        yield f"{key}: {shared.location}, for dataset {dataset!r}: {OTHER_KIND}"
    called = {str(shared.attributes(part).get("model")) for part in shared.parts} - {model}
    for other in sorted(called & plan.config.models.keys()):
        log.warning(
            "%s: %s holds what its publisher calls %s, and %s is another of your models: is it the right store?",
            key,
            where["location"],
            other,
            other,
        )


def _is_adopted(plan: Plan, model: str, dataset: str) -> bool:
    """Whether every part of the predictions is there."""
    layout = plan.layout
    parts = [layout.part(layout.predictions(dataset, model), part) for part in plan.parts(dataset)]
    return all(os.path.isfile(f"{part}/zarr.json") and os.path.isfile(layout.digest(part)) for part in parts)
