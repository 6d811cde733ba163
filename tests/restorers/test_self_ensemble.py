"""Geometric self-ensemble: each orientation is turned back, and the mean is what a model does without a direction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ensir.config.reading import parse
from ensir.datasets.photos import photograph
from ensir.errors import InputError
from ensir.images import image_files
from ensir.images.degradations import degrade
from ensir.images.orientations import OF_NUMBER, ORIENTATIONS
from ensir.images.similarity import psnr
from ensir.restorers import Degraded, checkpoint, classical
from ensir.restorers._self_ensemble import oriented

ROOT = Path(__file__).parents[2]
MOTION = {"kind": "blur", "kernel": "motion", "width": 6.0, "sigma": 1.0, "seed": 0}


class Directed:
    """A model with a direction: it moves everything one pixel to the right, and counts its calls."""

    def __init__(self, larger: int = 0):
        self.shapes: list[tuple[int, ...]] = []
        self.larger = larger

    def restore(self, images: Iterator[Degraded]) -> Iterator[np.ndarray]:
        for degraded in images:
            self.shapes.append(degraded.image.shape)
            assert degraded.shape == degraded.image.shape
            moved = np.roll(degraded.image, 1, axis=1)
            yield np.pad(moved, ((0, 0), (0, self.larger), (0, 0)))


def two_images() -> list[Degraded]:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, shape, np.uint8) for shape in ((5, 7, 3), (4, 4, 1))]
    return [Degraded(str(i), image, image.shape, 8, 1, None) for i, image in enumerate(images)]


def test_orientations_are_eight_and_have_an_inverse():
    image = np.arange(5 * 7 * 3).reshape(5, 7, 3)
    turned = [orientation.turned(image) for orientation in ORIENTATIONS]
    assert len({(value.shape, value.tobytes()) for value in turned}) == 8
    for orientation, value in zip(ORIENTATIONS, turned, strict=True):
        np.testing.assert_array_equal(orientation.turned_back(value), image)


@pytest.mark.parametrize("times", [2, 4, 8])
def test_the_mean_over_orientations(times: int):
    """Turned back, a model that moves to the right moves to each side."""
    sides = {2: [(1, 1), (1, -1)], 4: [(1, 1), (0, 1), (1, -1), (0, -1)]}
    model = Directed()
    found = list(oriented(model, {"self_ensemble": times}, two_images()))
    for image, mean in zip(two_images(), found, strict=True):
        moved = [
            np.roll(image.image, by, axis=axis).astype(float) for axis, by in sides.get(times, sides[4] * 2)
        ]
        np.testing.assert_allclose(mean, np.mean(moved, axis=0), rtol=1e-6)
    assert [len(model.shapes), model.shapes.count((5, 7, 3))] == [2 * times, max(times // 2, 2)]


def test_one_orientation():
    (first, _) = oriented(Directed(), {"orientation": "mirror0"}, two_images())
    np.testing.assert_array_equal(first, np.roll(two_images()[0].image, -1, axis=1))


@pytest.mark.parametrize("algorithm", ["wiener", "richardson_lucy", "tv_chambolle", "back_projection"])
def test_what_has_no_direction_does_not_change(algorithm: str):
    """The kernel of a blur is turned, too: here, one at 45°."""
    target = photograph("chelsea", 64)[:48]
    degradation = {"kind": "downscale", "scale": 2} if algorithm == "back_projection" else MOTION
    image = degrade(target, degradation, "chelsea")
    degraded = Degraded("chelsea", image, target.shape, 8, degradation.get("scale", 1), degradation)
    model = classical.Restorer({"kind": "classical", "algorithm": algorithm, "options": {}}, [])
    (plain,) = model.restore([degraded])
    for orientation in ORIENTATIONS[1:]:
        (found,) = oriented(model, {"orientation": orientation.name}, [degraded])
        assert psnr(np.rint(plain), np.rint(found)) > 45


def test_a_prediction_of_another_size_cannot_be_turned():
    with pytest.raises(
        InputError, match=r"returns 8×5 pixels, its target has 7×5; .* remove `self_ensemble`"
    ):
        list(oriented(Directed(larger=1), {"self_ensemble": 2}, two_images()))


# ── in a configuration ──────────────────────────────────────────────────────────────────────────────────────


def config(**options: Any) -> dict[str, Any]:
    raw = yaml.safe_load((ROOT / ".test/config/config.yaml").read_text())
    raw["models"]["tv"] |= options
    return raw


def test_each_orientation_is_a_model():
    read = parse(config(self_ensemble=4, self_ensemble_as="models"), "c.yaml")
    made = [f"tv_{orientation.name}" for orientation in OF_NUMBER[4]]
    assert list(read.models) == [*made, "dae"]
    assert read.experiments["denoise"].models == [*made, "dae"]
    assert read.models["tv_turn90"].traced == {
        "kind": "classical", "algorithm": "tv_chambolle", "options": {}, "orientation": "turn90",
    }  # fmt: skip


def test_what_is_restored_once_is_recorded_as_before():
    assert parse(config(), "c.yaml").models["tv"].traced == {
        "kind": "classical", "algorithm": "tv_chambolle", "options": {},
    }  # fmt: skip
    assert parse(config(self_ensemble=8), "c.yaml").models["tv"].traced["self_ensemble"] == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"self_ensemble": 3}, "models.tv.self_ensemble: 3 is wrong; allowed: 2, 4, 8"),
        ({"self_ensemble_as": "models"}, "models.tv.self_ensemble: is missing: of how many orientations?"),
        ({"self_ensemble": 8, "orientation": "turn90"}, "models.tv.orientation: is one of those of `self_ensemble`"),
        (
            {"self_ensemble": 8, "self_ensemble_as": "models", "options": {"wieght": 1}},
            "models.tv.options.wieght: unknown key; allowed: ",
        ),
    ],
)  # fmt: skip
def test_mistakes(options: dict[str, Any], message: str):
    with pytest.raises(InputError) as caught:
        parse(config(**options), "c.yaml")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"c.yaml: {message}")


# ── a published network ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.pretrained
def test_it_pays_for_a_published_network(data: Path):
    """CRAFT enlarges a piece of an image of Set5 four times."""
    root = data / "images/sr_x4/set5"
    target, low = (image_files.read(str(root / kind / "butterfly.png")) for kind in ("gt", "lq"))
    target, low = target[:160, :160], low[:40, :40]
    settings = {
        "path": str(data / "weights/craft_x4.pth"), "precision": "float32", "device": "cpu",
        "tile": None, "overlap": 64, "batch": 1,
    }  # fmt: skip
    model = checkpoint.Restorer(settings, [])
    degraded = Degraded("butterfly", low, target.shape, 8, 4, None)
    once, mean = (
        psnr(target.astype(float), np.clip(np.rint(next(oriented(model, asked, [degraded]))), 0, 255))
        for asked in ({}, {"self_ensemble": 8})
    )
    assert mean - once > 0.1
