"""What a pre-trained network sees in an image: the prior g = G(I_d) that guides a refiner.

A prior is a picture of features, of any size, or one vector for the whole image, which is a picture of one pixel.
Networks come from local files; nothing is downloaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ensir.errors import InputError
from ensir.execution import devices, extras
from ensir.networks import dae, heads, named_weights
from ensir.networks.sections import TRANSFORMERS

Images = Float[Tensor, "image 3 height width"]  # RGB, [0, 1]
Features = Float[Tensor, "image feature high wide"]

CLIP_MEAN, CLIP_DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
SMALLEST = 8  # side of the image that is used to find the number of features


class Prior:
    """G, ready to run.

    Parameters
    ----------
    settings : dict
        ``kind`` and ``spatial`` of the section `prior`, as plain data.
    files : list of str
        Files of its network; empty for ``kind: none``.
    device : "cpu" or "cuda"

    Attributes
    ----------
    channels : int
        Features of a pixel, or of the image; zero for ``kind: none``.
    identity : dict
        What identifies it, as plain data.
    """

    def __init__(self, settings: dict[str, Any], files: Sequence[str], device: str):
        kind = settings["kind"]
        self.network: Callable[[Images], Features] | None = None
        self.channels = 0
        if kind == "none":
            self.identity = heads.identity_of_prior(settings, [])
            return
        spatial = settings["spatial"]
        if kind == "clip":
            self.network = Clip(files[0], spatial, device)
        else:
            penultimate = Penultimate(files[0], device)
            self.network = (
                penultimate if spatial else lambda images: penultimate(images).mean((2, 3), keepdim=True)
            )
        self.identity = heads.identity_of_prior(settings, files)
        self.channels = self(torch.zeros(1, 3, SMALLEST, SMALLEST, device=device)).shape[1]  # type: ignore[union-attr]

    def __call__(self, images: Images) -> Features | None:
        """Return the features of images, as float32 without gradients; None for ``kind: none``."""
        if self.network is None:
            return None
        with torch.no_grad():
            return self.network(images).float()


class Penultimate:
    """Features of a restoration network: the input of its last convolution.

    Parameters
    ----------
    path : str
        A DAE, or a checkpoint that spandrel knows.
    device : "cpu" or "cuda"

    Raises
    ------
    InputError
        It enlarges, has no convolution, or cannot be read.
    """

    def __init__(self, path: str, device: str):
        self.channels, self.multiple, self.least = 3, 1, 1
        self.unit = 1.0
        if is_dae(path):
            self.network: nn.Module = dae.read(path).network
            self.unit = 255.0
        else:
            from ensir.networks import spandrel_files

            model = spandrel_files.identify(spandrel_files.read_weights(path), path)
            if model.scale != 1:
                raise InputError(
                    f"{path}: enlarges {model.scale} times; a prior must keep the size of the input"
                )
            needs = model.size_requirements
            self.multiple, self.least = needs.multiple_of, max(needs.minimum, 1)
            self.channels, self.network = model.input_channels, model.model
        self.network = self.network.to(device).eval().requires_grad_(False)
        self.layers = [layer for layer in self.network.modules() if isinstance(layer, nn.Conv2d)]
        if not self.layers:
            raise InputError(
                f"{path}: has no convolution whose features could be used; choose another network"
            )

    def __call__(self, images: Images) -> Features:
        """Return the features of images."""
        height, width = images.shape[2:]
        x = images if self.channels == 3 else images.mean(1, keepdim=True)
        spare = [
            max(math.ceil(side / self.multiple) * self.multiple, self.least) - side
            for side in (height, width)
        ]
        x = functional.pad(x * self.unit, (0, spare[1], 0, spare[0]), mode="replicate")
        seen: list[Features] = []
        hooks = [
            layer.register_forward_pre_hook(lambda _, given: seen.append(given[0])) for layer in self.layers
        ]
        try:
            self.network(x)
        finally:
            for hook in hooks:
                hook.remove()
        last = seen[-1]
        kept = [
            math.ceil(side * length / (side + more))
            for side, length, more in zip((height, width), last.shape[2:], spare, strict=True)
        ]
        return last[:, :, : kept[0], : kept[1]]


class Clip:
    """Features of CLIP's image encoder (Radford 2021): of the image, or of its patches.

    Parameters
    ----------
    file : str
        ``config.json`` of the folder of a model as transformers saves it.
    spatial : bool
        Features of the patches, instead of those of the image.
    device : "cpu" or "cuda"

    Raises
    ------
    InputError
        transformers is not installed, or the folder holds no CLIP.
    """

    def __init__(self, file: str, spatial: bool, device: str):
        folder = Path(file).parent
        devices.fix_torchvision()
        try:
            from transformers import CLIPVisionModelWithProjection
        except ImportError as error:
            raise extras.lacking(*TRANSFORMERS, error) from error
        try:
            model = CLIPVisionModelWithProjection.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{folder}: holds no CLIP that transformers can read ({reason})") from error
        self.model: nn.Module = model.eval().requires_grad_(False)
        self.model.to(device)
        self.spatial, self.side = spatial, int(model.config.to_dict()["image_size"])
        self.mean, self.deviation = (
            torch.tensor(values, device=device)[:, None, None] for values in (CLIP_MEAN, CLIP_DEVIATION)
        )

    def __call__(self, images: Images) -> Features:
        """Return the features of images, each resized to the square that CLIP takes."""
        square = functional.interpolate(
            images, (self.side, self.side), mode="bicubic", antialias=True, align_corners=False
        )
        output = self.model((square - self.mean) / self.deviation)
        if not self.spatial:
            return output.image_embeds[:, :, None, None]
        patches = output.last_hidden_state[:, 1:].transpose(1, 2)
        side = math.isqrt(patches.shape[2])
        return patches.unflatten(2, (side, side))


def is_dae(path: str) -> bool:
    """Return whether a file holds a denoising autoencoder, of ours or of the DAEP and DMSP releases."""
    if not path.endswith(".safetensors"):
        return False
    weights, metadata = named_weights.read(path)
    return "ensir" in metadata or "conv20.weight" in weights
