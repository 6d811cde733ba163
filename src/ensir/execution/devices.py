"""Where a job computes, how much memory it took, and PyTorch as it is installed."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress

from ensir.errors import InputError


def choose(device: str) -> str:
    """Return "cpu" or "cuda" for the configured "auto", "cpu" or "cuda".

    Raises
    ------
    InputError
        "cuda" where PyTorch finds no GPU.
    """
    import torch

    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise InputError("device: 'cuda', but PyTorch finds no GPU here; use 'auto' or 'cpu'")
    return ("cuda" if available else "cpu") if device == "auto" else device


def peak_memory() -> str:
    """Say how much memory the process has held at most, on the GPU too where it used one."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    held = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6:,.0f} MB"
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return held
    return f"{held}, {torch.cuda.max_memory_allocated() / 1e6:,.0f} MB of the GPU"


def fix_torchvision() -> None:
    """Let torchvision be imported, where it is there, although it was built for another PyTorch.

    Such a torchvision fails for lack of two operators that no network of ours uses; declaring them fixes it.
    """
    import torch

    try:
        with suppress(ImportError):
            import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in ("nms", "qnms"):
            torch.library.define(
                f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
