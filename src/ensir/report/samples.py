"""The pictures of a test set: of some of its images, all that was made of them, for the page's script."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir import registry
from ensir.cells.support import Support
from ensir.drawing import pictures, style
from ensir.figures import calibration, gain
from ensir.figures.calibration import Tally
from ensir.report import disagreement, scripted, tables
from ensir.report.choice import Chosen, gained
from ensir.report.content import TestSet, Weighing
from ensir.report.encoding import encode
from ensir.report.weighing import Weighed, weigh
from ensir.scoring.differences import best_base_model
from ensir.scoring.scores import Scores, competitors, first_metric
from ensir.storage import reading

if TYPE_CHECKING:
    from jaxtyping import Shaped

DATA, MODELS, METHODS = "Data", "Base models", "Methods"


class Collected:
    """What is added up over the pictured images of a test set: calibrations and supports, by method."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}
        self.supports: dict[str, Support] = {}

    def add(self, method: str, weighed: Weighed) -> None:
        """Add those of one image."""
        if weighed.tally:
            held = self.tallies.get(method)
            self.tallies[method] = weighed.tally if held is None else held + weighed.tally
        if weighed.support:
            self.supports[method] = self.supports.get(method, Support()) + weighed.support


def pixels(sample: dict[str, Any], images: int, experiments: dict[str, Any]) -> int:
    """Return about how many pixels the pictures of a test set have, by which these share the size of the page."""
    part = reading.Part(f"{sample['dataset_store']}/{next(iter(sample['parts']))}")
    height, width = part.shapes[0][:2]
    return (
        images
        * min(height * width, pictures.LONGEST**2)
        * len(competitors(experiments[sample["experiment"]]))
    )


def test_set(
    name: str,
    experiment: dict[str, Any],
    sample: dict[str, Any],
    scores: Scores,
    images: list[Chosen],
    budget: float,
    threads: int,
) -> TestSet:
    """Return what the page shows of one test set.

    Parameters
    ----------
    name : str
        The experiment's.
    experiment : dict
        Its section.
    sample : dict
        See `ensir.stages.report`.
    scores : Scores
    images : list of Chosen
        Those that are pictured.
    budget : float
        Bytes that the pictures of one image may take.
    threads : int
    """
    dataset, (metric, _) = sample["dataset"], first_metric(experiment)
    rows = competitors(experiment)
    choices = [("input", DATA, "input"), ("target", DATA, "target")]
    choices += [(f"r{i}", group, row) for i, (group, row) in enumerate(rows)]
    keys = {(group, row): key for key, group, row in choices}
    collected = Collected()
    data = [
        _image(name, experiment, sample, scores, image, keys, collected, budget, threads) for image in images
    ]
    _, method, below = gained(name, experiment, dataset, scores)
    row_names = [row for _, row in rows]
    used = {key for image in data for key in image["pictures"]}
    values = tables.per_image(name, experiment, dataset, scores)
    table = next(iter(values.values()))
    models = experiment["models"]
    identifier = f"{name}.{dataset}"
    return TestSet(
        id=identifier,
        name=dataset,
        images=[image.image for image in images],
        choices=[choice for choice in choices if choice[0] in used],
        maps=[(keys[MODELS, model], model) for model in models],
        data=scripted.embedded({"images": data, "start": _start(name, experiment, dataset, scores, keys)}),
        weighings=[
            Weighing(
                method,
                style.inline(calibration.drawing(models, collected.tallies[method]), f"{identifier}/{method}")
                if method in collected.tallies
                else "",
                collected.supports.get(method),
            )
            for method in experiment["methods"]
            if method in collected.tallies or method in collected.supports
        ],
        gain_of=f"{method} over {below}" if method else "",
        plotted=[row_names.index(one) for one in (method, below) if one] or [0, ""],
        gain=style.inline(gain.drawing(name, experiment, dataset, scores), salt=identifier)
        if dataset in scores.tests(name, experiment)
        else "",
        compared=len(table.rows) - len(scores.left_out(name, dataset, metric)),
        table=table,
        metrics=list(values),
        rows=scripted.scores(
            list(values.values()),
            _sizes(sample),
            disagreement.of_images(name, experiment, dataset, scores),
            [image.image for image in images],
        ),
    )


def _start(
    name: str, experiment: dict[str, Any], dataset: str, scores: Scores, keys: dict[tuple[str, str], str]
) -> dict[str, str]:
    """Return what the four panels show first: best base model, best method, input, target.

    The first two, side by side, show what fusing adds. Without targets, no method is known to be best: the last one,
    and the first models.
    """
    metric, printed = first_metric(experiment)
    _, method, _ = gained(name, experiment, dataset, scores)
    model = best_base_model(name, experiment, scores, dataset, metric, printed)
    best = keys[METHODS, method or next(reversed(experiment["methods"]))]
    target = keys[DATA, "target"]
    if dataset not in scores.tests(name, experiment):
        target = keys[MODELS, experiment["models"][1]]
    return {"A": keys[MODELS, model], "B": best, "C": keys[DATA, "input"], "D": target}


def _image(
    name: str,
    experiment: dict[str, Any],
    sample: dict[str, Any],
    scores: Scores,
    image: Chosen,
    keys: dict[tuple[str, str], str],
    collected: Collected,
    budget: float,
    threads: int,
) -> dict[str, Any]:
    """Return the pictures of one image, as plain data."""
    part = reading.Part(f"{sample['dataset_store']}/{image.part}")
    index = part.names.index(image.image)
    shape = part.shapes[index]
    frame = pictures.middle(shape)

    def read(stores: dict[str, str]) -> dict[str, Shaped[np.ndarray, "height width channel"]]:
        return {
            row: reading.Part(f"{store}/{image.part}").image(image.image) for row, store in stores.items()
        }

    degraded, predictions, fused = part.input(index), read(sample["predictions"]), read(sample["fused"])
    data = {} if degraded is None else {"input": pictures.enlarged(degraded, shape)}
    if part.has_targets:
        data["target"] = part.image(image.image)
    groups = {DATA: data, MODELS: predictions, METHODS: fused}
    framed = {
        keys[group, row]: pictures.displayed(frame.of(pixels), part.bits)
        for group, members in groups.items()
        for row, pixels in members.items()
    }
    close_up = pictures.disagreement([frame.of(prediction) for prediction in predictions.values()])
    same = repeated(experiment["methods"], fused)
    means, maps, ranges = _weights(experiment, sample, part, index, predictions, keys, same, collected)
    framed_maps = {key: (frame.of(row.reshape(shape[:2])), ranges[key[0]]) for key, row in maps.items()}
    encoded = encode(framed, close_up, framed_maps, budget, threads)
    metric, printed = first_metric(experiment)
    values = {
        key: scores.values.get((name, sample["dataset"], row, metric), {}).get(image.image)
        for (group, row), key in keys.items()
        if group != DATA
    }
    nested: dict[str, dict[str, str]] = defaultdict(dict)
    for (method, model), uri in encoded.maps.items():
        nested[method][model] = uri
    return {
        "name": image.image,
        "why": image.why,
        "caption": _size(shape, frame, degraded, bool(encoded.close_ups)),
        "source": " ".join(part.attributes[key] or "" for key in ("citation", "licence")).strip(),
        "exact": encoded.is_exact,
        "width": frame.width,
        "height": frame.height,
        "closeUp": list(close_up),
        "pictures": {
            key: [uri, *([encoded.close_ups[key]] if encoded.close_ups else [])]
            for key, uri in encoded.pictures.items()
        },
        "scores": {
            key: printed.with_unit(printed.text(value)) for key, value in values.items() if value is not None
        },
        "maps": nested,
        "ranges": ranges,
        "weights": means,
        "same": {keys[METHODS, method]: keys[METHODS, other] for method, other in same.items()},
    }


def repeated(
    methods: dict[str, dict[str, Any]], fused: dict[str, Shaped[np.ndarray, "height width channel"]]
) -> dict[str, str]:
    """Return which method each one that chooses among the others has chosen: that with the same bits."""
    choosing = [name for name in fused if registry.section("methods", methods[name]["kind"]).chooses]
    return {
        name: other
        for name in choosing
        if (
            other := next(
                (one for one in fused if one not in choosing and np.array_equal(fused[one], fused[name])), ""
            )
        )
    }


def _weights(
    experiment: dict[str, Any],
    sample: dict[str, Any],
    part: reading.Part,
    index: int,
    predictions: dict[str, np.ndarray],
    keys: dict[tuple[str, str], str],
    same: dict[str, str],
    collected: Collected,
) -> tuple[dict[str, dict[str, str]], dict[tuple[str, str], np.ndarray], dict[str, pictures.Range]]:
    """Return the mean weight of each model, by method, maps of weights that vary, and the range of each method's maps.

    Maps are by keys of method and model; what a method repeats of another is left out.
    """
    x = np.stack([np.moveaxis(prediction, 2, 0) for prediction in predictions.values()])
    means: dict[str, dict[str, str]] = {}
    maps: dict[tuple[str, str], np.ndarray] = {}
    ranges: dict[str, pictures.Range] = {}
    for method, settings in experiment["methods"].items():
        if method in same or not registry.section("methods", settings["kind"]).weighs:
            continue
        weighed = weigh(settings, sample["fitted"][method], part, index, x)
        if weighed is None:
            continue
        collected.add(method, weighed)
        key = keys[METHODS, method]
        varies = weighed.weights.shape[1] > 1
        means[key] = {
            keys[MODELS, model]: f"{mean:.{2 if varies else 3}f}".replace("-", "−")
            for model, mean in zip(predictions, weighed.weights.mean(axis=1).tolist(), strict=True)
        }
        if varies:
            ranges[key] = pictures.weight_range(weighed.weights)
            for model, row in zip(predictions, weighed.weights, strict=True):
                maps[key, keys[MODELS, model]] = row
    return means, maps, ranges


def _sizes(sample: dict[str, Any]) -> dict[str, int]:
    """Return the number of pixels of each image whose part is there."""
    sizes: dict[str, int] = {}
    for part in sample["parts"]:
        read = reading.Part(f"{sample['dataset_store']}/{part}")
        sizes |= {
            image: int(height * width)
            for image, (height, width, *_) in zip(read.names, read.shapes, strict=True)
        }
    return sizes


def _size(shape: tuple[int, ...], frame: pictures.Window, degraded: np.ndarray | None, smaller: bool) -> str:
    text = f"{shape[1]}×{shape[0]} pixels"
    if (frame.width, frame.height) != (shape[1], shape[0]):
        text += f", of which the middle {frame.width}×{frame.height} are shown"
    if smaller:
        text += ", shown smaller but for the close-up"
    if degraded is not None and degraded.shape[0] != shape[0]:
        text += f"; the input is {degraded.shape[1]}×{degraded.shape[0]}, its pixels enlarged"
    return text
