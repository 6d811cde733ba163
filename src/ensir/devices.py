"""Where a job computes, and how much memory it took."""

from __future__ import annotations

import resource
import sys

from ensir import InputError


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
