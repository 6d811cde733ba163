"""Adopt: the predictions of a shared store for one part of a dataset → a part that refers to them, or a copy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.errors import InputError
from ensir.storage import digests, provenance, reading, writing
from ensir.storage.layout import Place
from ensir.storage.shared import Gathered, SharedImage, SharedStore, images_of
from ensir.storage.shared_predictions import OTHER_KIND, mismatches, named

if TYPE_CHECKING:
    from ensir.storage.progress import Progress

LONGEST_STORY = 2**20  # bytes
COLUMNS = ("height", "width", "offset", "digest")


def adopt(
    place: Place,
    dataset_part: str,
    dataset_digest: str,
    model: str,
    settings: dict[str, Any],
    location: str,
    digest: str | None,
    progress: Progress,
) -> None:
    """Write a part of a prediction store whose predictions are in a shared store.

    Parameters
    ----------
    place : Place
        Where the part goes.
    dataset_part, dataset_digest : str
        The part of the dataset, and its digest file.
    model : str
        Name of the model.
    settings : dict
        The keys of the model's section that its predictions depend on, as plain data.
    location : str
        Path or URL of the shared store.
    digest : str or None
        SHA-256 that its root must have.
    progress : callable

    Raises
    ------
    InputError
        The shared store lacks a prediction, has one for another target or input, is damaged, or has another digest.
    """
    part, shared = reading.Part(dataset_part), SharedStore(location, digest)
    images = find(part, shared)
    columns = {name: shared.columns(name, *COLUMNS) for name in dict.fromkeys(where.part for where in images)}
    height, width, offset, image_digest = (
        [columns[where.part][i][where.position] for where in images] for i in range(len(COLUMNS))
    )
    sizes = [(int(h), int(w)) for h, w in zip(height, width, strict=True)]
    _check_sizes(part, sizes, location)
    source = shared.source(columns, "value")
    places = [where.part for where in images]
    gathered = Gathered(source, places, offset, [h * w for h, w in sizes])
    shapes = [(*size, gathered.shape[0]) for size in sizes]
    _check_depth(part, shapes, gathered, location)
    attributes = {
        "kind": "prediction",
        "dataset": part.attributes["dataset"],
        "model": model,
        "settings": settings,
        "parameters": {"published": {name: _made(shared, name) for name in columns}},
        "bits": part.bits,
        "value_range": part.attributes["value_range"],
        "dataset_digest": digests.sha256(dataset_digest),
        "versions": provenance.versions("numpy"),
        **reading.identity(part),
    }
    size = gathered.size * gathered.dtype.itemsize if settings["fetch"] else 0
    with writing.new_group(place, attributes, size) as group:
        if not settings["fetch"]:
            group.update_attributes({"source": source})
            writing.write_columns(group, part.names, shapes)
            writing.write_array(group, "digest", image_digest, ("image",), long_name=writing.DIGEST)
            writing.write_array(group, "source_part", places, ("image",))
            writing.write_array(group, "source_offset", np.asarray(offset, np.int64), ("image",))
            return
        writer = writing.ImageWriter(group, part.names, shapes, gathered.dtype)
        read = reading.pixel_reader(gathered, location)
        for i, (start, (h, w)) in enumerate(zip(part.offsets, sizes, strict=True)):
            writer.append(read(start, start + h * w))
            progress(i + 1, len(sizes))
        writer.close()


def _check_sizes(part: reading.Part, sizes: list[tuple[int, int]], location: str) -> None:
    others = [
        name for name, shape, size in zip(part.names, part.shapes, sizes, strict=True) if shape[:2] != size
    ]
    if others:
        raise InputError(f"{location}: has another size for {named(others)}; use the publisher's targets")


def _check_depth(
    part: reading.Part, shapes: list[tuple[int, int, int]], gathered: Gathered, location: str
) -> None:
    if shapes != part.shapes or gathered.dtype != f"uint{part.bits}":
        raise InputError(f"{location}: {OTHER_KIND}")


def find(part: reading.Part, shared: SharedStore) -> list[SharedImage]:
    """Find a part's images in a shared store: by name, with the same target and, where both record it, input.

    Where one of them has no targets, both must record the same input.

    Raises
    ------
    InputError
        The store holds no predictions, or images are missing or differ; all of them are reported at once.
    """
    ours = images_of("", reading.identity(part))
    if problems := [*mismatches(shared, part.attributes["dataset"], part.names, ours)]:
        raise InputError("\n".join(problems))
    return [shared.images[name] for name in part.names]


def _made(shared: SharedStore, part: str) -> dict[str, Any]:
    """Return how a part of a shared store was made.

    Raises
    ------
    InputError
        The publisher tells more than any run of this version would.
    """
    attributes = shared.attributes(part)
    made = {name: attributes.get(name) for name in ("model", "settings", "parameters", "versions")}
    if (size := len(json.dumps(made))) > LONGEST_STORY:
        raise InputError(
            f"{shared.location}: {part} tells in {size:,} bytes how it was made, and at most {LONGEST_STORY:,} "
            "are kept; use a store that this version of `ensir publish` has written"
        )
    return made
