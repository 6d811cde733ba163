"""What the heads of files of weights tell, without the weights and without PyTorch: enough for most mistakes.

Planning asks before a run, and whoever reads the weights asks again.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ensir.errors import InputError
from ensir.networks import named_weights
from ensir.storage import digests, failures

SAFE = ".safetensors"
PUBLISHED = {f"conv{layer}.{kind}" for layer in range(1, 21) for kind in ("weight", "bias")}
NO_DAE = "holds no DAE, neither one of `ensir dae train` nor conv1 … conv20 of the DAEP and DMSP releases"
NO_REFINER = "holds no refiner of `ensir ptgrm train` or of `training`"


def check_weights(path: str) -> None:
    """Check that a ``.safetensors``, ``.pth``, ``.pt`` or ``.ckpt`` file is whole and may hold weights.

    Raises
    ------
    InputError
        Missing, truncated, or something else.
    """
    try:
        if Path(path).suffix.lower() == SAFE:
            from safetensors import safe_open

            with safe_open(path, "np"):
                return
        with open(path, "rb") as file:
            head = file.read(4)
            if head == b"PK\x03\x04":
                zipfile.ZipFile(file).close()  # its list of contents is at the end
            elif not head.startswith(b"\x80"):  # of pickles, as older versions of PyTorch write them
                what = "is empty" if not head else "is something else; the download may have failed"
                raise ValueError(f"it {what}")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except Exception as error:
        raise damaged(path, error) from error


def damaged(path: str, error: Exception) -> InputError:
    """Return what is raised where weights cannot be read."""
    what = failures.fix(error, "replace the file")
    return InputError(f"{path}: cannot be read as weights ({failures.reason(error)}); {what}")


# ── denoising autoencoders ───────────────────────────────────────────────────────────────────────────────────


def noise_of(path: str) -> float | None:
    """Return the σ of the noise that a DAE was trained for, in levels of 0–255; None where its file does not tell.

    Raises
    ------
    InputError
        The file holds no DAE.
    """
    names, metadata = named_weights.head(path)
    try:
        if "ensir" in metadata:
            facts = json.loads(metadata["ensir"])
            return float(facts["architecture"] and facts["sigma"])
        if missing := sorted(PUBLISHED - names):
            raise ValueError(f"it has no {missing[0]}")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {NO_DAE} ({error})") from error
    return None


def check_noise(weights: str, trained_for: float | None, asked: float | None) -> None:
    """Raise an InputError if weights were trained for another noise than `dae_sigma`, where both are known."""
    if trained_for is not None and asked not in (None, trained_for):
        raise InputError(
            f"{weights}: was trained for noise of σ = {trained_for:g}, where `dae_sigma` says {asked:g}; remove that, "
            "or choose other weights"
        )


# ── refiners ─────────────────────────────────────────────────────────────────────────────────────────────────


def identity_of_prior(prior: dict[str, Any], files: Sequence[str]) -> dict[str, Any]:
    """Return what identifies the prior of a refiner, as plain data: of its section, and of the files of its network."""
    kind = prior["kind"]
    if kind == "none":
        return {"kind": kind}
    return {
        "kind": "network" if kind in ("restoration", "base") else kind,
        "spatial": prior["spatial"],
        "files": [digests.sha256(file) for file in files],
    }


def check_refiner(path: str, architecture: dict[str, Any], prior: dict[str, Any]) -> None:
    """Check that a refiner was trained as it is to be used.

    Parameters
    ----------
    path : str
        File of its weights.
    architecture : dict
        ``without`` and ``plain`` of its section.
    prior : dict
        See `identity_of_prior`.

    Raises
    ------
    InputError
        It was not, or the file holds no refiner.
    """
    _, metadata = named_weights.head(path)
    try:
        facts = json.loads(metadata["ensir"])
        trained, own = facts["prior"], facts["refiner"]
        left_out, plain = sorted(own["without"]), bool(own["plain"])
    except (KeyError, TypeError, ValueError) as error:
        lacks = "its metadata lack " * isinstance(error, KeyError)
        raise InputError(f"{path}: {NO_REFINER} ({lacks}{error})") from error
    if trained != prior:
        raise InputError(f"{path}: was trained with another prior; fix `prior`, or train it again")
    if (left_out, plain) != (sorted(architecture["without"]), architecture["plain"]):
        raise InputError(
            f"{path}: was trained with `without: [{', '.join(left_out)}]`, `plain: {str(plain).lower()}`; "
            "set the same, or train it again"
        )
