"""LPIPS, a perceptual distance; it needs ``pip install "ensir-flow[lpips]"``.

The first use downloads the weights of AlexNet from PyTorch's servers.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ensir.errors import InputError
from ensir.metrics import Metric

if TYPE_CHECKING:
    from jaxtyping import Float


class Lpips(Metric):
    """Perceptual distance of Zhang (2018), AlexNet: 0 where equal; needs `pip install 'ensir-flow[lpips]'`."""

    kind: Literal["lpips"] = "lpips"

    label: ClassVar[str] = "LPIPS"
    higher_is_better: ClassVar[bool] = False


def measure(
    target: Float[np.ndarray, "height width channel"],
    result: Float[np.ndarray, "height width channel"],
    settings: dict[str, Any],
) -> float:
    """Return the perceptual distance of Zhang et al. (2018), AlexNet: 0 where equal, lower is better.

    Parameters
    ----------
    target, result : float arrays, (height, width, channel)
        One or three channels, 0–255; values outside are clipped.
    """
    import torch

    def tensor(image: np.ndarray) -> torch.Tensor:
        channels = np.broadcast_to(image, (*image.shape[:2], 3)).transpose(2, 0, 1) / 255
        return torch.from_numpy(np.clip(channels, 0, 1).astype(np.float32))[None]

    with torch.inference_mode():
        return float(_network()(tensor(result), tensor(target)))


@cache
def _network() -> Any:
    try:
        import torchvision  # noqa: F401
        from torchmetrics.image import LearnedPerceptualImagePatchSimilarity
    except ImportError as error:
        raise InputError('metric lpips: needs pip install "ensir-flow[lpips]"') from error
    return LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
