"""Weight maps: how each method weighs the base models at every pixel of one image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ensir import methods, store
from ensir.figures import panels, style
from ensir.figures.panels import Column, Panel
from ensir.figures.pictures import displayed, reduced
from ensir.figures.style import Drawing
from ensir.layout import Place

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(places: list[Place], sample: dict[str, Any], settings: dict[str, dict[str, Any]]) -> None:
    """Draw the weight maps of one image, beside the predictions, the results and the target.

    Parameters
    ----------
    places : list of Place
        Where the files go.
    sample : dict
        `image`, `dataset_part`, `predictions` (part by model), `fused` (part by method), `fitted` (by method).
    settings : dict
        Sections of the methods to be drawn, by name, as plain data.
    """
    part = store.Part(sample["dataset_part"])
    index = part.names.index(sample["image"])
    predictions = {
        model: store.Part(path).image(sample["image"]) for model, path in sample["predictions"].items()
    }
    x = np.stack([store.flatten(prediction) for prediction in predictions.values()])
    columns = [
        Column(
            "base models",
            [_picture(p, part) for p in predictions.values()]
            + [_picture(part.image(sample["image"]), part, "target")],
        )
    ]
    for method, section in settings.items():
        loaded = methods.load(section, sample["fitted"][method])
        weights = methods.for_image(loaded, part, index).weights(x)
        assert weights is not None, "methods that do not weigh have no maps"
        maps = [_map(w.mean(axis=0), part.shapes[index]) for w in weights]
        fused = store.Part(sample["fused"][method]).image(sample["image"])
        columns.append(Column(method, [*maps, _picture(fused, part, "result")]))
    style.write(drawing(columns, list(predictions), part.shapes[index]), places)


def _picture(image: np.ndarray, part: store.Part, note: str = "") -> Panel:
    return Panel(reduced(displayed(image, part.bits), panels.LONGEST), note)


def _map(weights: np.ndarray, shape: tuple[int, int, int]) -> Panel:
    whole = np.broadcast_to(weights, shape[0] * shape[1]).reshape(shape[:2])
    return Panel(reduced(whole, panels.LONGEST), f"mean {round(weights.mean(), 2) + 0:.2f}")  # no −0


def drawing(columns: list[Column], models: list[str], shape: tuple[int, ...]) -> Drawing:
    """Return the figure: a column per method, a row per model, and the results below."""
    rows = [*models, "result, target"]
    width, height = panels.size(columns, shape, len(rows))

    def plot(figure: Figure) -> None:
        panels.show(figure, columns, rows, [*[("weight", 0.0, 1.0)] * len(models), None])

    return Drawing(width, height, plot, *panels.table(columns, rows, lambda row: row < len(models)))
