"""LPIPS, a perceptual distance; it needs ``pip install "ensir-flow[lpips]"``.

The weights of AlexNet are a file of yours, or what PyTorch's servers send at the first use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ensir.errors import InputError
from ensir.execution import extras
from ensir.execution.devices import fix_torchvision
from ensir.metrics import WEIGHTS, Metric, check_heads, check_weights
from ensir.networks.spandrel_files import read_weights
from ensir.section import Context, Problem
from ensir.storage.digests import sha256

if TYPE_CHECKING:
    from jaxtyping import Float


ALEXNET = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
SECONDS_FOR_AN_ANSWER = 5
TORCHMETRICS = "metric lpips: needs torchmetrics", "lpips"  # and the extra that brings it


class Lpips(Metric):
    """Perceptual distance of Zhang (2018), AlexNet: 0 where equal; needs `pip install 'ensir-flow[lpips]'`."""

    kind: Literal["lpips"] = "lpips"
    alexnet: str | None = Field(
        None,
        pattern=WEIGHTS,
        title="path that ends in .pth, .pt or .safetensors",
        description="AlexNet of torchvision, trained on ImageNet (`alexnet-owt-7be5be79.pth`); without it, it is "
        "downloaded",
    )

    label: ClassVar[str] = "LPIPS"
    higher_is_better: ClassVar[bool] = False
    smallest: ClassVar[int] = 31
    traced_if_set: ClassVar[frozenset[str]] = frozenset({"alexnet"})

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that the file is there."""
        yield from super().check(context)
        yield from check_weights(context, "alexnet")

    def try_out(self) -> None:
        """Check that torchmetrics is installed, and that the file is whole, or there to be downloaded."""
        from urllib.request import Request, urlopen

        extras.check(*TORCHMETRICS, "torchmetrics", "torchvision")
        check_heads(self.alexnet)
        if not self.alexnet and not (_checkpoints() / ALEXNET.rpartition("/")[2]).is_file():
            try:
                urlopen(Request(ALEXNET, method="HEAD"), timeout=SECONDS_FOR_AN_ANSWER).close()
            except OSError as error:
                raise _not_there(error) from error

    @property
    def traced(self) -> dict[str, Any]:
        """See `Section`; the content of the file counts."""
        return {**super().traced, **({"digests": [sha256(self.alexnet)]} if self.alexnet else {})}


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
    settings : dict
        `alexnet`, the file of its weights.
    """
    import torch

    def tensor(image: np.ndarray) -> torch.Tensor:
        channels = np.broadcast_to(image, (*image.shape[:2], 3)).transpose(2, 0, 1) / 255
        return torch.from_numpy(np.clip(channels, 0, 1).astype(np.float32))[None]

    with torch.inference_mode():
        return float(_network(settings.get("alexnet"))(tensor(result), tensor(target), normalize=True))


def _checkpoints() -> Path:
    """Return the folder in which PyTorch keeps what it has downloaded."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{cache}/torch"), "hub", "checkpoints").expanduser()


def _not_there(error: OSError) -> InputError:
    return InputError(
        f"metric lpips: the weights of AlexNet cannot be downloaded ({error}); name a file that holds them: "
        "`alexnet` in a configuration, `--metric-option lpips.alexnet=FILE` of a command"
    )


@cache
def _network(alexnet: str | None) -> Any:
    """Return the network of torchmetrics, whose public class has no way to say which file holds AlexNet."""
    fix_torchvision()
    try:
        import torchvision  # noqa: F401
        from torchmetrics.functional.image.lpips import _LPIPS
    except ImportError as error:
        raise extras.lacking(*TORCHMETRICS, error) from error
    try:
        network = _LPIPS(net="alex", pnet_rand=alexnet is not None)
    except OSError as error:
        raise _not_there(error) from error
    if alexnet:
        weights, own = read_weights(alexnet), network.net.state_dict()
        try:
            # Layer 3 is features.3 in the file, and slice2.3 in the network.
            network.net.load_state_dict({name: weights[f"features{name[6:]}"] for name in own})
        except (KeyError, RuntimeError) as error:
            raise InputError(f"{alexnet}: is no AlexNet of torchvision's ({str(error).strip()})") from error
    return network
