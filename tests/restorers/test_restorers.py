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
    settings = {"kind": "function", "function": f"{__name__}:failing", "options": {}}
    degraded = restorers.Degraded("chelsea", np.zeros((4, 4, 3), np.uint8), (4, 4, 3), 8, 1, None)
    with pytest.raises(
        InputError, match=r"failing: failed on image 'chelsea' \(ZeroDivisionError: no luck\)"
    ):
        list(function.Restorer(settings, []).restore([degraded]))
