"""Devices: where a job computes, how much memory it has used, and a fix for how torchvision may be installed."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path

from ensir.errors import InputError

# Drivers of Nvidia's GPUs, AMD's, and those of Windows.
GPU_FILES = ("nvidia*", "nvhost*", "nvmap", "kfd", "dxg")


def choose(device: str) -> str:
    """Return "cpu" or "cuda" for the configured "auto", "cpu" or "cuda".

    Raises
    ------
    InputError
        "cuda" where PyTorch finds no GPU.
    """
    available = device != "cpu" and _gpu_answers()
    if device == "cuda" and not available:
        raise InputError("device: 'cuda', but PyTorch finds no GPU here; use 'auto' or 'cpu'")
    return ("cuda" if available else "cpu") if device == "auto" else device


def for_network(device: str) -> str:
    """Return "cpu" or "cuda", as `choose` does; a network in float32 is in float32 on a GPU, too.

    PyTorch lets convolutions on a GPU round what they multiply to TF32, of 10 bits: 1 to 3 % of the code values that
    DnCNN and CRAFT predict were others.
    """
    chosen = choose(device)
    if chosen == "cuda":
        import torch

        torch.backends.cudnn.allow_tf32 = False
    return chosen


def _gpu_answers() -> bool:
    """Return whether PyTorch finds a GPU; PyTorch, slow to load, is not asked where there can be none."""
    if sys.platform == "linux" and not any(next(Path("/dev").glob(name), None) for name in GPU_FILES):
        return False
    import torch

    return torch.cuda.is_available()


def peak_memory() -> str:
    """Return the peak memory of the process as text, and that of the GPU where it used one."""
    held = f"{_peak_bytes() / 1e6:,.0f} MB"
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return held
    return f"{held}, {torch.cuda.max_memory_allocated() / 1e6:,.0f} MB of the GPU"


def _peak_bytes() -> int:
    """Return the peak memory of the process, without that of the one which it was forked from, where this is known."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def fix_torchvision() -> None:
    """Make torchvision, where it is installed, importable even if it was built for another PyTorch.

    Such a torchvision lacks two operators, which none of our networks uses; declaring them fixes the import.
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
