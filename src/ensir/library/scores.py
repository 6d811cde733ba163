"""Scoring arrays by the metrics of the workflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from ensir import registry
from ensir.errors import InputError
from ensir.images import depth
from ensir.library.arrays import CHANNELS, Images, Order, pairs
from ensir.library.loading import check_labels, is_array, loaded
from ensir.library.meaning import Brightness, Meaning
from ensir.section import unknown
from ensir.stages.score import compare

if TYPE_CHECKING:
    from jaxtyping import Float64


class Scores(dict[str, Any]):
    """Values by the names of metrics, and what they are of.

    Attributes
    ----------
    images, models : tuple of str or None
        Names along the axes of the values; None where none were given, or there is a single one.
    """

    def __init__(self, values: Mapping[str, Any], images: Iterable[str] | None, models: Iterable[str] | None):
        super().__init__(values)
        self.images = None if images is None else tuple(images)
        self.models = None if models is None else tuple(models)

    def __repr__(self) -> str:
        named = {"images": self.images, "models": self.models}
        return "\n".join(
            [super().__repr__(), *(f"{axis}: {', '.join(names)}" for axis, names in named.items() if names)]
        )


def score(
    y: Any,
    x: Images,
    *,
    metrics: Sequence[str] | Mapping[str, Any] = ("psnr", "ssim"),
    space: str = "rgb",
    crop: int = 0,
    rounded: bool = False,
    value_range: tuple[float, float] | None = None,
) -> Scores:
    """Compare results with their targets: fused images, or the predictions of several models.

    Parameters
    ----------
    y : array (channel, height, width), or several
        Targets: uint8 or uint16, or floats with a `value_range`.
    x : array (channel, height, width), or (model, channel, height, width); or several
        Results: fused images, or predictions of several models. Floats are compared as they are, neither rounded nor
        clipped. Where models are named, by a mapping or by xarray, all images have the order of the first.
    metrics : sequence of str, or mapping
        Names of metrics, or sections of a configuration by name.
    space : str
        "rgb", the mean over the channels, or "y", BT.601 luma.
    crop : int
        Border pixels to leave out on each side.
    rounded : bool
        Round and clip results to the depth of the targets first, as a PNG would; targets are integers then.
    value_range : (float, float), optional
        Black and white of floats, in y and x: required where there are some. What `Lut.fuse` makes of uint8 arrays has
        (0, 255), of uint16 ones (0, 65535).

    Returns
    -------
    Scores
        A dict by the names of the metrics: a number; of several images or models, float64 arrays, (image,), (model,) or
        (image, model). Its `images` and `models` are the names along these axes, where there are some.

    Raises
    ------
    InputError
        Arrays do not fit together, what they mean is not known, or a metric is unknown or fails.

    Examples
    --------
    >>> ensir.score(y, lut.fuse(x), value_range=(0, 255))["psnr"]  # doctest: +SKIP
    """
    settings = _settings(metrics=metrics, space=space, crop=crop, rounded=rounded)
    meaning, order = Meaning(value_range), Order(None)
    found, brightness = [], Brightness()
    for i, (other, one) in enumerate(pairs(x, y)):
        what = f"image {i + 1}"
        values, own = _of_image(one, order.of(other, f"{what}: x"), settings, meaning, what)
        found.append(values)
        brightness += own
    if not found:
        raise InputError("x and y: hold no image")
    brightness.check()
    if is_array(y):
        values = {name: value if value.ndim else value.item() for name, value in found[0].items()}
        return Scores(values, None, order.models)
    try:
        values = {name: np.stack([values[name] for values in found]) for name in found[0]}
    except ValueError as error:
        raise InputError("x: its images have different numbers of models") from error
    return Scores(values, map(str, y) if isinstance(y, Mapping) else None, order.models)


def _settings(**given: Any) -> dict[str, Any]:
    """Return the `score` section of a configuration, as plain data."""
    from ensir.config.schema import Score  # reading configurations takes a moment to load

    given["metrics"] = _metrics(given["metrics"])
    try:
        return Score.model_validate(given).model_dump(mode="json")
    except ValidationError as error:
        what = error.errors(include_url=False)[0]
        key = ".".join(str(step) for step in what["loc"][:1])
        raise InputError(f"{key}: {what['msg']}, not {given.get(key)!r}") from None


def _metrics(given: Any) -> dict[str, Any]:
    """Return sections of metrics by their names.

    Raises
    ------
    InputError
        They are neither names nor sections, or of an unknown kind.
    """
    named = [given] if isinstance(given, str) else given
    if not isinstance(named, Iterable):
        raise InputError(f"metrics: is {given!r}; give a list of names")
    sections = dict(named) if isinstance(named, Mapping) else dict.fromkeys(named)
    kinds = registry.kinds("metrics")
    for name, section in sections.items():
        kind = name
        if isinstance(section, Mapping):
            kind = section.get("kind", "function" if "function" in section else name)
        if kind not in kinds:
            raise InputError(unknown(f"metrics: {kind!r} is no metric", str(kind), kinds))
    return sections


def _of_image(
    y: Any, x: Images, settings: dict[str, Any], meaning: Meaning, what: str
) -> tuple[dict[str, Float64[np.ndarray, "*model"]], Brightness]:
    """Score the result for one image, or those of several models; return how bright they are, too."""
    check_labels([*(x.values() if isinstance(x, Mapping) else [x]), y], what)
    target = loaded(y, f"{what}: y")
    if settings["rounded"] and target.dtype.kind == "f":
        raise InputError(
            f"{what}: y holds floats, so that it is not known to which depth x should be rounded; give y as "
            "uint8 or uint16, or leave out `rounded`"
        )
    if target.ndim not in (2, 3) or target.shape[0] not in CHANNELS or not target.size:
        raise InputError(
            f"{what}: y has shape {target.shape}; it should be (channel, height, width), with 1 or 3 channels. Several "
            "images are a list of such"
        )
    results, many = _results(x, target, what)
    doubts: list[str] = []
    levels, bits = meaning.levels(target, f"{what}: y", doubted=doubts.append)
    rows = []
    for result in results:
        code = result
        if result.dtype.kind == "f":
            code = meaning.levels(result, f"{what}: x", levels)[0] * depth.unit(bits)
        elif result.dtype != levels.dtype and target.dtype.kind != "f":
            raise InputError(
                f"{what}: x holds {result.dtype}, but its target {target.dtype}; convert one of them"
            )
        else:
            code, own = meaning.levels(result, f"{what}: x", levels)
            code = code / depth.unit(own) if target.dtype.kind == "f" else code
        images = [np.moveaxis(np.atleast_3d(_planes(image)), 0, 2) for image in (levels, code)]
        rows.append(compare(what.removeprefix("image "), images[0], images[1], bits, settings))
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    brightness = Brightness.of(target, results, meaning, what, doubts)
    return (values if many else {name: value[0] for name, value in values.items()}), brightness


def _results(x: Images, target: np.ndarray, what: str) -> tuple[list[np.ndarray], bool]:
    """Return the results for one image, each in its own dtype, and whether they are those of several models."""
    if isinstance(x, Mapping):
        results, many = [loaded(value, f"{what}: x, model {model}") for model, value in x.items()], True
        shapes = [result.shape for result in results]
    else:
        array = loaded(x, f"{what}: x")
        many = array.ndim == target.ndim + 1
        results, shapes = (list(array) if many else [array]), [array.shape[many:]]
    if not results:
        raise InputError(f"{what}: x holds no model")
    if wrong := [shape for shape in shapes if shape != target.shape]:
        raise InputError(f"{what}: x has shape {wrong[0]}, but its target {target.shape}")
    return results, many


def _planes(image: np.ndarray) -> np.ndarray:
    """Return an image with height and width; a run of pixels is a row."""
    return image if image.ndim == 3 else image[:, None]
