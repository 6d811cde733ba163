"""LPIPS, the example of a metric of one's own; it needs ``pip install "ensir-flow[lpips]"``.

In the configuration::

    score:
      metrics:
        psnr: {}
        lpips: {function: "ensir.perceptual:lpips", higher_is_better: false}

The first use downloads the weights of AlexNet from PyTorch's servers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float

from ensir import InputError


def lpips(
    target: Float[np.ndarray, "height width channel"], result: Float[np.ndarray, "height width channel"]
) -> float:
    """Return the perceptual distance of Zhang et al. (2018), AlexNet: 0 where equal, lower is better.

    Parameters
    ----------
    target, result : float arrays, (height, width, channel)
        One or three channels, 0–255; what is beyond is clipped.
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
