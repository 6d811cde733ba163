"""The page: scores, pictures, weights and LUTs of all experiments, in one self-contained file."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir import methods, registry
from ensir.cells import lut, support
from ensir.cells.lut import LutMethod
from ensir.cells.support import Support
from ensir.drawing import pictures, style
from ensir.drawing.pictures import QUALITIES, Quality, Window
from ensir.figures import calibration, gain, occupancy
from ensir.figures.calibration import Tally
from ensir.report import findings, made, selection, tables, training
from ensir.report.content import Experiment, Picture, TestSet, Weighing
from ensir.scoring.scores import Scores, Table, direction, first_metric, metrics_of
from ensir.storage import provenance, reading

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

    from ensir.storage.progress import Progress

PACKAGES = ("numpy", "numba", "torch", "zarr", "scikit-image", "pillow", "matplotlib")
PICTURES = 0.8  # of the page; the rest is for tables and charts
PIXELS_AT_ONCE = 2**20  # weighed by a LUT


def page(
    experiments: dict[str, Any],
    scores: Scores,
    samples: list[dict[str, Any]],
    curves: dict[str, dict[str, str]],
    selections: dict[str, dict[str, str]],
    title: str,
    megabytes: int,
    threads: int,
    progress: Progress,
) -> str:
    """Return the page; see `ensir.stages.report` for what it is made from."""
    shown: dict[str, list[TestSet]] = {name: [] for name in experiments}
    budget = megabytes * 1e6 * PICTURES / max(len(samples), 1)
    for done, sample in enumerate(samples, 1):
        name = sample["experiment"]
        shown[name].append(_test_set(name, experiments[name], sample, scores, budget, threads))
        progress(done, len(samples))
    fitted = {sample["experiment"]: sample["fitted"] for sample in samples}
    left_out = tables.left_out(samples)
    content = [
        _experiment(
            name,
            section,
            scores,
            shown[name],
            fitted.get(name, {}),
            curves[name],
            selections[name],
            left_out[name],
        )
        for name, section in experiments.items()
    ]
    return _page(title, content)


def _experiment(
    name: str,
    section: dict[str, Any],
    scores: Scores,
    tests: list[TestSet],
    fitted: dict[str, str | None],
    curves: dict[str, str],
    selections: dict[str, str],
    left_out: list[str],
) -> Experiment:
    luts = {method: lut.load(path) for method, path in fitted.items() if path and path.endswith(".lut")}
    return Experiment(
        name,
        section,
        findings.of_experiment(name, section, scores),
        tables.results(name, section, scores),
        tests,
        direction(section),
        scores.notes(name, metrics_of(section)) + left_out,
        made.luts(luts, tests),
        [
            f"{method}: {warning}"
            for method, table in luts.items()
            for warning in made.warnings(method, table, tests)
        ],
        {
            method: style.inline(occupancy.drawing(table), salt=f"{name}/{method}")
            for method, table in luts.items()
        },
        made.summaries(section["methods"], fitted),
        style.inline(training.drawing(curves), salt=f"{name}/training") if curves else "",
        selection.shown(name, selections),
    )


def _test_set(
    name: str,
    experiment: dict[str, Any],
    sample: dict[str, Any],
    scores: Scores,
    budget: float,
    threads: int,
) -> TestSet:
    dataset, image = sample["dataset"], sample["image"]
    part = reading.Part(sample["dataset_part"])
    index = part.names.index(image)
    shape = part.shapes[index]
    frame = pictures.middle(shape)
    degraded = part.input(index)
    predictions = {model: reading.Part(path).image(image) for model, path in sample["predictions"].items()}
    fused = {method: reading.Part(path).image(image) for method, path in sample["fused"].items()}
    data = {} if degraded is None else {"input": pictures.enlarged(degraded, shape)}
    groups = {"Data": data | {"target": part.image(image)}, "Base models": predictions, "Methods": fused}
    framed = {
        (group, method): pictures.displayed(frame.of(pixels), part.bits)
        for group, members in groups.items()
        for method, pixels in members.items()
    }
    x = np.stack([np.moveaxis(prediction, 2, 0) for prediction in predictions.values()])
    weighed = {
        method: _weigh(experiment["methods"][method], sample["fitted"][method], part, index, x)
        for method in fused
        if registry.section("methods", experiment["methods"][method]["kind"]).weighs
    }
    maps = {
        (method, model): frame.of(row.reshape(shape[:2]))
        for method, weighing in weighed.items()
        if weighing and weighing[0].shape[1] > 1
        for model, row in zip(predictions, weighing[0], strict=True)
    }
    close_up = pictures.disagreement([frame.of(prediction) for prediction in predictions.values()])
    uris, close_ups, map_uris = _encoded(framed, close_up, maps, budget, threads)
    metric, printed = first_metric(experiment)

    def picture(group: str, method: str) -> Picture:
        value = {} if group == "Data" else scores.values.get((name, dataset, method, metric), {})
        score = f"{printed.text(value[image])} {printed.unit}".strip() if image in value else ""
        identifier = f"{name}.{dataset}.{group}.{method}".replace(" ", "-")
        key = (group, method)
        return Picture(identifier, group, method, score, uris[key], close_ups.get(key, ""))

    table = tables.per_image(name, experiment, dataset, scores)
    return TestSet(
        id=f"{name}.{dataset}",
        name=dataset,
        image=image,
        size=_size(shape, frame, degraded, bool(close_ups)),
        source=" ".join(part.attributes[key] or "" for key in ("citation", "licence")).strip(),
        frame=frame,
        close_up=close_up,
        pictures=[picture(*key) for key in framed],
        weighings=[
            Weighing(
                method,
                dict(zip(predictions, weights.mean(axis=1).tolist(), strict=True)),
                {model: map_uris[method, model] for model in predictions if (method, model) in map_uris},
                style.inline(calibration.drawing(list(predictions), total), f"{name}/{dataset}/{method}")
                if total
                else "",
                supported,
            )
            for method, (weights, total, supported) in (
                (m, weighing) for m, weighing in weighed.items() if weighing
            )
        ],
        gain=style.inline(gain.drawing(name, experiment, dataset, scores), salt=f"{name}/{dataset}"),
        compared=len(table.rows) - len(scores.left_out(name, dataset, metric)),
        table=table,
        rows=_rows(table),
    )


def _encoded(
    framed: dict[Any, np.ndarray],
    close_up: Window,
    maps: dict[Any, np.ndarray],
    budget: float,
    threads: int,
) -> tuple[dict[Any, str], dict[Any, str], dict[Any, str]]:
    """Encode pictures, their close-ups and weight maps, as well as the budget of bytes allows.

    Pictures at full resolution need no close-ups, and very small ones have none either.
    """

    def encoded(quality: Quality, most: int | None) -> tuple[dict[Any, str], dict[Any, str], dict[Any, str]]:
        some, some_maps = dict(list(framed.items())[:most]), dict(list(maps.items())[:most])
        smaller = max(next(iter(framed.values())).shape[:2]) > quality.longest >= close_up.width

        def picture(image: np.ndarray) -> str:
            return pictures.data_uri(pictures.reduced(image, quality.longest), quality.lossless)

        def cut_out(image: np.ndarray) -> str:
            return pictures.data_uri(close_up.of(image), quality.lossless)

        def weight_map(row: np.ndarray) -> str:
            return pictures.weight_map(pictures.reduced(row, quality.longest))

        with ThreadPoolExecutor(threads) as pool:  # encoders work outside Python's lock
            return (
                dict(zip(some, pool.map(picture, some.values()), strict=True)),
                dict(zip(some, pool.map(cut_out, some.values()), strict=True)) if smaller else {},
                dict(zip(some_maps, pool.map(weight_map, some_maps.values()), strict=True)),
            )

    for quality in QUALITIES:
        first = encoded(
            quality, 1
        )  # one of each kind as an estimate: the first, the input, has the most noise
        counts = (len(framed), len(framed), len(maps))
        estimate = sum(
            count * sum(map(len, kind.values())) for count, kind in zip(counts, first, strict=True)
        )
        if estimate > budget and quality != QUALITIES[-1]:
            continue
        everything = encoded(quality, None)
        if sum(len(uri) for kind in everything for uri in kind.values()) <= budget:
            break
    return everything


def _size(shape: tuple[int, ...], frame: Window, degraded: np.ndarray | None, smaller: bool) -> str:
    text = f"{shape[1]}×{shape[0]} pixels"
    if (frame.width, frame.height) != (shape[1], shape[0]):
        text += f", of which the middle {frame.width}×{frame.height} are shown"
    if smaller:
        text += ", shown smaller but for the close-up"
    if degraded is not None and degraded.shape[0] != shape[0]:
        text += f"; the input is {degraded.shape[1]}×{degraded.shape[0]}, its pixels enlarged"
    return text


def _weigh(
    settings: dict[str, Any],
    fitted: str | None,
    part: reading.Part,
    index: int,
    x: Shaped[np.ndarray, "model channel height width"],
) -> tuple[Float[np.ndarray, "model pixel"], Tally | None, Support | None] | None:
    """Weigh the models in one image; None where the method does not.

    Returns
    -------
    weights : float array, (model, pixel)
        Mean over the channels; a single pixel where the weights are the same everywhere.
    tally : Tally or None
        Their calibration; None where they are the same everywhere.
    support : Support or None
        How many values are in cells with enough, few and no reference values; None where no LUT holds counts.
    """
    method = methods.for_image(
        registry.module("methods", settings["kind"]).Method(settings, fitted), part, index
    )
    if not isinstance(method, LutMethod):
        same = method.weights(x)
        return None if same is None else (same.mean(axis=1).reshape(len(x), -1), None, None)
    y, x = part.rows(index), x.reshape(*x.shape[:2], -1)
    pixels = x.shape[2]
    means = np.empty((len(x), pixels), np.float32)
    total, supported = None, Support() if support.is_known(method.lut) else None
    for start in range(0, pixels, PIXELS_AT_ONCE):
        some = slice(start, start + PIXELS_AT_ONCE)
        weights = method.weights(x[:, :, some])
        means[:, some] = weights.mean(axis=1)
        tally = calibration.tally(weights, x[:, :, some], y[:, some], part.bits)
        total = tally if total is None else total + tally
        if supported is not None:
            supported += support.of_values(method, x[:, :, some])
    return means, total, supported


def _rows(table: Table) -> str:
    """Return the rows of a long table for the page's script, as JSON: names, then numbers with their marks."""
    marks = {"best": "*", "second": "_", "": ""}
    rows = [[name, *(cell.text + marks[cell.mark] for cell in cells)] for _, name, cells in table.rows]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _page(title: str, experiments: list[Experiment]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ensir.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        title=title,
        experiments=experiments,
        first_metric=first_metric,
        colour_bar=pictures.colour_bar(),
        versions=provenance.versions(*PACKAGES),
    )
