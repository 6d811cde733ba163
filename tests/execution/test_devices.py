"""Devices: PyTorch is loaded only where it may find a GPU."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from ensir.errors import InputError
from ensir.execution import devices


@pytest.mark.skipif(sys.platform != "linux", reason="where drivers have files is known of Linux")
def test_without_a_driver_pytorch_is_not_loaded():
    code = (
        "import sys; from ensir.execution import devices; devices.GPU_FILES = ();"
        "print(devices.choose('auto'), devices.choose('cpu'), 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["cpu", "cpu", "False"]


@pytest.mark.parametrize(("available", "chosen"), [(True, "cuda"), (False, "cpu")])
def test_where_there_is_a_driver_pytorch_decides(
    available: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(devices, "GPU_FILES", ("null",))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert devices.choose("auto") == chosen
    assert devices.choose("cpu") == "cpu"
    if not available:
        with pytest.raises(InputError, match="PyTorch finds no GPU here; use 'auto' or 'cpu'"):
            devices.choose("cuda")
