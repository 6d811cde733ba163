"""Fusing tensors: the same values as arrays give."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from examples import made, pixels, seeds
from hypothesis import given, settings
from hypothesis import strategies as st

from ensir.cells.lut import LutMethod
from ensir.cells.tensor import TensorLUT, bin_of, fuse
from ensir.errors import InputError
from ensir.images import depth


@given(
    seed=seeds,
    models=st.sampled_from([2, 3, 5]),
    bits=st.sampled_from([8, 16]),
    channels=st.sampled_from(["joint", "separate"]),
    arithmetic=st.sampled_from(["released", "paper"]),
)
@settings(max_examples=20, deadline=None)
def test_tensors_and_arrays_agree(seed, models, bits, channels, arithmetic):
    lut = made(seed, models, bits, channels, arithmetic)
    x, _ = pixels(seed + 1, models, bits, size=2 * 6 * 7)
    expected = LutMethod({}, lut).fuse(x, np.float64).reshape(3, 2, 6, 7).transpose(1, 0, 2, 3)
    batch = torch.as_tensor(x.reshape(models, 3, 2, 6, 7)).transpose(1, 2)
    for dtype, close in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        table = TensorLUT(lut, dtype=dtype)
        for codes in (batch, batch.to(torch.float64)):
            fused = fuse(codes, table)
            assert fused.dtype == dtype
            np.testing.assert_allclose(fused, expected, rtol=close, atol=close * 255)


@pytest.mark.parametrize("bits", [8, 16])
def test_bins_are_exact(bits):
    codes = torch.arange(2**bits, dtype=torch.int32)
    for width in range(1, 257):
        step = width * depth.unit(bits)
        for per_step in (1 / step, torch.tensor(1 / step, dtype=torch.float32)):
            assert (bin_of(codes, per_step) == codes // step).all(), width


def test_floats_between_code_values_are_weighed_as_they_are():
    lut = made(0)
    x = torch.full((3, 1, 1, 1), 100.25, dtype=torch.float64)
    weights = LutMethod({}, lut).weights(np.full((3, 1, 1), 100, np.uint8)).sum()
    assert fuse(x, TensorLUT(lut, dtype=torch.float64)).item() == pytest.approx(100.25 * weights, rel=1e-12)


def test_tensors_that_do_not_fit():
    table = TensorLUT(made(0, channels="separate"))
    for shape in ((2, 3, 4, 4), (3, 1, 4, 4), (3, 4, 4)):
        with pytest.raises(InputError, match="does not fit a LUT of 3 models"):
            fuse(torch.zeros(shape, dtype=torch.uint8), table)


def test_a_lut_that_is_too_large():
    with pytest.raises(InputError, match="too large for tensors"):
        TensorLUT(replace(made(0), bin_width=1, models=tuple("abcd")))


def test_importing_the_package_imports_no_torch():
    code = "import sys, ensir; assert 'torch' not in sys.modules; ensir.tensor; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
