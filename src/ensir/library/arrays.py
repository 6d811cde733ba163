"""Arrays of other libraries as images: predictions and targets, in order, read once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.errors import InputError
from ensir.library.loading import check_labels, is_array, loaded, model_axis
from ensir.library.meaning import Brightness, Meaning
from ensir.library.reading import Folder
from ensir.storage import writing

if TYPE_CHECKING:
    from jaxtyping import Shaped

CHANNELS = (1, 3)
MISSING = object()

Images = Any  # an array of any library, a mapping of such by model, or several of either


class Image:
    """An image of a reference.

    Attributes
    ----------
    name : str
        The given one; else the beginning of a digest of all its values.
    x : uint8 or uint16 array, (model, channel, height, width) or (model, channel, pixel)
    y : array of the same dtype, (channel, height, width) or (channel, pixel)
    digest : str
        That of the target; see `ensir.storage.writing`.
    prediction_digests : list of str
    models : tuple of str or None
        The names of the models, where they are told.
    brightness : Brightness
    """

    def __init__(
        self,
        name: str | None,
        x: np.ndarray,
        y: np.ndarray,
        models: Sequence[str] | None = None,
        brightness: Brightness | None = None,
    ):
        self.brightness = brightness or Brightness()
        self.x, self.y, self.models = x, y, None if models is None else tuple(models)
        self.digest, *self.prediction_digests = (
            writing.image_digest(image.reshape(len(y), -1)) for image in (y, *x)
        )
        if name is None:
            import hashlib

            every = " ".join([self.digest, *self.prediction_digests])
            name = hashlib.sha256(every.encode()).hexdigest()[:12]
        self.name = name


def models_of(x: Images) -> list[str] | None:
    """Return the names of the models where the predictions tell them: keys, or coordinates of xarray.

    Coordinates that only number the models, 0, 1, …, as xarray's own do, are no names.
    """
    if isinstance(x, Mapping):
        return [str(model) for model in x]
    axis = model_axis(x)
    if axis is not None and axis in getattr(x, "coords", ()):
        held = x.coords[axis].values
        if held.dtype.kind in "iu" and np.array_equal(held, np.arange(len(held))):
            return None
        return [str(model) for model in held]
    return None


def ordered(x: Images, models: Sequence[str], what: str, expected: str) -> Images:
    """Return the predictions for one image in the order of some models; those without names are in it.

    Raises
    ------
    InputError
        They are named, and not as the models are.
    """
    own = models_of(x)
    if own is None or own == list(models):
        return x
    if sorted(own) != sorted(models):
        stacks = isinstance(x, Mapping) and any(len(getattr(value, "shape", ())) == 4 for value in x.values())
        hint = (
            "; where these are images, give a list of them, or images by name for each model"
            if stacks
            else ""
        )
        raise InputError(
            f"{what}: holds the models {', '.join(own)}, but {expected} {', '.join(models)}{hint}"
        )
    if isinstance(x, Mapping):
        named = dict(zip(own, x.values(), strict=True))
        return {model: named[model] for model in models}
    return x.isel({model_axis(x): [own.index(model) for model in models]})


class Order:
    """The order of the models in all images.

    Parameters
    ----------
    models : sequence of str or None
        The models; None: those of the first image, if it names them.
    """

    def __init__(self, models: Sequence[str] | None):
        self.models, self.is_open = models, models is None
        self.begun = False

    def of(self, x: Images, what: str) -> Images:
        """Return the predictions for the next image in this order.

        Raises
        ------
        InputError
            They name other models, or do not say which is which, where the first image does.
        """
        own = models_of(x)
        if self.is_open and not self.begun:
            self.models = own
        elif self.is_open and (own is None) != (self.models is None):
            names, not_names = ("no models", "does") if own is None else (", ".join(own), "does not")
            raise InputError(
                f"{what}: names {names}, but the first image {not_names}; name the models of all images, or of none"
            )
        self.begun = True
        if self.models is None:
            return x
        return ordered(x, self.models, what, "the first image holds" if self.is_open else "models are")


def predictions(x: Images, what: str) -> list[np.ndarray]:
    """Return the predictions for one image: an array per model."""
    if isinstance(x, Mapping):
        return [loaded(value, f"{what}, model {model}") for model, value in x.items()]
    return list(loaded(x, what))


def stacked(
    values: Sequence[np.ndarray], meaning: Meaning, bits: int, what: str, target: np.ndarray | None = None
) -> Shaped[np.ndarray, "model channel *pixels"]:
    """Return the predictions for one image as code values; with its target, where there is one, they are compared.

    Raises
    ------
    InputError
        They are no predictions of two or more models for one image.
    """
    shapes = {value.shape for value in values}
    shape = next(iter(shapes), ())
    batch = "; of batches, as of a DataLoader, take each image (batch_size=None)" if len(shape) == 4 else ""
    if len(values) < 2:
        raise InputError(f"{what}: holds {len(values)} model; two or more are combined{batch}")
    if len(shapes) > 1 or len(shape) not in (2, 3) or shape[0] not in CHANNELS or not all(shape):
        held = " and ".join(map(str, sorted(shapes)))
        raise InputError(
            f"{what}: holds {len(values)} models of shape {held}; x should be (model, channel, height, width) or "
            "(model, channel, pixel), with 1 or 3 channels. Several images are a list of such; those of several models "
            "are stacked (np.stack), or a mapping by their names; "
            f"np.moveaxis(image, -1, -3) makes (channel, height, width) of (height, width, channel){batch}"
        )
    return np.stack([np.ascontiguousarray(meaning.codes(value, bits, what, target)) for value in values])


def several(x: Images) -> Iterator[Any]:
    """Yield the predictions of each of several images, which are read once."""
    if not isinstance(x, Mapping):
        if not isinstance(x, Iterable):
            raise InputError(f"x: is {type(x).__name__}; give predictions, as an array or several")
        yield from x
        return
    for model, held in x.items():
        if not isinstance(held, Iterable):
            raise InputError(f"x, model {model}: is {type(held).__name__}; give an array or several")
    for images in zip_longest(*x.values(), fillvalue=MISSING):
        if any(image is MISSING for image in images):
            raise InputError("x: the models have different numbers of images")
        yield dict(zip(x, images, strict=True))


def pairs(x: Images, y: Any) -> Iterator[tuple[Any, Any]]:
    """Yield predictions and target of each image, which are read once.

    Raises
    ------
    InputError
        There are more of one than of the other.
    """
    if not (is_array(x) or isinstance(x, Iterable)):
        raise InputError(f"x: is {type(x).__name__}; give predictions, as an array or several")
    if y is None:
        if is_array(x) or isinstance(x, Mapping):
            raise InputError("y: the targets are missing")
        for pair in x:
            if not (isinstance(pair, tuple | list) and len(pair) == 2):
                raise InputError("x: without y, it should hold pairs of predictions and target")
            yield pair[0], pair[1]
    elif isinstance(y, Mapping):
        yield from paired(x, y)
    elif is_array(y):
        if not (is_array(x) or isinstance(x, Mapping)):
            raise InputError("y: is one array, but x are several; give a list of images for both")
        yield x, y
    else:
        if not isinstance(y, Iterable):
            raise InputError(f"y: is {type(y).__name__}; give targets, as an array or several")
        if is_array(x):
            raise InputError("x: is one array, but y are several; give a list of images for both")
        if are_named(x) or isinstance(x, Folder):
            raise InputError(
                "y: does not name its images, but x does; give a mapping by name, such as ensir.read's"
            )
        for one, other in zip_longest(several(x), y, fillvalue=MISSING):
            if one is MISSING or other is MISSING:
                raise InputError("x and y: hold different numbers of images")
            yield one, other


def paired(x: Images, y: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield predictions and target of each image by its name, in the order of the targets.

    Raises
    ------
    InputError
        The names are not the same.
    """
    if not isinstance(x, Mapping):
        raise InputError(
            "x: does not name its images, but y does; give a mapping by name, or one for each model"
        )
    by_model = are_named(x)
    check_names(x if by_model else {None: x}, y, "y")
    for name, target in y.items():
        yield {model: held[name] for model, held in x.items()} if by_model else x[name], target


def are_named(x: Images) -> bool:
    """Return whether predictions are images by name, for each model."""
    return isinstance(x, Mapping) and bool(x) and all(isinstance(held, Mapping) for held in x.values())


def check_names(x: Mapping[Any, Mapping[str, Any]], names: Iterable[str], where: str) -> None:
    """Check that images have the same names, for each model (or for None), as those that are named."""
    known = set(names)
    for model, held in x.items():
        what = "x" if model is None else f"x, model {model}"
        for name in names:
            if name not in held:
                raise InputError(
                    f"{what}: has no image {name!r}, which {where} has; give all images for both"
                )
        if more := [name for name in held if name not in known]:
            raise InputError(
                f"{what}: has the image {more[0]!r}, which {where} has not; give all images for both"
            )


def images(
    x: Images, y: Any, names: Iterable[str] | None, meaning: Meaning, models: Sequence[str] | None = None
) -> Iterator[Image]:
    """Yield the images of a reference, in the order of some models, or that of the names of the first image.

    Raises
    ------
    InputError
        Arrays do not fit together, or what they mean is not known.
    """
    names = y if names is None and isinstance(y, Mapping) else names
    given = None if names is None else iter([names] if isinstance(names, str) else names)
    order = Order(models)
    for number, (one, other) in enumerate(pairs(x, y)):
        name = None if given is None else next(given, MISSING)
        if name is MISSING:
            raise InputError(f"names: there are {number}, but more images; name all of them")
        name = None if name is None else str(name)
        what = f"image {number + 1 if name is None else repr(name)}"
        check_labels([*(one.values() if isinstance(one, Mapping) else [one]), other], what)
        values = predictions(order.of(one, f"{what}: x"), f"{what}: x")
        wanted = loaded(other, f"{what}: y")
        bits = meaning.bits_of([*values, wanted], what)
        doubts: list[str] = []
        codes = meaning.codes(wanted, bits, f"{what}: y", doubted=doubts.append)
        own = np.array(codes, order="C")  # that of y may be filled anew
        found = stacked(values, meaning, bits, f"{what}: x", own)
        if own.shape != found.shape[1:]:
            raise InputError(
                f"{what}: y: has shape {own.shape}, but the predictions for it {found.shape[1:]}"
            )
        brightness = Brightness.of(wanted, values, meaning, what, doubts)
        yield Image(name, found, own, order.models, brightness)
    if given is not None and next(given, MISSING) is not MISSING:
        raise InputError("names: there are more than images; name each image once")
