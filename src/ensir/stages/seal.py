"""Seal: all parts of a store → its root group, which names them with the digests of their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ensir.errors import InputError
from ensir.storage import digests, formats
from ensir.storage.atomic import written
from ensir.storage.layout import Layout, Place

INDEXED = ("height", "width", "digest", "input_digest")


def seal(place: Place, store: str, parts: list[str], layout: Layout, published: str | None = None) -> None:
    """Write the root group of a store: it names all parts, with their metadata and the digests of all their files.

    That of a dataset also has an index of its images, so that others can plan with the root alone.

    Parameters
    ----------
    place : Place
        The store's ``zarr.json``.
    store : str
        The store's folder.
    parts : list of str
        Names of its parts, all complete.
    layout : Layout
    published : str or None
        SHA-256 of the root of the shared store that all its parts were copied from.

    Raises
    ------
    InputError
        Parts of one store differ in channels or depth (grey and RGB images mixed, 8 and 16 bit).
    """
    metadata: dict[str, Any] = {}
    kinds: dict[tuple, str] = {}
    files: dict[str, str] = {}
    index: dict[str, dict[str, Any]] = {}
    for part in parts:
        listed = digests.read(layout.digest(f"{store}/{part}"))
        files |= {f"{part}/{name}": sha for name, sha in listed.items()}
        node = json.loads(Path(store, part, "zarr.json").read_text())
        members = node.pop("consolidated_metadata")["metadata"]
        if node["attributes"].get("kind") == "dataset":
            index[part] = _indexed(f"{store}/{part}")
        empty = {"kind": "inline", "must_understand": False, "metadata": {}}
        metadata[part] = {**node, "consolidated_metadata": empty}
        metadata |= {f"{part}/{name}": member for name, member in members.items()}
        # not where the part refers to another store; without targets, there are inputs only
        if values := members.get("value") or members.get("input"):
            kinds.setdefault((values["shape"][0], node["attributes"]["bits"]), part)
    if len(kinds) > 1:
        (a, one), (b, other) = list(kinds.items())[:2]
        raise InputError(
            f"{store}: part {one} has {a[0]} channels of {a[1]} bit, part {other} {b[0]} of {b[1]}; "
            "a dataset holds images of one kind: split it in two"
        )
    attributes: dict[str, Any] = {"format_version": formats.VERSION, "parts": parts, "files": files}
    attributes |= ({"index": index} if index else {}) | ({"published": published} if published else {})
    root = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": attributes,
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": metadata},
    }
    with written(place) as partial:
        partial.write_text(json.dumps(root, indent=1))


def _indexed(path: str) -> dict[str, Any]:
    """Return the sizes and digests of the images of a part of a dataset."""
    from ensir.storage import reading  # other stores are sealed faster than NumPy is loaded

    part = reading.Part(path)
    columns = {name: part.column(name).tolist() for name in INDEXED if name in part.group}
    return {"channels": part.shapes[0][2], **columns}
