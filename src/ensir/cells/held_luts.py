"""A LUT as arrays of a fit, for methods that hold another method's LUT."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ensir.cells.lut import CELL_COLUMNS, LUT, is_sound
from ensir.errors import InputError
from ensir.storage.fits import Fit

SCALARS = ("bin_width", "channels")
DIMENSIONS: dict[str, tuple[str, ...]] = {
    "weights": ("cell", "model"),
    **{name: ("cell",) for name in CELL_COLUMNS},
    "fill_weights": ("model",),
    "fill": (),
    **{name: () for name in SCALARS},
}


def arrays_of(lut: LUT) -> dict[str, np.ndarray]:
    """Return all that a LUT holds but for what a fit itself tells: models, depth and reference."""
    return {name: np.asarray(getattr(lut, name)) for name in DIMENSIONS}


def lut_of(fit: Fit, path: str) -> LUT:
    """Return the LUT that a fit holds.

    Raises
    ------
    InputError
        Its parts are missing, or do not fit each other.
    """
    try:
        held: dict[str, Any] = {name: fit.arrays[name] for name in DIMENSIONS}
        lut = LUT(
            models=fit.models,
            bits=fit.bits,
            **held | {name: int(held[name]) for name in SCALARS} | {"fill": str(held["fill"])},
            reference_images=fit.reference_images,
            reference_digests=fit.reference_digests,
            prediction_digests=fit.prediction_digests,
            attributes={
                "reference": fit.attributes["reference"],
                "options": json.dumps(fit.attributes["settings"]),
            },
        )
        sound = is_sound(lut)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path}: lacks what a LUT holds ({error}); make it again") from error
    if not sound:
        raise InputError(f"{path}: its parts do not fit each other; make it again")
    return lut
