"""A fitted method, ready to use: it fuses arrays, tells what it holds, and goes into a file and out of it."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir import methods, registry
from ensir.cells import lut as luts
from ensir.cells.filters import FilterMethod
from ensir.cells.lut import LUT, LutMethod
from ensir.errors import InputError
from ensir.library.arrays import Images
from ensir.library.combining import combined
from ensir.library.meaning import Meaning
from ensir.storage import fits
from ensir.storage.fits import Fit

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float64

    from ensir.deploy.module import FilterModule, LutModule


class Lut:
    """What was fitted: a look-up table of weights, or of filters.

    `ensir.fit` makes it, `Lut.load` reads it from a file.

    Attributes
    ----------
    table : LUT or Fit
        What it holds, as arrays; see `ensir.cells.lut` and `ensir.storage.fits`.
    """

    def __init__(self, table: LUT | Fit, where: str = "the fit"):
        self.table, self._where = table, where

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, in the order of their predictions."""
        return self.table.models

    @property
    def bits(self) -> int:
        """8 or 16: depth of the predictions."""
        return self.table.bits

    @property
    def options(self) -> dict[str, Any]:
        """Options of the method, with every "auto" replaced; empty where they are not known."""
        if isinstance(self.table, Fit):
            settings: dict[str, Any] = dict(self.table.attributes["settings"])
        else:
            attributes = self.table.attributes
            settings = json.loads(attributes.get("options", "{}")) | json.loads(
                attributes.get("settled", "{}")
            )
        return {key: value for key, value in settings.items() if key != "kind"}

    @property
    def method(self) -> str:
        """Kind of the method; "imported" of weights of the published code."""
        if isinstance(self.table, Fit):
            return str(self.table.attributes["settings"].get("kind", ""))
        return str(json.loads(self.table.attributes.get("options", "{}")).get("kind", "imported"))

    @property
    def reference_images(self) -> tuple[str, ...]:
        """Names of the images that it was fitted to."""
        return self.table.reference_images

    @property
    def gain(self) -> Float64[np.ndarray, " fold"] | None:
        """Gain of each reference image over the plain average in dB, with what was chosen on the others.

        None where nothing was chosen by images that are held out.
        """
        if isinstance(self.table, LUT):
            return self.table.gain
        held: dict[str, Any] = self.table.arrays
        if "gain_of_choice" in held:
            return np.asarray(held["gain_of_choice"])
        module = registry.module("methods", self.method)
        return np.asarray(module.held_out_gains(held)) if hasattr(module, "held_out_gains") else None

    @cached_property
    def combiner(self) -> Any:
        """The method, ready to run: an `ensir.methods.Method`.

        Raises
        ------
        InputError
            The fit is of an unknown method, or of one that uses the degraded inputs.
        """
        if isinstance(self.table, LUT):
            return LutMethod({}, self.table)
        settings = self.table.attributes["settings"]
        if settings.get("kind") not in registry.kinds("methods"):
            raise InputError(f"{self._where}: is a fit of the unknown method {settings.get('kind')!r}")
        combiner = registry.module("methods", settings["kind"]).Method(settings, self.table)
        if isinstance(combiner, methods.UsesInput):
            raise InputError(
                f"{self._where}: method {settings['kind']} uses the degraded inputs; fuse with it in the workflow"
            )
        return combiner

    @property
    def content(self) -> LUT | FilterMethod | None:
        """The LUT, or the filters, that it fuses by; None where it is neither."""
        held = self.combiner
        if isinstance(held, LutMethod):
            return held.lut
        return held if isinstance(held, FilterMethod) else None

    def fuse(self, x: Images, *, value_range: tuple[float, float] | None = None) -> Any:
        """Fuse predictions.

        Parameters
        ----------
        x : array (model, channel, height, width) or (model, channel, pixel), or several
            Predictions in the order of the models, of the depth of the reference, as for `ensir.fit`; a mapping from
            names of models, or xarray with a coordinate "model", may have any order. Floats are rounded to that depth
            first, as the workflow stores them.
        value_range : (float, float), optional
            Black and white of floats: required where x holds some.

        Returns
        -------
        float32 array, (channel, …); a list of such; an iterator, if x is one; by name, where images are named
            Neither rounded nor clipped, in code values; of floats, in their range. Of PyTorch tensors, tensors on their
            device.

        Raises
        ------
        InputError
            Predictions do not fit the table, or what they mean is not known.
        """
        return combined(self, x, Meaning(value_range), expected=False)

    def expected_error(self, x: Images, *, value_range: tuple[float, float] | None = None) -> Any:
        """Return the expected squared error of each fused value; takes what `fuse` takes.

        Returns
        -------
        float32 array, (channel, …), or several
            In squared code values (of floats: squared units of their range); NaN in cells without reference values.

        Raises
        ------
        InputError
            The table holds no errors, predictions do not fit it, or what they mean is not known.
        """
        if not isinstance(self.combiner, methods.ExpectsErrors) or self._knows_no_error:
            raise InputError(f"{self._where}: holds no expected errors; fit a table that does")
        return combined(self, x, Meaning(value_range), expected=True)

    @property
    def _knows_no_error(self) -> bool:
        return isinstance(self.table, LUT) and bool(np.isnan(self.table.expected_squared_error).all())

    def to_torch(self, dtype: torch.dtype | None = None) -> LutModule | FilterModule:
        """Return a module that fuses tensors, which `torch.export` and `torch.compile` take.

        Parameters
        ----------
        dtype : torch.float32 or torch.float64, optional
            Dtype of the weights, the sums and the result; float32 where none is given.

        Returns
        -------
        torch.nn.Module
            Takes predictions, (model, …, channel, height, width), uint8, uint16 or floats in code values; returns the
            fused images, (…, channel, height, width), in code values, neither rounded nor clipped.

        Raises
        ------
        InputError
            The table is neither one of weights nor one of filters, or has more than 2²⁴ cells.
        """
        from ensir.deploy.module import module_of

        return module_of(self.content, self._where, dtype)

    def save(self, path: str | Path) -> None:
        """Write one file, which xarray opens, atomically; folders that are missing are made."""
        if isinstance(self.table, LUT):
            luts.save(self.table, Path(path))
        else:
            fits.save_file(self.table, registry.module("methods", self.method).DIMENSIONS, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> Lut:
        """Read a file that `save`, `ensir fit` or the workflow wrote; nothing in it is executed.

        Raises
        ------
        InputError
            It is missing, damaged, or holds something else.
        """
        where = str(path := Path(path))
        if not path.exists():
            raise InputError(f"{where}: no such file; fix the path")
        if path.is_dir() and not (path / "zarr.json").exists():
            raise InputError(
                f"{where}: is a folder, and no fit of a results folder; give the file of a table"
            )
        return cls(fits.load(where) if fits.is_fit(where) else luts.load(where), where)

    def __repr__(self) -> str:
        from ensir.library import shown

        return shown.text(self)

    def _repr_html_(self) -> str:
        from ensir.library import shown

        return shown.html(self)
