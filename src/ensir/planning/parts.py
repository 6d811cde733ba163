"""Parts: which images each job works on; parts that exist keep their images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path


def assign(names: Sequence[str], images_per_part: int, stores: Sequence[str]) -> dict[str, list[str]]:
    """Assign images to parts; parts that exist keep their images, so that appended images only make new parts.

    Parameters
    ----------
    names : list of str
        All image names of the dataset.
    images_per_part : int
    stores : list of str
        Folders whose parts are remembered: the dataset's store, then those of its predictions, in case a part of the
        dataset is gone.

    Returns
    -------
    dict
        Image names by part; a part is named by a hash of its image names.
    """
    left = set(names)
    parts = {}
    for metadata in (path for store in stores for path in sorted(Path(store).glob("*/zarr.json"))):
        if metadata.parent.name in parts:
            continue
        try:
            held = json.loads(metadata.read_text())["attributes"]["images"]
        except (ValueError, KeyError):
            continue  # damaged: it will be made again
        if left.issuperset(held) and metadata.parent.name == part_name(held):
            parts[metadata.parent.name] = held
            left -= set(held)
    rest = sorted(left)
    for start in range(0, len(rest), images_per_part):
        held = rest[start : start + images_per_part]
        parts[part_name(held)] = held
    return dict(sorted(parts.items(), key=lambda item: item[1]))


def part_name(names: Sequence[str]) -> str:
    """Return the name of the part that holds these images."""
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
