"""Weight maps: how each method weighs the base models at every pixel of one image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ensir import methods
from ensir.drawing import panels
from ensir.drawing.panels import Column, Panel
from ensir.drawing.pictures import displayed, reduced
from ensir.drawing.style import Drawing
from ensir.figures import PaperFigure, Reading, Subject
from ensir.methods import CombiningMethod
from ensir.storage import reading

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class WeightMaps(PaperFigure):
    """The weight of every model at every pixel of a picture, by method."""

    reads: ClassVar[tuple[Reading, ...]] = ("sample",)
    depends_on: ClassVar[tuple[Any, ...]] = ("methods",)
    loads_methods: ClassVar[bool] = True
    needs_targets: ClassVar[bool] = False
    caption: ClassVar[str] = (
        "Weight of each base model (rows) in each method (columns) at every pixel of **{dataset}**'s pictured image, "
        "mean over the channels; predictions at the left, target and results below. On the colours' scale 0 is dark "
        "and 1 is bright."
    )
    whole_pictures: ClassVar[bool] = True

    @classmethod
    def suits(cls, method: CombiningMethod) -> bool:
        """Whether its results are weighted sums."""
        return method.weighs


def draw(subject: Subject) -> Drawing:
    """Draw the weight maps of one image, beside the predictions, the results and the target."""
    sample = subject.results["sample"]
    part = reading.Part(sample["dataset_part"])
    index = part.names.index(sample["image"])
    predictions = {
        model: reading.Part(path).image(sample["image"]) for model, path in sample["predictions"].items()
    }
    x = np.stack([np.moveaxis(prediction, 2, 0) for prediction in predictions.values()])
    columns = [
        Column(
            "base models",
            [
                *(_picture(p, part) for p in predictions.values()),
                _picture(part.image(sample["image"]), part, "target") if part.has_targets else None,
            ],
        )
    ]
    for method in subject.section["methods"]:
        loaded = subject.load(method, sample["fitted"][method])
        weights = methods.for_image(loaded, part, index).weights(x)
        assert weights is not None, "methods that do not weigh have no maps"
        maps = [_map(w.mean(axis=0), part.shapes[index]) for w in weights]
        fused = reading.Part(sample["fused"][method]).image(sample["image"])
        columns.append(Column(method, [*maps, _picture(fused, part, "result")]))
    return drawing(columns, list(predictions), part.shapes[index])


def _picture(image: np.ndarray, part: reading.Part, note: str = "") -> Panel:
    return Panel(reduced(displayed(image, part.bits), panels.LONGEST), note)


def _map(weights: np.ndarray, shape: tuple[int, int, int]) -> Panel:
    whole = np.broadcast_to(weights, shape[:2])
    return Panel(reduced(whole, panels.LONGEST), f"mean {round(weights.mean(), 2) + 0:.2f}")  # no −0


def drawing(columns: list[Column], models: list[str], shape: tuple[int, ...]) -> Drawing:
    """Return the figure: a column per method, a row per model, and the results below."""
    rows = [*models, "result, target"]
    width, height = panels.size(columns, shape, len(rows))

    def plot(figure: Figure) -> None:
        panels.show(figure, columns, rows, [*[("weight", 0.0, 1.0)] * len(models), None])

    return Drawing(width, height, plot, *panels.table(columns, rows, lambda row: row < len(models)))
