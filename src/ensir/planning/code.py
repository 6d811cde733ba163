"""Digests of the code that a job runs: where one changes, the job is rerun."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from ensir import registry
from ensir.execution import workflow_files
from ensir.execution.functions import digests_of_own_files
from ensir.methods import CombiningMethod
from ensir.section import Section
from ensir.storage.digests import sha256
from ensir.storage.provenance import source_digest


def stage_code(stage: str, kinds: Iterable[Section] = (), modules: Iterable[str] = ()) -> str:
    """Return a digest of the code of a stage, of its script, and of the kinds and modules that it loads by name."""
    return source_digest(f"ensir.stages.{stage}", *_modules(kinds), *modules) + _script_digest(stage)


def figure_code(figure: str, methods: Iterable[CombiningMethod]) -> str:
    """Return a digest of the code of a figure and of the methods that it may run."""
    loaded = methods if registry.section("figures", figure).loads_methods else ()
    return stage_code("draw", loaded, [registry.module_name("figures", figure)])


@cache
def _script_digest(stage: str) -> str:
    """Return a digest of a script of the workflow: Snakemake compares dates, which differ wherever it is installed."""
    return sha256(workflow_files.folder() / f"workflow/scripts/{stage}.py")[:8]


def functions_code(sections: Iterable[Section]) -> dict[str, str]:
    """Return the digest of each of the user's files that their functions are imported from, by module."""
    modules = {function.partition(":")[0] for section in sections for function in section.functions}
    found = dict[str, str]()
    for module in modules:
        found |= digests_of_own_files(module) or {module: ""}
    return dict(sorted(found.items()))


def _modules(kinds: Iterable[Section]) -> list[str]:
    """Return the modules that define kinds, and those of the statistics that a fit is made from, sorted."""
    modules = set[str]()
    for kind in kinds:
        modules.add(type(kind).__module__)
        if isinstance(kind, CombiningMethod) and kind.made == "fit" and kind.statistics:
            modules.add(kind.statistics.module)
    return sorted(modules)
