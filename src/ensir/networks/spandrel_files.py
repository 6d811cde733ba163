"""Published weights: files are read as tensors and nothing else; spandrel identifies their architecture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensir.errors import InputError
from ensir.execution import devices, extras
from ensir.networks import heads

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor
    from torch.nn import Module

# Under which trainers keep the weights, the averaged ones before the last; and what they put before their names.
ENTRIES = (
    "params_ema",
    "ema",
    "params",
    "state_dict",
    "model_state_dict",
    "net_g",
    "netG",
    "generator",
    "model",
    "net",
)
SPANDREL = "models of `kind: checkpoint` need spandrel", "pretrained"  # and the extra that brings it
EXTRA_ARCHITECTURES = "`extra_architectures` needs another package", "extra-architectures"
PREFIXES = ("module.", "_orig_mod.", "model.", "net_g.", "netG.", "generator.", "network.", "net.")


def read_weights(path: str) -> dict[str, Any]:
    """Read the tensors of a ``.safetensors``, ``.pth``, ``.pt`` or ``.ckpt`` file.

    Raises
    ------
    InputError
        Truncated, or more than weights: such a file could execute anything, and is refused before it does.
    """
    import pickle

    import torch

    heads.check_weights(path)
    try:
        if Path(path).suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked is None:
            raise heads.damaged(path, error) from error
        raise InputError(
            f"{path}: holds more than weights ({asked[1]}) and is refused, since loading it could execute anything; "
            "save the state_dict alone, or as .safetensors"
        ) from error
    except Exception as error:
        raise heads.damaged(path, error) from error
    if not isinstance(weights, dict):
        raise InputError(f"{path}: holds a {type(weights).__name__}, not named weights")
    return weights


def identify(weights: dict[str, Any], path: str, extra: bool = False) -> ImageModelDescriptor[Module]:
    """Identify the architecture of named weights, and load them into it.

    Parameters
    ----------
    weights : dict
        What the file holds: weights, or weights among other things, as trainers save them; see `states`.
    path : str
    extra : bool
        Also try the architectures of `spandrel_extra_arches`, most of which are not free for every use.

    Raises
    ------
    InputError
        No architecture has such names, the sizes do not fit it, or it is not for whole images.
    """
    spandrel = import_spandrel()
    model, tried = None, list(states(weights))
    for registry in (spandrel.MAIN_REGISTRY, *([_extra_registry()] if extra else [])):
        for state in tried if model is None else ():
            try:
                model = registry.load(state)
                break
            except spandrel.UnsupportedModelError:
                continue
            except Exception as error:
                raise InputError(
                    f"{path}: its weights do not fit the architecture that they name ({error})"
                ) from error
    if model is None:
        held = tried[0] if tried else weights
        names = ", ".join(list(map(str, held))[:3])
        more = "" if extra else "set `extra_architectures: true` for Restormer, MPRNet and others, or "
        raise InputError(
            f"{path}: spandrel knows no architecture with these weights ({names}, …); {more}"
            "export the network and use `kind: exported`, or call it from `kind: function`"
            if tried
            else f"{path}: no weights are found among what it holds ({names}, …); save the state_dict alone"
        )
    if not isinstance(model, spandrel.ImageModelDescriptor) or model.input_channels != model.output_channels:
        raise InputError(
            f"{path}: {model.architecture.name} does not turn one picture into another of the same kind"
        )
    return model


def states(held: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what may be the weights of a network in what a trainer saved, the likeliest first.

    Weights lie in the file itself, or below one of `ENTRIES`, as of BasicSR (`params_ema`, `params`) and Lightning
    (`state_dict`). Their names may have one or more of `PREFIXES` before them; names without it are of something else,
    such as a loss, and are left out.
    """
    from torch import Tensor

    for entry in ENTRIES:
        if isinstance(held.get(entry), dict):
            yield from states(held[entry])
    if len(held) == 1 and isinstance(only := next(iter(held.values())), dict):
        yield from states(only)
    tensors = {name: value for name, value in held.items() if isinstance(value, Tensor)}
    if tensors:
        yield tensors
        for prefix in PREFIXES:
            if inner := {
                name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)
            }:
                yield from states(inner)


def _extra_registry() -> Any:
    """Return the registry of `spandrel_extra_arches`."""
    try:
        from spandrel_extra_arches import EXTRA_REGISTRY
    except ImportError as error:
        raise extras.lacking(*EXTRA_ARCHITECTURES, error) from error
    return EXTRA_REGISTRY


def import_spandrel() -> Any:
    """Import spandrel, even if the torchvision that it imports was built for another PyTorch."""
    devices.fix_torchvision()
    try:
        import spandrel
    except ImportError as error:
        raise extras.lacking(*SPANDREL, error) from error
    return spandrel
