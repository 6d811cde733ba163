"""What `ensir check` found, as a table for people and as plain data."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ensir.planning.check import used_models
from ensir.planning.estimate import FACTOR, Estimate, duration, estimate, size

if TYPE_CHECKING:
    from ensir.planning.check import Checked
    from ensir.planning.headers import Headers


def as_data(checked: Checked) -> dict[str, Any]:
    """Return a summary of a configuration and its files as plain data."""
    plan, headers = checked.plan, checked.headers
    cost = estimate(headers)
    return {
        "datasets": {
            name: {
                "images": len(plan.targets(name)),
                "sizes": [[width, height] for height, width in sorted(headers.sizes[name])],
                "parts": len(plan.parts(name)),
                "targets": plan.has_targets(name),
            }
            for name in headers.models
        },
        "models": {
            name: {
                "kind": plan.config.models[name].kind,  # type: ignore[attr-defined]
                "predictions": _counts(headers, name),
            }
            for name in used_models(plan)
        },
        "experiments": {
            name: {
                "models": list(experiment.models),
                "methods": list(experiment.methods),
                "reference": experiment.reference,
                "tests": list(experiment.tests),
            }
            for name, experiment in plan.config.experiments.items()
        },
        "estimate": asdict(cost) | {"factor": FACTOR},
        "warnings": [cost.warning] if cost.warning else [],
    }


def table(checked: Checked) -> str:
    """Return a summary of a configuration and its files, as a short table."""
    plan, headers = checked.plan, checked.headers
    config, used = plan.config, used_models(plan)
    datasets = [
        (
            name,
            _counted(len(plan.targets(name)), "image"),
            _sizes(headers.sizes[name]),
            _counted(len(plan.parts(name)), "part"),
            "" if plan.has_targets(name) else "no targets: not scored",
        )
        for name in headers.models
    ]
    models = [(name, config.models[name].kind, _predictions(headers, name)) for name in used]  # type: ignore[attr-defined]
    experiments = [
        (
            name,
            _counted(len(experiment.models), "model"),
            _counted(len(experiment.methods), "method"),
            f"{experiment.reference} → {', '.join(experiment.tests)}",
        )
        for name, experiment in config.experiments.items()
    ]
    lines = []
    for title, rows in (("datasets", datasets), ("models", models), ("experiments", experiments)):
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines.append(title)
        for row in rows:
            lines.append("  " + "  ".join(map(str.ljust, row, widths)).rstrip())
    if headers.step > 1:
        lines.append(f"sizes and depths: of one in {headers.step} of {headers.images} images")
    lines.append(_cost(estimate(headers)))
    return "\n".join(lines)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _sizes(sizes: set[tuple[int, int]]) -> str:
    """Return the sizes as text, width×height."""
    written = [f"{width}×{height}" for height, width in sorted(sizes)]
    if len(written) > 2:
        return f"{written[0]} … {written[-1]}"
    return ", ".join(written) or "–"


def _cost(cost: Estimate) -> str:
    """Return the estimate as a line, and a second one where the disk will not do."""
    if not cost.jobs:
        return "a run: all results are there"
    verb = "computes" if len(cost.untimed) == 1 else "compute"
    untimed = f", without what {_some(cost.untimed)} {verb}" if cost.untimed else ""
    unsized = f", without images of {_some(cost.unsized)}, whose sizes no file tells" if cost.unsized else ""
    line = (
        f"a run: {_counted(cost.jobs, 'job')}, about {duration(cost.seconds)} of one core{untimed}, and "
        f"{size(cost.megabytes)} of {size(cost.free)} that are free{unsized}; right within a factor of {FACTOR}"
    )
    return f"{line}\nwarning: {cost.warning}" if cost.warning else line


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _counts(headers: Headers, model: str) -> dict[str, int]:
    """Return the number of files with predictions of a model, by dataset."""
    return {
        dataset: len(headers.plan.predictions(dataset, model))
        for dataset, models in headers.models.items()
        if model in models
    }


def _predictions(headers: Headers, model: str) -> str:
    """Return the number of predictions of a model by dataset, as text, or that it runs here."""
    counts = _counts(headers, model)
    if headers.plan.config.models[model].adopted:
        return f"shared: {', '.join(counts)}"
    if not any(counts.values()):
        return "runs here"
    return ", ".join(f"{dataset} {count}" for dataset, count in counts.items())
