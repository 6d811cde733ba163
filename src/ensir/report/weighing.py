"""How a method weighs the models in an image that is pictured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ensir import methods, registry
from ensir.cells import support
from ensir.cells.lut import LutMethod
from ensir.cells.support import Support
from ensir.figures import calibration
from ensir.figures.calibration import Tally
from ensir.storage import reading

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

PIXELS_AT_ONCE = 2**20  # weighed by a LUT


class Weighed(NamedTuple):
    """The weights of one image.

    Attributes
    ----------
    weights : float array, (model, pixel)
        Mean over the channels; a single pixel where the weights are the same everywhere.
    tally : Tally or None
        Their calibration; None where they are the same everywhere, or there is no target.
    support : Support or None
        How many values are in cells with enough, few and no reference values; None where no LUT holds counts.
    """

    weights: Float[np.ndarray, "model pixel"]
    tally: Tally | None
    support: Support | None


def weigh(
    settings: dict[str, Any],
    fitted: str | None,
    part: reading.Part,
    index: int,
    x: Shaped[np.ndarray, "model channel height width"],
) -> Weighed | None:
    """Weigh the models in one image; None where the method does not."""
    method = methods.for_image(
        registry.module("methods", settings["kind"]).Method(settings, fitted), part, index
    )
    if not isinstance(method, LutMethod):
        same = method.weights(x)
        return None if same is None else Weighed(same.mean(axis=1).reshape(len(x), -1), None, None)
    y, x = part.rows(index) if part.has_targets else None, x.reshape(*x.shape[:2], -1)
    pixels = x.shape[2]
    means = np.empty((len(x), pixels), np.float32)
    total, supported = None, Support() if support.is_known(method.lut) else None
    for start in range(0, pixels, PIXELS_AT_ONCE):
        some = slice(start, start + PIXELS_AT_ONCE)
        weights = method.weights(x[:, :, some])
        means[:, some] = weights.mean(axis=1)
        if y is not None:
            tally = calibration.tally(weights, x[:, :, some], y[:, some], part.bits)
            total = tally if total is None else total + tally
        if supported is not None:
            supported += support.of_values(method, x[:, :, some])
    return Weighed(means, total, supported)
