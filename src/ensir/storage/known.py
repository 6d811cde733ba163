"""What must be there: the parts that the seal of a store names, and the results that the last run recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ensir.errors import InputError
from ensir.storage.digests import check_before_reading
from ensir.storage.layout import Layout


def sealed(store: str | Path) -> dict[str, dict[str, str]]:
    """Return the parts that the seal of a store names, each with the SHA-256 of its files.

    Empty without a seal, and where it is damaged.
    """
    attributes = _read(Path(store, "zarr.json")).get("attributes", {})
    try:
        parts: dict[str, dict[str, str]] = {part: {} for part in attributes["parts"]}
        for name, sha in attributes["files"].items():
            part, _, file = name.partition("/")
            parts[part][file] = sha
    except (KeyError, TypeError, AttributeError):
        return {}
    return parts


def recorded(layout: Layout) -> set[str]:
    """Return the results that the record of the last run lists, wherever the results folder was then."""
    listed = _read(Path(layout.provenance)).get("results", {})
    roots = {name.rpartition("/datasets/")[0] for name in listed if "/datasets/" in name}
    if len(roots) != 1:
        return set()
    (root,) = roots
    return {layout.root + name.removeprefix(root) for name in listed}


def _read(file: Path) -> dict[str, Any]:
    try:
        check_before_reading(file)
        held = json.loads(file.read_bytes())
    except (OSError, ValueError, InputError):
        return {}
    return held if isinstance(held, dict) else {}
