"""What was made from the reference: LUTs, and what fits chose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ensir import registry
from ensir.cells import support
from ensir.cells.lut import FAILED, LUT
from ensir.cells.support import Support
from ensir.report import tables
from ensir.scoring.scores import Table
from ensir.storage import fits

if TYPE_CHECKING:
    from ensir.report.content import TestSet

WORTH_TELLING = 0.01  # share of the reference values


def luts(luts: dict[str, LUT], tests: list[TestSet]) -> Table:
    """Return what the LUTs hold, and how well they support the test images that are shown."""
    supports = [{weighing.method: weighing.support for weighing in test.weighings} for test in tests]
    groups = [(f"Values of {pictured(test)}", list(Support().shares)) for test in tests]
    rows = []
    for method, table in luts.items():
        tested = [cell for found in supports for cell in tables.support_cells(found.get(method))]
        rows.append(("", method, tables.lut_row(table) + tested))
    return Table(tables.LUT_COLUMNS + groups, rows)


def pictured(test: TestSet) -> str:
    """Name the images of a test set that are pictured."""
    return f"{', '.join(test.images) if len(test.images) < 3 else f'{len(test.images)} images'} ({test.name})"


def warnings(method: str, table: LUT, tests: list[TestSet]) -> Iterator[str]:
    """Yield what makes the numbers of a LUT, or of the test images that are shown, misleading."""
    held_out = support.held_out_of(table)
    if held_out and (warning := held_out.warning("the values of held-out reference images")):
        yield f"{warning}."
    for test in tests:
        for weighing in test.weighings:
            supported = weighing.support if weighing.method == method else None
            if supported and (warning := supported.warning(f"the values of {pictured(test)}")):
                yield f"{warning}."
    failed = int(table.count[table.status == FAILED].sum()) / max(int(table.count.sum()), 1)
    if failed >= WORTH_TELLING:
        yield (
            f"EM failed in cells with {failed:.1%} of the reference values (a model has one value there, or its "
            "component vanishes); they keep their initial weights."
        )
    for model in table.perfect_models:
        yield f"all predictions of {model} for the reference are the targets bit for bit: is the target right?"


def summaries(methods: dict[str, dict[str, Any]], fitted: dict[str, str | None]) -> dict[str, dict[str, str]]:
    """Return what fits tell of themselves, fact by fact, by method."""
    modules = {method: registry.module("methods", settings["kind"]) for method, settings in methods.items()}
    return {
        method: modules[method].summary(fits.load(path))
        for method, path in fitted.items()
        if path and hasattr(modules[method], "summary")
    }
