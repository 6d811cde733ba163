"""The same results on a GPU as on the CPU."""

import numpy as np
import pytest
import torch
from examples import NAMES, pixels, released, silent

from ensir import registry
from ensir.cells import statistics
from ensir.cells.counting import count
from ensir.cells.lut import LutMethod, assemble
from ensir.cells.tensor import TensorLUT, fuse

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA GPU here")
OPTIONS = released(32)


def found(device):
    cells = statistics.cells_of(count(*pixels(0, size=20_000), NAMES[:3], 32), OPTIONS).without_folds()
    module = registry.module("methods", OPTIONS["kind"])
    return cells, module.fill(cells, OPTIONS), module.estimate_weights(cells, cells, OPTIONS, device, silent)


def test_em():
    _, _, cpu = found("cpu")
    _, _, auto = found("auto")
    np.testing.assert_array_equal(auto.weights, cpu.weights)
    _, _, cuda = found("cuda")
    np.testing.assert_array_equal(cuda.status, cpu.status)
    np.testing.assert_array_equal(cuda.iterations, cpu.iterations)
    np.testing.assert_allclose(cuda.weights, cpu.weights, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("codes", [torch.uint8, torch.float32])
def test_fuse(dtype, close, codes):
    cells, fill, weights = found("cpu")
    lut = assemble(cells, weights, fill)
    x, _ = pixels(1, size=48 * 64)
    expected = LutMethod({}, lut).fuse(x, np.float64).reshape(3, 48, 64)
    batch = torch.as_tensor(x.reshape(3, 3, 48, 64), device="cuda").to(codes)
    fused = fuse(batch, TensorLUT(lut, "cuda", dtype)).cpu()
    np.testing.assert_allclose(fused, expected, rtol=close, atol=close * 255)
