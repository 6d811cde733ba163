"""Adopt dataset: images of a shared dataset → a part of a dataset, to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ensir.errors import InputError
from ensir.storage import provenance, reading, writing
from ensir.storage.index import Index, IndexedImage
from ensir.storage.layout import Place
from ensir.storage.shared import NOT_OURS, Gathered, SharedStore

if TYPE_CHECKING:
    from ensir.storage.progress import Progress


def adopt_dataset(
    place: Place,
    dataset: str,
    names: list[str],
    settings: dict[str, Any],
    location: str,
    digest: str | None,
    progress: Progress,
) -> None:
    """Write a part of a dataset whose images are in a shared store: a copy, since every job that scores reads targets.

    Parameters
    ----------
    place : Place
        Where the part goes.
    dataset : str
        Name of the dataset.
    names : list of str
        Names of the part's images.
    settings : dict
        The dataset's section, as plain data: its licence and citation, where it has any, go before the publisher's.
    location : str
        Path or URL of the shared store.
    digest : str or None
        SHA-256 that its root must have.
    progress : callable

    Raises
    ------
    InputError
        The store is no dataset, lacks an image, is damaged, or has another digest.
    """
    shared = SharedStore(location, digest)
    index = Index(shared)
    if missing := [name for name in names if name not in index.images]:
        raise InputError(
            f"{location}: has no image {missing[0]!r}; it was replaced since the run was planned: run again"
        )
    images = [index.images[name] for name in names]
    sources = list(dict.fromkeys(image.part for image in images))
    attributes = {
        "kind": "dataset",
        "dataset": dataset,
        "images": names,
        "licence": None,
        "citation": None,
        **index.facts,
        **{name: settings[name] for name in ("licence", "citation") if settings[name]},
        "versions": provenance.versions("numpy"),
        "published": {part: index.versions[part] for part in sources},
    }
    arrays = [""] * index.has_targets + ["input_"] * index.has_inputs
    gathered = {prefix: _Images(shared, images, prefix) for prefix in arrays}
    expected = {"": [image.target for image in images], "input_": [image.input for image in images]}
    _check_sizes(location, index, images, gathered)
    size = sum(one.pixels.size * one.pixels.dtype.itemsize for one in gathered.values())
    with writing.new_group(place, attributes, size) as group:
        for done, (prefix, one) in enumerate(gathered.items()):
            writer = writing.ImageWriter(group, names, one.shapes, one.pixels.dtype, prefix)
            read, start = reading.pixel_reader(one.pixels, location), 0
            for i, (height, width, _) in enumerate(one.shapes):
                writer.append(read(start, start + height * width))
                start += height * width
                progress(done * len(names) + i + 1, len(gathered) * len(names))
            writer.close()
            if writer.digests != expected[prefix]:
                raise InputError(f"{location}: holds other images than its root names; {NOT_OURS}")
        if not index.has_targets:
            writing.write_columns(
                group, names, [(image.height, image.width, index.channels) for image in images]
            )


class _Images:
    """The targets, or the inputs, of some images of a shared dataset.

    Parameters
    ----------
    shared : SharedStore
    images : list of IndexedImage
    prefix : str
        ``""`` for targets, ``"input_"`` for inputs.
    """

    def __init__(self, shared: SharedStore, images: list[IndexedImage], prefix: str):
        name, parts = "input" if prefix else "value", list(dict.fromkeys(image.part for image in images))
        names = [f"{prefix}{column}" for column in ("height", "width", "offset")]
        columns = {part: shared.columns(part, *names) for part in parts}
        rows = [[int(column[image.position]) for column in columns[image.part]] for image in images]
        self.pixels = Gathered(
            shared.source(parts, name),
            [image.part for image in images],
            [offset for _, _, offset in rows],
            [height * width for height, width, _ in rows],
            name,
        )
        self.shapes = [(height, width, self.pixels.shape[0]) for height, width, _ in rows]


def _check_sizes(
    location: str, index: Index, images: list[IndexedImage], gathered: dict[str, _Images]
) -> None:
    """Check that arrays have the sizes and the depth that planning took from the root."""
    for prefix, one in gathered.items():
        scale = index.scale if prefix else 1
        wanted = [(image.height // scale, image.width // scale, index.channels) for image in images]
        if one.shapes != wanted or one.pixels.dtype != f"uint{index.facts['bits']}":
            raise InputError(
                f"{location}: its arrays have other sizes or another depth than its root names; {NOT_OURS}"
            )
