"""Methods: ways to combine the predictions of several models into one picture.

Every module of this folder is a kind: its section, which declares what the method needs, and a class (or function)
`Method`, called with the section as plain data and, where the method needs one, the LUT or the fit that was made from
the reference. Such a module also has

- for a LUT: `estimate_weights(cells, everything, settings, device, progress)`, the weights of cells;
  `fill(everything, settings)`, those of empty cells; where a setting may be "auto", or the method is `judged`,
  `held_out(everything, settings, device)`, the settings that "auto" stands for and the squared error of each image
  (or fold) with the weights of the others, and `losses(errors, counts)`, what is least for the best settings;
- for a fit: `fit(source, settings, progress)`, the arrays that `Method` works with, of the statistics or the images
  of the reference; `DIMENSIONS`, the names of their dimensions; perhaps `summary(fit)`, for people; where the method
  is `judged`, `held_out_gains(arrays)`, the gain of each image over the plain average, in dB, when held out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from pydantic import Field

from ensir.cells import key, statistics
from ensir.scoring import leaving_out
from ensir.section import Context, Problem, Section, check_inputs, texts
from ensir.storage import fits
from ensir.storage.progress import Progress as Progress

if TYPE_CHECKING:
    from typing import Self

    from jaxtyping import Float, Float64, Int, Shaped

    from ensir.images.codes import Header
    from ensir.planning.networks import Networks
    from ensir.storage.reading import Part

BLOCK = 2**15  # values
Losses = Callable[[np.ndarray, np.ndarray], np.ndarray]  # squared errors and numbers of values → (option,)
WIDTHS = (8, 16, 32, 64, 128)  # the choices of a bin width of "auto"


class Statistics(NamedTuple):
    """Additive statistics of a reference.

    Attributes
    ----------
    name : str
        Name of their store, shared by all methods that declare the same statistics.
    module : str
        The module that counts them; see `ensir.cells.bins`.
    """

    name: str
    module: str


class Swept(NamedTuple):
    """An option that `sweep` varies.

    Attributes
    ----------
    value : type
        Type of one value, for pydantic.
    name : str
        Name of an instance: a format string of the method's `name` and the `value`.
    description : str
    """

    value: Any
    name: str
    description: str


class CombiningMethod(Section):
    """What all methods have."""

    made: ClassVar[Literal["lut", "fit"] | None] = None
    """What is made from the reference first."""

    statistics: ClassVar[Statistics | None] = None
    """The statistics that a LUT or fit is made from; None: it is made from the images of the reference."""

    uses_inputs: ClassVar[bool] = False
    """Whether it uses the degraded inputs of the test images."""

    weighs: ClassVar[bool] = True
    """Whether it has a weight for every predicted value, so that there are maps of them."""

    expects_errors: ClassVar[bool] = False
    """Whether it tells the expected squared error of each fused value; see `ExpectsErrors`."""

    pointwise: ClassVar[bool] = False
    """Whether no whole image need be in memory: a value is fused from its own predictions, and what `SumsUp` sums."""

    timed: ClassVar[bool] = False
    """Whether estimates of a run know its time: that of fusing, and of a LUT."""

    judged: ClassVar[bool] = False
    """Whether its statistics tell how good it is on images that are held out."""

    chooses: ClassVar[bool] = False
    """Whether it is made of the judged methods of its experiment; its `fit` gets a list of `Candidate`."""

    selects: ClassVar[bool] = False
    """Whether its module has `Subsets`, fitted with images held out in turn; see `ensir.scoring.selection`."""

    swept: ClassVar[dict[str, Swept]] = {}
    """The options that `sweep` varies to make further instances."""

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that there are inputs, where they are used; see `Section`."""
        yield from super().check(context)
        if cls.uses_inputs:
            tests = texts(context.experiments[0], "tests")
            used = {name: dataset for name, dataset in context.datasets.items() if name in tests}
            yield from check_inputs(used, f"method {context.name!r} uses inputs")

    @classmethod
    def counted(cls, methods: Sequence[Self]) -> dict[str, Any]:
        """Return the settings with which statistics are counted once for several methods."""
        return {}

    @property
    def holds_out(self) -> bool:
        """Whether it chooses something on images of the reference that are held out in turn, and so needs two."""
        return self.chooses or "auto" in self.model_dump().values()

    def check_images(self, fitted: Header, given: Header) -> None:
        """Raise an InputError if what is made of images like `fitted` cannot fuse images like `given`."""
        if self.made and fitted.bits and given.bits:
            fits.check_depth(fitted.bits, given.bits)

    def instance(self, option: str, value: Any) -> Self:
        """Return the instance that a value of a swept option makes."""
        return self.model_copy(update={option: value})

    def network(self, name: str, networks: Networks) -> list[str]:
        """Return the file of its network, then the files that belong to it; empty where it has none."""
        return []


def statistics_of(methods: Iterable[CombiningMethod]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the statistics that some methods need together: the module and the settings, by name."""
    users: dict[Statistics, list[Any]] = {}
    for method in methods:
        if method.made and method.statistics:
            users.setdefault(method.statistics, []).append(method)
    return {
        declared.name: (declared.module, users[declared][0].counted(users[declared])) for declared in users
    }


class Tabulated(CombiningMethod):
    """What methods with a LUT have; `bin_width` is that of its bins."""

    made: ClassVar[Literal["lut", "fit"] | None] = "lut"
    expects_errors: ClassVar[bool] = True
    statistics: ClassVar[Statistics | None] = Statistics("bins", "ensir.cells.bins")
    pointwise: ClassVar[bool] = True

    @classmethod
    def counted(cls, methods: Sequence[Any]) -> dict[str, Any]:
        """Return the finest bin width that the methods need: coarser bins are sums of cells."""
        return {"bin_width": key.finest(finest_width(method.bin_width) for method in methods)}


class Binned(Tabulated):
    """What methods with weights per bin set have."""

    bin_width: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = Field(
        32,
        title="whole number, at least 1, at most 256, or auto",
        description="b: width of a bin, in levels of 0–255; auto: the best of 8, 16, 32, 64, 128 on images held out "
        "in turn",
    )
    channels: Literal["joint", "separate"] = Field(
        "joint", description="pool R, G and B in one cell, or fit each on its own"
    )

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that the bin sets can be numbered."""
        yield from super().check(context)
        width = finest_width(context.section.get("bin_width", Binned().bin_width))
        models = len(texts(context.experiments[0], "models"))
        if type(width) is int and 1 <= width <= key.LEVELS and key.too_many(width, models):
            yield Problem(
                f"{context.key}.bin_width",
                f"{width} makes more than 2^61 bin sets of {models} models; widen it, or use fewer models",
            )

    def check_images(self, fitted: Header, given: Header) -> None:
        """See `CombiningMethod`."""
        super().check_images(fitted, given)
        fits.check_channels(fitted.channels if self.channels == "separate" else 1, given.channels)


def widths_tried(bin_width: int | Literal["auto"], finest: int) -> list[int]:
    """Return the widths that a setting stands for, of statistics of the finest one."""
    return [width for width in WIDTHS if width % finest == 0] if bin_width == "auto" else [bin_width]


def finest_width(bin_width: Any) -> Any:
    """Return the finest width that a setting may resolve to."""
    return min(WIDTHS) if bin_width == "auto" else bin_width


class HeldOut(NamedTuple):
    """How good the choices are that "auto" stands for, on images (or folds) that are held out in turn.

    Attributes
    ----------
    options : list of dict
        The settings, without "auto".
    errors : float64 array, (fold, option)
        Squared errors, in squared levels.
    counts : int64 array, (fold,)
        Values.
    average : float64 array, (fold,)
        Squared errors of the plain average.
    """

    options: list[dict[str, Any]]
    errors: Float64[np.ndarray, "fold option"]
    counts: Int[np.ndarray, " fold"]
    average: Float64[np.ndarray, " fold"]

    def best(self, losses: Losses) -> dict[str, Any]:
        """Return the settings that are best on all images; `losses` are those of the method."""
        return self.options[int(losses(self.errors, self.counts).argmin())]

    def gains(self, losses: Losses) -> Float64[np.ndarray, " fold"]:
        """Return the gain of each image over the average, in dB, by the settings that are best on the others."""
        gains = np.zeros(len(self.counts))
        for fold, error in enumerate(self.errors):
            others = np.delete(self.errors, fold, axis=0), np.delete(self.counts, fold)
            if self.average[fold] > 0:
                gains[fold] = leaving_out.gain(self.average[fold], error[losses(*others).argmin()])
        return gains


def held_out(
    module: ModuleType, everything: statistics.Statistics, settings: dict[str, Any], device: str
) -> HeldOut:
    """Fit a method with a LUT to all images but one, in turn, from the statistics alone.

    Raises
    ------
    InputError
        There is only one image.
    """
    options, errors = [], []
    for width in widths_tried(settings["bin_width"], everything.bin_width):
        candidate = {**settings, "bin_width": width}
        settled, found = module.held_out(statistics.cells_of(everything, candidate), candidate, device)
        options += settled
        errors.append(found)
    counts = np.zeros(len(errors[0]), np.int64)
    np.add.at(counts, statistics.folds_of(everything), everything.count)
    uniform = np.full(everything.sum.shape, 1 / len(everything.models))
    average = statistics.fold_errors(everything, uniform)
    return HeldOut(options, np.concatenate(errors, axis=1), counts, average)


def settled(
    module: ModuleType, everything: statistics.Statistics, settings: dict[str, Any], device: str
) -> tuple[dict[str, Any], Float64[np.ndarray, " fold"] | None]:
    """Replace every "auto" with what is best on images held out in turn, from the statistics alone.

    Returns
    -------
    dict
        The settings.
    float64 array, (fold,), or None
        See `HeldOut.gains`; None where there is nothing to choose.
    """
    if "auto" not in settings.values():
        return settings, None
    tried = held_out(module, everything, settings, device)
    return tried.best(module.losses), tried.gains(module.losses)


@dataclass(frozen=True)
class Candidate:
    """A method of an experiment that is judged by its statistics.

    Attributes
    ----------
    name : str
    settings : dict
        Its section, as plain data.
    module : module
        That of its kind.
    statistics : object
        Those that it is made from, loaded.
    """

    name: str
    settings: dict[str, Any]
    module: ModuleType
    statistics: Any


class Method(Protocol):
    """A way to combine predictions, ready to run.

    Predictions x are whole images, (model, channel, height, width), in code values: 0–255 or 0–65535. A method that
    needs no neighbours takes any axes after the channel; one whose section is `pointwise` gets runs of pixels,
    (model, channel, 1, pixel).
    """

    def fuse(
        self, x: Shaped[np.ndarray, "model channel height width"]
    ) -> Float[np.ndarray, "channel height width"]:
        """Return the fused image: float32, code values, neither rounded nor clipped."""
        ...

    def weights(
        self, x: Shaped[np.ndarray, "model channel height width"]
    ) -> Float[np.ndarray, "model channel height width"] | None:
        """Return the weight of every predicted value; axes of length one are to be broadcast.

        None where the method has none. They sum to one where the fused image is their weighted sum alone.
        """
        ...


@runtime_checkable
class ExpectsErrors(Protocol):
    """A method that tells the expected squared error of each fused value, too."""

    def fuse_with_error(
        self, x: Shaped[np.ndarray, "model channel height width"]
    ) -> tuple[Float[np.ndarray, "channel height width"], Float[np.ndarray, "channel height width"]]:
        """Return the fused image and the expected squared errors: float32, squared code values, NaN where unknown."""
        ...


@runtime_checkable
class SumsUp(Protocol):
    """A pointwise method that needs sums over all of an image's pixels first."""

    def sums(self, x: Shaped[np.ndarray, "model channel height width"]) -> Int[np.ndarray, " sum"]:
        """Return integers that add up over runs of pixels."""
        ...

    def summed(self, sums: Int[np.ndarray, " sum"], bits: int) -> Method:
        """Return the method for the image of 8 or 16 bit with these sums."""
        ...


@runtime_checkable
class UsesInput(Protocol):
    """A method that needs the degraded input of an image, too."""

    def given(
        self,
        degraded: Shaped[np.ndarray, "low_height low_width channel"] | None,
        shape: tuple[int, int, int],
    ) -> Method:
        """Return the method for the image with this input and this shape (height, width, channel)."""
        ...


def for_image(method: Method | UsesInput, part: Part, index: int) -> Method:
    """Return a method ready for one image of a dataset part."""
    return method.given(part.input(index), part.shapes[index]) if isinstance(method, UsesInput) else method


def weighted_sum(
    weights: Float[np.ndarray, " model"], x: Shaped[np.ndarray, "model channel *pixels"]
) -> Float[np.ndarray, " channel *pixels"]:
    """Return Σ w_m x_m as float32, summed in float64 in the order of the models."""

    def combined(block: Shaped[np.ndarray, "model value"]) -> Float[np.ndarray, " value"]:
        total = np.zeros(block.shape[1])
        for weight, prediction in zip(weights, block, strict=True):
            total += weight * prediction
        return total

    return by_blocks(combined, x)


def by_blocks(
    combine: Callable[[Shaped[np.ndarray, "model value"]], Float[np.ndarray, " value"]],
    x: Shaped[np.ndarray, "model channel *pixels"],
) -> Float[np.ndarray, " channel *pixels"]:
    """Combine values as float32, so many at once that what is computed stays in a core's cache."""
    fused = np.empty(x.shape[1:], np.float32)
    predictions, values = x.reshape(len(x), -1), fused.reshape(-1)
    for start in range(0, len(values), BLOCK):
        block = slice(start, start + BLOCK)
        values[block] = combine(predictions[:, block])
    return fused
