"""Options of methods, as a configuration would hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from ensir import methods, registry
from ensir.errors import InputError
from ensir.methods import CombiningMethod
from ensir.section import Context, unknown

DEVICES = ("auto", "cpu", "cuda")


def fitted_methods() -> list[str]:
    """Return the kinds of methods that are fitted to statistics."""
    return [
        kind
        for kind, section in registry.sections("methods").items()
        if issubclass(section, CombiningMethod) and section.made and (section.statistics or section.chooses)
    ]


def section(
    method: str, options: dict[str, Any], models: Sequence[str], spelled: Callable[[str], str] = str
) -> CombiningMethod:
    """Return the section of a method.

    Parameters
    ----------
    method : str
        Its kind.
    options : dict
        What differs from the defaults.
    models : sequence of str
        Names of the models.
    spelled : callable
        How an option is spelled where it was given.

    Raises
    ------
    InputError
        There is no such method or option, or a value is wrong.
    """
    if method not in fitted_methods():
        raise InputError(
            unknown(f"{spelled('method')}: {method!r} is not fitted to statistics", method, fitted_methods())
        )
    kind = registry.section("methods", method)
    options = {
        key: value.item() if isinstance(value, np.generic) else value for key, value in options.items()
    }
    try:
        found: CombiningMethod = kind.model_validate({"kind": method, **options})
    except ValidationError as error:
        what = error.errors(include_url=False)[0]
        key = spelled(next((str(step) for step in what["loc"] if step in options), "options"))
        if what["type"] == "extra_forbidden":
            raise InputError(f"{key}: method {method} has no such option") from None
        raise InputError(f"{key}: {what['msg']}, not {what['input']!r}") from None
    context = Context(key=method, section=options, config={}, experiments=[{"models": list(models)}])
    for problem in kind.check(context):
        key = problem.key.rpartition(".")[2]
        raise InputError(f"{spelled(key) if key in options else key}: {problem.message}")
    return found


def check_device(device: str) -> None:
    """Raise an InputError where a device is none of `DEVICES`."""
    if device not in DEVICES:
        raise InputError(unknown(f"device: {device!r} is wrong", device, DEVICES))


def candidates(method: str, own: CombiningMethod) -> dict[str, CombiningMethod]:
    """Return the methods that are fitted: those that a method chooses from, or itself alone."""
    if not own.chooses:
        return {method: own}
    found = {}
    for kind, other in registry.sections("methods").items():
        if other.judged:
            found[kind] = other(**({"bin_width": "auto"} if "bin_width" in other.model_fields else {}))
    return found


def counted(method: str, own: CombiningMethod) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the statistics that a method is fitted to: module and settings of each, by name."""
    return methods.statistics_of(candidates(method, own).values())
