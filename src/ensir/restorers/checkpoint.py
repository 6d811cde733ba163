"""Published weights: spandrel finds the architecture that they belong to.

Files are read as weights and nothing else: a `.pth` that asks for any other Python object is refused before
anything of it is run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32

from ensir import InputError, devices, provenance
from ensir.restorers import Degraded
from ensir.restorers.network import Images, Network, Runner

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor
    from torch import Tensor
    from torch.nn import Module


class Restorer:
    """Runs a network of spandrel's on floats in [0, 1]; see `network` for how large images are cut."""

    def __init__(self, settings: dict[str, Any], files: list[str]):
        path, precision = settings["path"], settings["precision"]
        device = devices.choose(settings["device"])
        model = identify(read_weights(path), path)
        self.parameters = {
            "architecture": " ".join([model.architecture.name, *model.tags]),
            "versions": provenance.versions("spandrel", "torch"),
        }
        self.runner = Runner(_network(model, path, precision, device), settings)

    def restore(self, images: Iterable[Degraded]) -> Iterator[Float32[np.ndarray, "height width channel"]]:
        """Yield the restored images, as floats in code values."""
        return self.runner.restore(images)


def read_weights(path: str) -> dict[str, Any]:
    """Read the tensors of a ``.safetensors``, ``.pth``, ``.pt`` or ``.ckpt`` file.

    Raises
    ------
    InputError
        Truncated, or more than weights: such a file could run anything, and is refused before it does.
    """
    import pickle

    import torch

    try:
        if Path(path).suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked is None:
            raise _damaged(path, error) from error
        raise InputError(
            f"{path}: holds more than weights ({asked[1]}) and is refused, since loading it could run anything; "
            "save the state_dict alone, or as .safetensors"
        ) from error
    except Exception as error:
        raise _damaged(path, error) from error
    if not isinstance(weights, dict):
        raise InputError(f"{path}: holds a {type(weights).__name__}, not named weights")
    return weights


def _damaged(path: str, error: Exception) -> InputError:
    reason = str(error).split(". ")[0] or type(error).__name__
    return InputError(f"{path}: cannot be read as weights ({reason}); replace the file")


def identify(weights: dict[str, Any], path: str) -> ImageModelDescriptor[Module]:
    """Find the architecture of named weights, and load them into it.

    Raises
    ------
    InputError
        No architecture of spandrel's has such names, the sizes do not fit it, or it is not for whole images.
    """
    spandrel = import_spandrel()
    weights = spandrel.canonicalize_state_dict(weights)
    try:
        model = spandrel.MAIN_REGISTRY.load(weights)
    except spandrel.UnsupportedModelError as error:
        raise InputError(
            f"{path}: spandrel knows no architecture with these weights ({', '.join(list(weights)[:3])}, …); "
            "export the network and use `kind: exported`, or call it from `kind: function`"
        ) from error
    except Exception as error:
        raise InputError(
            f"{path}: its weights do not fit the architecture that they name ({error})"
        ) from error
    if not isinstance(model, spandrel.ImageModelDescriptor) or model.input_channels != model.output_channels:
        raise InputError(
            f"{path}: {model.architecture.name} does not make one picture of one of the same kind"
        )
    return model


def import_spandrel() -> Any:
    """Import spandrel, also where the torchvision that it imports was built for another PyTorch."""
    devices.mend_torchvision()
    try:
        import spandrel
    except ImportError as error:
        raise InputError(
            f"models of `kind: checkpoint` need spandrel ({error}); pip install 'ensir-flow[pretrained]'"
        ) from error
    return spandrel


def _network(model: ImageModelDescriptor[Module], path: str, precision: str, device: str) -> Network:
    """Put a network on its device in its precision."""
    import spandrel
    import torch

    dtype = getattr(torch, precision)
    try:
        model = model.eval().to(torch.device(device), dtype)
    except spandrel.UnsupportedDtypeError as error:
        raise InputError(
            f"{path}: {model.architecture.name} does not work in {precision}; use float32"
        ) from error
    own = FORWARD.get(model.architecture.id)
    forward = partial(own, model.model) if own else model

    def run(pieces: Images) -> Images:
        with torch.inference_mode():
            return forward(torch.from_numpy(pieces).to(device, dtype)).float().cpu().numpy()

    needs = model.size_requirements
    return Network(
        name=path,
        run=run,
        channels=model.input_channels,
        scale=model.scale,
        multiple=(needs.multiple_of, needs.multiple_of),
        least=(max(needs.minimum, 1), max(needs.minimum, 1)),
        whole=model.tiling is not spandrel.ModelTiling.SUPPORTED,
    )


def _craft(
    model: Any, x: Float[Tensor, "image channel height width"]
) -> Float[Tensor, "image channel high wide"]:
    """Run CRAFT without the padding in its `forward`, which adds a whole window even where none is missing."""
    model.h, model.w = x.shape[2:]
    mean = model.mean.type_as(x)
    x = model.conv_first((x - mean) * model.img_range)
    x = model.conv_after_body(model.forward_features(x)) + x
    return (model.upsample(x) / model.img_range + mean).clamp(0, 1)


FORWARD: dict[str, Callable[..., Any]] = {"CRAFT": _craft}  # where spandrel's own is not what was published
