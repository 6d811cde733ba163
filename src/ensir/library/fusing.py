"""Fusing arrays by a table, its file, or a method that needs none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ensir import registry
from ensir.errors import InputError
from ensir.library.arrays import Images
from ensir.library.combining import combined
from ensir.library.meaning import Meaning
from ensir.library.table import Lut
from ensir.section import unknown


class Untrained:
    """A method that needs nothing of a reference, in place of a `Lut`."""

    models = bits = None

    def __init__(self, kind: str):
        self.method = kind
        self.combiner = registry.module("methods", kind).Method(registry.section("methods", kind)().traced)


def fuse(
    x: Images,
    by: Lut | str | Path,
    *,
    value_range: tuple[float, float] | None = None,
    bits: int | None = None,
) -> Any:
    """Fuse predictions by a table, or by a method that needs none.

    Parameters
    ----------
    x : array (model, channel, height, width) or (model, channel, pixel), or several
        As for `Lut.fuse`.
    by : Lut, path or str
        A table, the file of one, or "average" or "zzpm".
    value_range : (float, float), optional
        Black and white of floats: required where x holds some.
    bits : int, optional
        8 or 16: depth that floats are rounded to, where there is no table that says it.

    Returns
    -------
    float32 array, (channel, …), or several
        As `Lut.fuse` returns them.

    Raises
    ------
    InputError
        Predictions do not fit the table, or what they mean is not known.
    """
    untrained = _untrained() if isinstance(by, str) else []
    if by in untrained:
        return combined(Untrained(str(by)), x, Meaning(value_range, bits), expected=False)
    if isinstance(by, str) and not Path(by).exists():
        raise InputError(unknown(f"{by}: is neither a file nor a method that needs none", by, untrained))
    if isinstance(by, str | Path):
        by = Lut.load(by)
    if not isinstance(by, Lut):
        raise InputError(f"by: is {type(by).__name__}; give a Lut, its file, or the name of a method")
    return combined(by, x, Meaning(value_range, bits), expected=False)


def _untrained() -> list[str]:
    """Return the kinds of methods that are made of nothing, have no required options and need no inputs."""
    return [
        kind
        for kind, section in registry.sections("methods").items()
        if section.made is None
        and not section.uses_inputs
        and all(not field.is_required() for field in section.model_fields.values())
    ]
