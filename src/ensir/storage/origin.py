"""The record beside each digest: where, when and with which code a result was made, and the checksums of its chunks;
of predictions, how long they took.

No digest covers it, so it holds one of itself; where that differs, it counts as missing.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ensir.storage import provenance
from ensir.storage.layout import Layout

CHECKSUMS, OWN = "checksums", "sha256"


def write(digest: Path, checksums: Mapping[str, str], measured: Mapping[str, Any]) -> None:
    """Write the record of a result.

    Parameters
    ----------
    digest : Path
        Its digest file.
    checksums : mapping
        The CRC-32C that each of its chunks ends with, in hexadecimal, by name.
    measured : mapping
        What was measured when it was made.
    """
    record = {**provenance.origin(), **measured, CHECKSUMS: dict(checksums)}
    text = json.dumps({**record, OWN: _digest(record)})
    path = Layout.origin_of(digest)
    path.unlink(missing_ok=True)  # it may be a hard link, of a copy of the results
    path.write_text(text)


def read(digest: str | os.PathLike) -> dict[str, Any]:
    """Return the record of a result; empty where there is none, or it is damaged."""
    try:
        record = json.loads(Layout.origin_of(digest).read_bytes())
        own = record.pop(OWN, None)
    except (OSError, ValueError, AttributeError):
        return {}
    # Before records held digests of themselves, they held no checksums either.
    return record if own == _digest(record) or (own is None and CHECKSUMS not in record) else {}


def runs(
    layout: Layout, predictions: Mapping[str, Sequence[str]], given: Mapping[str, float], images: int
) -> dict[str, dict[str, float]]:
    """Return, for each model, the seconds per image of what has to run, by name; NaN where they are not known."""
    found: dict[str, dict[str, float]] = {}
    for model, parts in predictions.items():
        found[model] = {}
        for part in parts:
            seconds = read(layout.digest(part)).get("seconds", {model: None})
            for name, value in seconds.items():
                so_far = found[model].get(name, 0.0)
                found[model][name] = so_far + (math.nan if value is None else value / images)
        found[model] |= {name: given[name] for name in found[model] if name in given}
    return found


def is_damaged(digest: str | os.PathLike) -> bool:
    """Return whether there is a record that is not what was written there."""
    return Layout.origin_of(digest).exists() and not read(digest)


def _digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
