"""Versions of the formats of stores: a store of another version is refused by name, and made anew."""

from __future__ import annotations

from typing import Any

VERSION = 1
OF_FUSED = 2  # parts of fused stores: since 2, values of 8-bit images are packed


def version(kind: Any) -> int:
    """Return the version of the format of a part, by what its attribute ``kind`` says."""
    return OF_FUSED if kind == "fused" else VERSION
