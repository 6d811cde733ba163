"""Published weights: files are read as tensors and nothing else; spandrel identifies their architecture."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensir.errors import InputError
from ensir.execution import devices
from ensir.storage import failures

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor
    from torch.nn import Module


def read_weights(path: str) -> dict[str, Any]:
    """Read the tensors of a ``.safetensors``, ``.pth``, ``.pt`` or ``.ckpt`` file.

    Raises
    ------
    InputError
        Truncated, or more than weights: such a file could execute anything, and is refused before it does.
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
            f"{path}: holds more than weights ({asked[1]}) and is refused, since loading it could execute anything; "
            "save the state_dict alone, or as .safetensors"
        ) from error
    except Exception as error:
        raise _damaged(path, error) from error
    if not isinstance(weights, dict):
        raise InputError(f"{path}: holds a {type(weights).__name__}, not named weights")
    return weights


def _damaged(path: str, error: Exception) -> InputError:
    what = failures.fix(error, "replace the file")
    return InputError(f"{path}: cannot be read as weights ({failures.reason(error)}); {what}")


def identify(weights: dict[str, Any], path: str) -> ImageModelDescriptor[Module]:
    """Identify the architecture of named weights, and load them into it.

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
            f"{path}: {model.architecture.name} does not turn one picture into another of the same kind"
        )
    return model


def import_spandrel() -> Any:
    """Import spandrel, even if the torchvision that it imports was built for another PyTorch."""
    devices.fix_torchvision()
    try:
        import spandrel
    except ImportError as error:
        raise InputError(
            f"models of `kind: checkpoint` need spandrel ({error}); pip install 'ensir-flow[pretrained]'"
        ) from error
    return spandrel
