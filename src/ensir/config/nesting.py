"""Sections at the wrong depth: one mistake of indentation, of which others would follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ensir.config.reference import keys, sections
from ensir.config.schema import AnyDataset, AnyModel, Config, Experiment
from ensir.networks.sections import Denoiser
from ensir.section import Problem

NAMED = {"datasets": AnyDataset, "models": AnyModel, "denoisers": Denoiser, "experiments": Experiment}


def misplaced(raw: dict[str, Any]) -> Iterator[Problem]:
    """Find sections that stand in another one, and sections without a name above them."""
    for section, kinds in NAMED.items():
        inner = raw.get(section)
        if not isinstance(inner, dict):
            continue
        for name, value in inner.items():
            if name in Config.model_fields and name not in raw and isinstance(value, dict | None):
                yield Problem(
                    f"{section}.{name}",
                    f"belongs beside `{section}`, not into it; write it without indentation",
                )
        known = {key for kind in sections(kinds) for key in keys(kind)}
        nameless = [
            name for name, value in inner.items() if name in known and not isinstance(value, dict | None)
        ]
        if len(nameless) > 1:
            some = "`, `".join(nameless[:3])
            yield Problem(
                section, f"holds `{some}` without a name above them; write `{section}: {{NAME: {{…}}}}`"
            )
