"""The page: scores, pictures, weights and LUTs of all experiments, in one self-contained file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ensir import registry
from ensir.cells import lut
from ensir.drawing import pictures, style
from ensir.figures import occupancy
from ensir.report import choice, findings, made, rendering, samples, selection, tables, training
from ensir.report.content import Experiment, Run, TestSet
from ensir.scoring.differences import NOT_ABOVE_AVERAGE, NOT_ABOVE_BEST
from ensir.scoring.scores import Scores, direction, first_metric, metrics_of
from ensir.scoring.selection import Selection

if TYPE_CHECKING:
    from ensir.storage.progress import Progress

PICTURES = 0.8  # of the page; the rest is for tables and charts


def page(
    run: Run,
    experiments: dict[str, Any],
    scores: Scores,
    shown: list[dict[str, Any]],
    curves: dict[str, dict[str, str]],
    selections: dict[str, dict[str, str]],
    images: int,
    megabytes: int,
    threads: int,
    progress: Progress,
) -> str:
    """Return the page; see `ensir.stages.report` for what it is made from."""
    chosen = [choice.chosen(sample, experiments[sample["experiment"]], scores, images) for sample in shown]
    pixels = [
        samples.pixels(sample, len(some), experiments) for sample, some in zip(shown, chosen, strict=True)
    ]
    budget = megabytes * 1e6 * PICTURES / max(sum(pixels), 1)  # bytes per pixel
    tests: dict[str, list[TestSet]] = {name: [] for name in experiments}
    for done, (sample, some, share) in enumerate(zip(shown, chosen, pixels, strict=True), 1):
        name = sample["experiment"]
        tests[name].append(
            samples.test_set(
                name, experiments[name], sample, scores, some, budget * share / len(some), threads
            )
        )
        progress(done, len(shown))
    fitted = {sample["experiment"]: sample["fitted"] for sample in shown}
    notes = tables.notes(shown)
    content = [
        _experiment(
            name,
            section,
            scores,
            tests[name],
            fitted.get(name, {}),
            curves[name],
            selections[name],
            notes[name],
            tables.runs(sample for sample in shown if sample["experiment"] == name),
        )
        for name, section in experiments.items()
    ]
    return rendering.render(
        "report.html",
        run=run,
        experiments=content,
        first_metric=first_metric,
        described=lambda kind: registry.section("methods", kind).__doc__ or "",
        signs=(NOT_ABOVE_AVERAGE, NOT_ABOVE_BEST),
        colours=pictures.COLOUR_SCALES,
        scale=pictures.scale,
    )


def _experiment(
    name: str,
    section: dict[str, Any],
    scores: Scores,
    tests: list[TestSet],
    fitted: dict[str, str | None],
    curves: dict[str, str],
    selections: dict[str, str],
    notes: list[str],
    runs: tables.Runs,
) -> Experiment:
    selected = {method: Selection.load(folder) for method, folder in selections.items()}
    luts = {method: lut.load(path) for method, path in fitted.items() if path and path.endswith(".lut")}
    warnings = [
        f"{method}: {warning}"
        for method, table in luts.items()
        for warning in made.warnings(method, table, tests)
    ]
    return Experiment(
        name,
        section,
        tables.conventions(section),
        findings.of_experiment(name, section, scores),
        tables.results(name, section, scores, runs),
        tests,
        direction(section),
        made.luts(luts, tests),
        notes + [f"{note}." for note in scores.notes(name, metrics_of(section))] + warnings,
        {
            method: style.inline(occupancy.drawing(table), salt=f"{name}/{method}")
            for method, table in luts.items()
        },
        made.summaries(section["methods"], fitted),
        style.inline(training.drawing(curves), salt=f"{name}/training") if curves else "",
        selection.shown(name, selected),
        selection.worth(selected),
    )
