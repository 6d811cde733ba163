"""Files of our own networks: ``.safetensors`` whose metadata say, as JSON, what they hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensir.errors import InputError
from ensir.storage.atomic import replaced
from ensir.storage.digests import check_before_reading
from ensir.storage.failures import fix

if TYPE_CHECKING:
    from torch import Tensor, nn


def read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the named weights of a ``.safetensors`` file, and its metadata: ``ensir`` in files of ours.

    Raises
    ------
    InputError
        Missing or damaged.
    """
    with _opened(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def head(path: str | Path) -> tuple[set[str], dict[str, str]]:
    """Return the names of the weights of a ``.safetensors`` file, and its metadata, without PyTorch.

    Raises
    ------
    InputError
        Missing or damaged.
    """
    with _opened(path, "np") as file:
        return {*file.keys()}, file.metadata() or {}


@contextmanager
def _opened(path: str | Path, framework: str) -> Iterator[Any]:
    """Open a file for a library of arrays: "pt" or "np"."""
    from safetensors import SafetensorError, safe_open

    if Path(path).is_dir():
        raise InputError(f"{path}: is a folder; give the name of a file")
    check_before_reading(path)
    try:
        with safe_open(path, framework) as file:
            yield file
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, SafetensorError) as error:
        what = fix(error, "replace the file")
        raise InputError(f"{path}: cannot be read as .safetensors ({error}); {what}") from error


def write(path: Path, network: nn.Module, facts: dict[str, Any]) -> None:
    """Write the weights of a network and facts about it, as plain data, atomically."""
    from safetensors.torch import save

    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with replaced(path) as partial:
        partial.write_bytes(save(weights, {"ensir": json.dumps(facts, sort_keys=True)}))
