"""Filters of a reference, ready to run: m + Wᵀf of every value, with the filter W of its cell of context."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.cells import context
from ensir.errors import InputError
from ensir.storage import fits
from ensir.storage.fits import Fit

if TYPE_CHECKING:
    from jaxtyping import Float32, Float64, Shaped

ARRAYS = ("filter", "count", "expected_squared_error")


class FilterMethod:
    """A method that filters all models at a value and around it, by its cell of context.

    Parameters
    ----------
    settings : dict
        Not used.
    fitted : str or Fit
        A fit, or where it is: `filter (cell, feature)`, `count (cell)` and `expected_squared_error (cell)`.

    Raises
    ------
    InputError
        The fit holds no such filters.
    """

    def __init__(self, settings: dict[str, Any], fitted: str | Fit | None):
        assert fitted is not None
        self.fit = fits.load(fitted) if isinstance(fitted, str) else fitted
        arrays = self.fit.arrays
        models = len(self.fit.models)
        features = [
            context.number_of_differences(models, channels) + more for channels in (1, 3) for more in (0, 2)
        ]
        shapes = [arrays[name].shape if name in arrays else None for name in ARRAYS]
        cells = (context.KEYS,)
        if (
            shapes not in [[(*cells, count), cells, cells] for count in features]
            or not np.isfinite(arrays["filter"]).all()
        ):
            raise InputError(
                f"{fitted if isinstance(fitted, str) else 'the fit'}: holds no local filters of {models} models; "
                "fit again"
            )
        found = arrays["filter"]
        if found.shape[1] in features[::2]:  # of a version that knew no others
            found = np.pad(found, ((0, 0), (0, 2)))
        self.filter: Float64[np.ndarray, "cell feature"] = found

    @property
    def grey(self) -> bool:
        """Whether the filters are of images with one channel."""
        return self.filter.shape[1] == context.number_of_features(len(self.fit.models), 1)

    @cached_property
    def errors(self) -> Float32[np.ndarray, " cell"]:
        """Expected squared error of each cell, in squared code values; NaN where it has no reference values."""
        arrays = self.fit.arrays
        return np.where(arrays["count"] > 0, arrays["expected_squared_error"], np.nan).astype(np.float32)

    @cached_property
    def centre(self) -> Float64[np.ndarray, "cell model"]:
        """By how much a fused value grows with each prediction at the value itself."""
        models = len(self.fit.models)
        own, around = self.filter[:, : models - 1], self.filter[:, models - 1 : 3 * models - 1]
        level = self.filter[:, -2]
        mean = (
            1 - own.sum(axis=1) - around.sum(axis=1) + level
        ) / models  # all other features are less the mean
        return np.pad(own, ((0, 0), (0, 1))) + mean[:, None]

    def fuse(
        self, x: Shaped[np.ndarray, "model channel height width"]
    ) -> Float32[np.ndarray, "channel height width"]:
        """Return the filtered predictions."""
        return context.filtered(self._checked(x), self.filter)

    def fuse_with_error(
        self, x: Shaped[np.ndarray, "model channel height width"]
    ) -> tuple[Float32[np.ndarray, "channel height width"], Float32[np.ndarray, "channel height width"]]:
        """Return the fused image, and the expected squared error of each of its values.

        The error is in squared code values, NaN in cells without reference values.
        """
        return self.fuse(x), self.errors[context.keys_of(self._checked(x))]

    def weights(
        self, x: Shaped[np.ndarray, "model channel height width"]
    ) -> Float64[np.ndarray, "model channel height width"]:
        """Return the weight of every prediction at the value itself; what is left of 1 is in its neighbours."""
        return np.moveaxis(self.centre[context.keys_of(self._checked(x))], -1, 0)

    def _checked(
        self, x: Shaped[np.ndarray, "model channel height width"]
    ) -> Shaped[np.ndarray, "model channel height width"]:
        self.fit.check(x)
        fits.check_colours(1 if self.grey else 3, x.shape[1])
        return np.ascontiguousarray(x)
