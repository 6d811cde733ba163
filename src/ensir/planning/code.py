"""Digests of the code that a job runs: where one changes, the job is rerun."""

from __future__ import annotations

from collections.abc import Iterable

from ensir import registry
from ensir.execution.functions import file_digest_of_module
from ensir.methods import CombiningMethod
from ensir.section import Section
from ensir.storage.provenance import source_digest


def stage_code(stage: str, kinds: Iterable[Section] = ()) -> str:
    """Return a digest of the code of a stage and of the kinds that it loads by name."""
    return source_digest(f"ensir.stages.{stage}", *_modules(kinds))


def figure_code(figure: str, methods: Iterable[CombiningMethod]) -> str:
    """Return a digest of the code of a figure and of the methods that it may run."""
    loaded = methods if registry.section("figures", figure).loads_methods else ()
    return source_digest("ensir.stages.draw", registry.module_name("figures", figure), *_modules(loaded))


def functions_code(sections: Iterable[Section]) -> dict[str, str]:
    """Return the digest of each file that the user's functions are imported from, by module."""
    modules = {function.partition(":")[0] for section in sections for function in section.functions}
    return {module: file_digest_of_module(module) for module in sorted(modules)}


def _modules(kinds: Iterable[Section]) -> list[str]:
    """Return the modules that define kinds, and those of the statistics that a fit is made from, sorted."""
    modules = set[str]()
    for kind in kinds:
        modules.add(type(kind).__module__)
        if isinstance(kind, CombiningMethod) and kind.made == "fit" and kind.statistics:
            modules.add(kind.statistics.module)
    return sorted(modules)
