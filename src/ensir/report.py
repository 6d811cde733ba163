"""Report: scores, pictures, weights and LUTs of all experiments → one self-contained page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from ensir import lut, methods, provenance, store
from ensir.figures import charts, pictures, tables
from ensir.figures.pictures import Window
from ensir.layout import Place
from ensir.publish import publish
from ensir.scores import Scores, Table, baseline, first_metric, read

Progress = Callable[[int, int], None]
PACKAGES = ("numpy", "numba", "torch", "zarr", "scikit-image", "pillow", "matplotlib")


@dataclass(frozen=True)
class Picture:
    """One picture of a test image.

    Attributes
    ----------
    id : str
        Identifier on the page.
    group, name : str
        "Data" (input and target), "Base models" or "Methods"; what it shows.
    score : str
        Its score in the experiment's first metric, with unit; empty for input and target.
    uri : str
        The picture itself.
    """

    id: str
    group: str
    name: str
    score: str
    uri: str


@dataclass(frozen=True)
class Weighing:
    """How a method weighs the models in one image.

    Attributes
    ----------
    method : str
    means : dict
        Mean weight of each model.
    maps : dict
        For each model, a map of its weight at every pixel; empty where it is the same everywhere.
    """

    method: str
    means: dict[str, float]
    maps: dict[str, str]


@dataclass(frozen=True)
class TestSet:
    """What the page shows of one test set."""

    id: str
    name: str
    image: str
    size: str
    source: str
    frame: Window
    close_up: Window
    pictures: list[Picture]
    weighings: list[Weighing]
    chart: str
    table: Table


@dataclass(frozen=True)
class Experiment:
    """What the page shows of one experiment."""

    name: str
    section: dict[str, Any]
    results: Table
    tests: list[TestSet]
    luts: Table


def report(
    place: Place,
    experiments: dict[str, Any],
    scores: str,
    summary: str,
    samples: list[dict[str, Any]],
    progress: Progress,
) -> None:
    """Write the page.

    Parameters
    ----------
    place : Place
        Where the page goes.
    experiments : dict
        Sections of the configuration by name, as plain data.
    scores, summary : str
        The CSV files of all scores, and of their means.
    samples : list of dict
        For each experiment and test set, of one of its parts: `experiment`, `dataset`, `dataset_part`,
        `predictions` (part by model), `fused` (part by method) and `fitted` (LUT, fit or None by method).
        The first image of the part is shown.
    progress : callable
        Gets the number of finished samples.
    """
    table = read(scores, summary)
    shown: dict[str, list[TestSet]] = {name: [] for name in experiments}
    for done, sample in enumerate(samples, 1):
        name = sample["experiment"]
        shown[name].append(_test_set(name, experiments[name], sample, table))
        progress(done, len(samples))
    fitted = {sample["experiment"]: sample["fitted"] for sample in samples}
    content = [
        Experiment(
            name,
            section,
            tables.results(name, section, table),
            shown[name],
            _lut_table(fitted.get(name, {})),
        )
        for name, section in experiments.items()
    ]
    with publish(place) as partial:
        partial.write_text(_page(content), encoding="utf-8")


def _test_set(name: str, experiment: dict[str, Any], sample: dict[str, Any], scores: Scores) -> TestSet:
    dataset = sample["dataset"]
    part = store.Part(sample["dataset_part"])
    image, shape = part.names[0], part.shapes[0]
    frame = pictures.middle(shape)
    degraded = part.input(0)
    predictions = {model: store.Part(path).image(image) for model, path in sample["predictions"].items()}
    fused = {method: store.Part(path).image(image) for method, path in sample["fused"].items()}
    data = {} if degraded is None else {"input": pictures.enlarged(degraded, shape)}
    groups = {"Data": data | {"target": part.image(image)}, "Base models": predictions, "Methods": fused}
    x = np.stack([store.flatten(prediction) for prediction in predictions.values()])
    metric, printed = first_metric(experiment)

    def picture(group: str, method: str, pixels: np.ndarray) -> Picture:
        value = {} if group == "Data" else scores.values.get((name, dataset, method, metric), {})
        score = f"{printed.text(value[image])} {printed.unit}".strip() if image in value else ""
        uri = pictures.data_uri(pictures.displayed(frame.of(pixels), part.bits))
        return Picture(f"{name}.{dataset}.{group}.{method}".replace(" ", "-"), group, method, score, uri)

    return TestSet(
        id=f"{name}.{dataset}",
        name=dataset,
        image=image,
        size=_size(shape, frame, degraded),
        source=" ".join(part.attributes[key] or "" for key in ("citation", "licence")).strip(),
        frame=frame,
        close_up=pictures.disagreement(np.stack([frame.of(pixels) for pixels in predictions.values()])),
        pictures=[picture(group, *item) for group, members in groups.items() for item in members.items()],
        weighings=[
            weighing
            for method in fused
            if (
                weighing := _weighing(
                    method,
                    experiment["methods"][method],
                    sample["fitted"][method],
                    part,
                    list(predictions),
                    x,
                )
            )
        ],
        chart=_chart(name, experiment, dataset, scores),
        table=tables.per_image(name, experiment, dataset, scores),
    )


def _size(shape: tuple[int, ...], frame: Window, degraded: np.ndarray | None) -> str:
    text = f"{shape[1]}×{shape[0]} pixels"
    if (frame.width, frame.height) != (shape[1], shape[0]):
        text += f", of which the middle {frame.width}×{frame.height} are shown"
    if degraded is not None and degraded.shape[0] != shape[0]:
        text += f"; the input is {degraded.shape[1]}×{degraded.shape[0]}, its pixels enlarged"
    return text


def _weighing(
    method: str,
    settings: dict[str, Any],
    fitted: str | None,
    part: store.Part,
    models: list[str],
    x: Shaped[np.ndarray, "model channel pixel"],
) -> Weighing | None:
    """Weigh the models in the first image of a part; None where the method does not."""
    found = methods.for_image(methods.load(settings, fitted), part, 0).weights(x)
    if found is None:
        return None
    weights: Float[np.ndarray, "model pixel"] = found.mean(axis=1)
    shape = part.shapes[0]
    maps = {}
    if weights.shape[1] > 1:
        frame = pictures.middle(shape)
        maps = {
            model: pictures.weight_map(frame.of(row.reshape(shape[:2])))
            for model, row in zip(models, weights, strict=True)
        }
    return Weighing(method, dict(zip(models, weights.mean(axis=1).tolist(), strict=True)), maps)


def _chart(name: str, experiment: dict[str, Any], dataset: str, scores: Scores) -> str:
    average, (metric, printed) = baseline(experiment), first_metric(experiment)
    others = [method for method in experiment["methods"] if method != average]
    if average is None or not others:
        return ""
    gain = {method: scores.gain((name, dataset, method, metric), average) for method in others}
    images = sorted(scores.values.get((name, dataset, average, metric), {}))
    rows = {method: [found.get(image, np.nan) for image in images] for method, found in gain.items()}
    return charts.gains(images, rows, printed.unit, salt=f"{name}/{dataset}")


def _lut_table(fitted: dict[str, str | None]) -> Table:
    luts = {method: path for method, path in fitted.items() if path and path.endswith(".lut")}
    rows = [("", method, tables.lut_row(lut.load(path))) for method, path in luts.items()]
    return Table(tables.LUT_COLUMNS, rows)


def _page(experiments: list[Experiment]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ensir"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        experiments=experiments,
        first_metric=first_metric,
        colour_bar=pictures.colour_bar(),
        versions=provenance.versions(*PACKAGES),
    )
