"""Geometric self-ensemble: a model restores a picture in several orientations; the mean, or each, is a prediction.

Source: Timofte et al. (CVPR 2016), "Seven ways to improve example-based single image super resolution".
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.errors import InputError
from ensir.images import degradations
from ensir.images.orientations import BY_NAME, OF_NUMBER, Orientation
from ensir.restorers import Degraded, Restorer, RestorerModel
from ensir.section import Context, Problem

if TYPE_CHECKING:
    from jaxtyping import Float, Shaped

log = logging.getLogger(__name__)
Name = Literal["turn0", "turn90", "turn180", "turn270", "mirror0", "mirror90", "mirror180", "mirror270"]


OWN = frozenset({"self_ensemble", "self_ensemble_as", "orientation"})


class TurnableModel(RestorerModel):
    """What all models have that can restore a picture in any orientation."""

    self_ensemble: Literal[2, 4, 8] | None = Field(
        None, description="restore each image in 2 (mirrored), 4 (turned) or 8 orientations"
    )
    self_ensemble_as: Literal["mean", "models"] = Field(
        "mean",
        description="the mean over the orientations is the prediction; or each is that of a model of its own, "
        "`NAME_turn0`, `NAME_turn90`, …, `NAME_mirror270`",
    )
    orientation: Name | None = Field(
        None, description="restore each image mirrored, then turned by so many degrees, and turn it back"
    )

    traced_if_set: ClassVar[frozenset[str]] = OWN
    one_by_one: ClassVar[bool] = True

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that these keys belong together."""
        yield from super().check(context)
        several = context.section.get("self_ensemble")
        if several and context.section.get("orientation"):
            yield Problem(
                f"{context.key}.orientation", "is one of those of `self_ensemble`; remove one of the two"
            )
        if not several and context.section.get("self_ensemble_as"):
            yield Problem(
                f"{context.key}.self_ensemble", "is missing: of how many orientations? allowed: 2, 4, 8"
            )


def as_models(raw: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Put a model for each orientation in the place of those with ``self_ensemble_as: models``.

    Parameters
    ----------
    raw : dict
        A configuration, as plain data with any mistakes.

    Returns
    -------
    raw : dict
        The configuration with those models, in `models` and in those of the experiments.
    made_of : dict
        The name of the model that each of them was made of.
    """
    given, experiments = raw.get("models"), raw.get("experiments")
    models: dict[str, Any] = {}
    made_of: dict[str, str] = {}
    for name, model in given.items() if isinstance(given, dict) else ():
        options = model if isinstance(model, dict) and model.get("self_ensemble_as") == "models" else {}
        several = next((OF_NUMBER[n] for n in OF_NUMBER if n == options.get("self_ensemble")), ())
        own = {key: value for key, value in options.items() if key not in OWN}
        made = {
            f"{name}_{orientation.name}": {**own, "orientation": orientation.name} for orientation in several
        }
        models |= made or {name: model}
        made_of |= {each: name for each in made}
    if not made_of:
        return raw, {}
    if isinstance(experiments, dict):
        experiments = {name: _with_models(experiment, made_of) for name, experiment in experiments.items()}
    return {**raw, "models": models, "experiments": experiments}, made_of


def _with_models(experiment: Any, made_of: dict[str, str]) -> Any:
    """Return an experiment with the models that were made of its own."""
    if not isinstance(experiment, dict) or not isinstance(experiment.get("models"), list):
        return experiment
    listed = [
        [made for made in made_of if made_of[made] == model] or [model] for model in experiment["models"]
    ]
    return {**experiment, "models": [model for several in listed for model in several]}


def oriented(
    restorer: Restorer, settings: dict[str, Any], images: Iterable[Degraded]
) -> Iterator[np.ndarray]:
    """Restore images in the orientations that a model's section asks for.

    Parameters
    ----------
    restorer : Restorer
    settings : dict
        The section, as plain data.
    images : iterable of Degraded

    Yields
    ------
    array, (height, width, channel)
        What the restorer returns, or the float32 mean over several orientations, in code values.

    Raises
    ------
    InputError
        A prediction does not have the size of its target, and nobody knows where it would have to be cropped.
    """
    if times := settings.get("self_ensemble"):
        return _means(restorer, OF_NUMBER[times], images)
    if name := settings.get("orientation"):
        return (prediction for prediction, *_ in _in_each(restorer, [BY_NAME[name]], images))
    return restorer.restore(images)


def _means(
    restorer: Restorer, orientations: Sequence[Orientation], images: Iterable[Degraded]
) -> Iterator[Float[np.ndarray, "height width channel"]]:
    log.info("restores each image in %d orientations, in that many times the seconds", len(orientations))
    for predictions in _in_each(restorer, orientations, images):
        total = predictions[0].astype(np.float32)
        for prediction in predictions[1:]:
            total += prediction
        yield total / np.float32(len(orientations))


def _in_each(
    restorer: Restorer, orientations: Sequence[Orientation], images: Iterable[Degraded]
) -> Iterator[list[Shaped[np.ndarray, "height width channel"]]]:
    """Yield the predictions for an image from all orientations, turned back; the restorer gets them in one stream."""
    waiting: deque[Degraded] = deque()

    def turned() -> Iterator[Degraded]:
        for image in images:
            waiting.append(image)
            for orientation in orientations:
                yield _turned(image, orientation)

    restored = iter(restorer.restore(turned()))
    while (first := next(restored, None)) is not None:
        predictions = [first, *(next(restored) for _ in orientations[1:])]
        image = waiting.popleft()
        back = [
            orientation.turned_back(prediction)
            for orientation, prediction in zip(orientations, predictions, strict=True)
        ]
        for prediction in back:
            if prediction.shape[:2] != image.shape[:2]:
                raise InputError(
                    f"image {image.name!r}: the model returns {prediction.shape[1]}×{prediction.shape[0]} pixels, its "
                    f"target has {image.shape[1]}×{image.shape[0]}; predictions that are cropped cannot be turned: "
                    "remove `self_ensemble` and `orientation`"
                )
        yield back


def _turned(image: Degraded, orientation: Orientation) -> Degraded:
    """Turn an image, and the kernel that blurred it."""
    assert image.image is not None
    degradation, (height, width, channels) = image.degradation, image.shape
    if degradation and degradation["kind"] == "blur":
        values = orientation.turned(degradations.kernel_of(degradation))
        degradation = {**degradation, "values": values.tolist()}
    return replace(
        image,
        image=orientation.turned(image.image),
        shape=(width, height, channels) if orientation.turns % 2 else image.shape,
        degradation=degradation,
    )
