"""Base models: every classical algorithm improves on its input, and the interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ensir import restorers
from ensir.datasets.photos import photograph
from ensir.errors import InputError
from ensir.images.degradations import degrade
from ensir.images.similarity import psnr
from ensir.restorers import classical, function

NOISE = {"kind": "noise", "sigma": 25.0, "seed": 0}
BLUR = {"kind": "blur", "kernel": "gaussian", "width": 1.6, "sigma": 1.0, "seed": 0}
HALF = {"kind": "downscale", "scale": 2}


def run(algorithm: str, degradation: dict[str, Any], channels: int = 3, bits: int = 8, **options: Any):
    """Return (PSNR of the input or of nearest-neighbour, PSNR of the prediction)."""
    target = photograph("chelsea", 96)[..., :channels]
    if bits == 16:
        target = target.astype(np.uint16) * 257
    image = degrade(target, degradation, "chelsea")
    scale = degradation.get("scale", 1)
    degraded = restorers.Degraded("chelsea", image, target.shape, bits, scale, degradation)
    restorer = classical.Restorer({"kind": "classical", "algorithm": algorithm, "options": options}, [])
    (prediction,) = restorer.restore([degraded])
    unit = 1 if bits == 8 else 257
    assert prediction.shape == target.shape
    plain = image.repeat(scale, axis=0).repeat(scale, axis=1)
    return psnr(target / unit, plain / unit), psnr(target / unit, prediction / unit)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("algorithm", "degradation", "gain"),
    [
        ("identity", NOISE, 0), ("tv_chambolle", NOISE, 5), ("wavelet", NOISE, 4), ("nl_means", NOISE, 5),
        ("bilateral", NOISE, 2), ("median", NOISE, 3), ("gaussian", NOISE, 3), ("wiener", BLUR, 0.5),
        ("richardson_lucy", BLUR, 0.5), ("unsharp", BLUR, 0.3), ("nearest", HALF, 0), ("bilinear", HALF, 0.3),
        ("bicubic", HALF, 1), ("lanczos", HALF, 1), ("back_projection", HALF, 1.5),
    ],
)  # fmt: skip
def test_every_algorithm_improves_on_its_input(
    algorithm: str, degradation: dict, gain: float, channels: int, bits: int
):
    before, after = run(algorithm, degradation, channels, bits)
    assert after >= before + gain - 1e-9


def test_every_algorithm_is_tested_and_configurable():
    from typing import get_args

    from ensir.restorers.classical import ClassicalModel

    assert set(classical.ALGORITHMS) == set(get_args(ClassicalModel.model_fields["algorithm"].annotation))


def test_deconvolution_without_a_kernel():
    with pytest.raises(InputError, match="needs a known blur kernel"):
        run("wiener", NOISE)


def failing(image: np.ndarray) -> np.ndarray:
    raise ZeroDivisionError("no luck")


def test_a_function_that_fails_is_named():
    with pytest.raises(
        InputError, match=r"failing: failed on image 'chelsea' \(ZeroDivisionError: no luck\)"
    ):
        called("failing")


def called(name: str, image: np.ndarray | None = None, **settings: Any) -> np.ndarray:
    """Call a function of this module as a model."""
    image = np.zeros((4, 4, 3), np.uint8) if image is None else image
    extent = (float(image.min()), float(image.max()))
    degraded = restorers.Degraded("chelsea", image, image.shape, 8, 1, None, extent=lambda: extent)
    whole = {"kind": "function", "function": f"{__name__}:{name}", "options": {}, "any_range": False}
    (prediction,) = function.Restorer(whole | settings, []).restore([degraded])
    return prediction


def between_0_and_1(image: np.ndarray) -> np.ndarray:
    return image / 255


def overshooting(image: np.ndarray) -> np.ndarray:
    return (image - 127.0) * 1.05 + 127


def test_a_function_that_returns_another_range():
    image = photograph("chelsea", 96)
    wrong = r"between_0_and_1, image 'chelsea': all .* black in \[0, 255\]; .* perhaps \[0, 1\]; return code values, 0 to 255"
    with pytest.raises(InputError, match=wrong):
        called("between_0_and_1", image)
    np.testing.assert_array_equal(called("between_0_and_1", image, any_range=True), image / 255)
    np.testing.assert_array_equal(
        called("between_0_and_1", image // 99), image // 99 / 255
    )  # dark, as the target
    np.testing.assert_array_equal(called("overshooting", image), overshooting(image))
