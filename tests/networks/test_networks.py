"""Running networks: pieces, padding, channels, lack of memory; arrays and their ranges."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ensir import restorers
from ensir.datasets.photos import photograph
from ensir.errors import InputError
from ensir.networks.runner import Network, Runner, spans
from ensir.stages.predict import ahead

SETTINGS = {"tile": None, "overlap": 64, "batch": 1}


def degraded(image: np.ndarray, scale: int = 1, name: str = "x") -> restorers.Degraded:
    shape = (image.shape[0] * scale, image.shape[1] * scale, image.shape[2])
    return restorers.Degraded(name, image, shape, image.dtype.itemsize * 8, scale, None)


def local_network(channels: int = 3, scale: int = 1, **contract: Any) -> Network:
    """Six convolutions with random weights, zero-padded: a pixel depends on those up to 6 away."""
    torch.manual_seed(0)
    wide = [torch.nn.Conv2d(channels if i == 0 else 8, 8, 3, padding=1) for i in range(5)]
    last = torch.nn.Conv2d(8, channels * scale**2, 3, padding=1)
    layers = [layer for convolution in wide for layer in (convolution, torch.nn.ReLU())]
    net = torch.nn.Sequential(*layers, last, torch.nn.PixelShuffle(scale), torch.nn.Sigmoid()).eval()

    @torch.inference_mode()
    def run(x: np.ndarray) -> np.ndarray:
        return net(torch.from_numpy(x)).numpy()

    return Network("net.pth", run, channels, scale, **contract)


def restore(network: Network, *images: np.ndarray, scale: int = 1, **settings: Any) -> list[np.ndarray]:
    runner = Runner(network, {**SETTINGS, **settings})
    return list(runner.restore(degraded(image, scale) for image in images))


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 60), st.sampled_from([1, 2, 8]))
def test_spans_cover_once(length: int, size: int, overlap: int, multiple: int):
    length, size = length * multiple, size * multiple
    overlap = min(overlap, size - multiple)
    found = spans(length, size, overlap, multiple)
    kept = [pixel for span in found for pixel in range(span.first, span.last)]
    assert kept == list(range(length))
    for span in found:
        assert 0 <= span.start <= span.first < span.last <= span.stop <= length
        assert span.start % multiple == 0
        assert span.stop - span.start == min(size, length)
    for one, other in pairwise(found):
        assert one.stop - other.start >= overlap


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("contract", [{}, {"multiple": (8, 8), "least": (16, 16)}])
@pytest.mark.parametrize("batch", [1, 3])
def test_tiled_is_whole(scale: int, contract: dict[str, Any], batch: int):
    network = local_network(scale=scale, **contract)
    image = photograph("chelsea", 200)[:150]
    (whole,) = restore(network, image, scale=scale)
    (tiled,) = restore(network, image, scale=scale, tile=64, overlap=24, batch=batch)
    assert whole.shape == (150 * scale, 200 * scale, 3)
    np.testing.assert_allclose(tiled, whole, atol=1e-3)


def test_images_of_one_size_go_together():
    network, sizes = local_network(), []

    def run(x: np.ndarray) -> np.ndarray:
        sizes.append(len(x))
        return network.run(x)

    images = [photograph("chelsea", size) for size in (32, 32, 32, 48)]
    together = restore(Network("net.pth", run, 3), *images, batch=2)
    assert sizes == [2, 1, 1]
    for one, image in zip(together, images, strict=True):
        np.testing.assert_allclose(one, *restore(network, image), atol=1e-3)


def test_less_memory(caplog: pytest.LogCaptureFixture):
    network = local_network()

    def run(x: np.ndarray) -> np.ndarray:
        if x[:, 0].size > 64 * 64:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return network.run(x)

    scarce = Network("net.pth", run, 3)
    images = [photograph("chelsea", 150)] * 2
    whole = restore(network, *images)
    for one, other in zip(restore(scarce, *images, batch=2, overlap=24), whole, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    assert [record.message for record in caplog.records] == [
        "net.pth: out of memory; continuing with batches of 1",
        "net.pth: out of memory; continuing with pieces of 75 pixels",
        "net.pth: out of memory; continuing with pieces of 37 pixels",
    ]
    with pytest.raises(InputError, match="out of memory; use a smaller `tile`"):
        restore(scarce, *images, overlap=64)


def test_pieces_get_on():
    """A program of one size shares less than it is asked to, where nothing would be left; others tell."""
    network, passes = local_network(), []

    def run(x: np.ndarray) -> np.ndarray:
        passes.append(len(x))
        return network.run(x)

    image = photograph("chelsea", 160)
    fixed = Network("net.pt2", run, 3, least=(64, 64), fixed=True)
    (pieces,) = restore(fixed, image, overlap=64)
    assert sum(passes) == 9  # 3 × 3; with a step of one pixel they were thousands
    np.testing.assert_allclose(pieces, *restore(network, image), atol=1e-3)
    with pytest.raises(
        InputError, match=r"pieces of 64 pixels, .* multiples of 8, cannot share 64; enlarge `tile`"
    ):
        restore(local_network(multiple=(8, 8)), image, tile=68, overlap=64)


def test_grey_and_colour_meet():
    colour, grey = local_network(3), local_network(1)
    image = photograph("chelsea", 32)
    by_channel = np.concatenate([restore(grey, image[..., c : c + 1])[0] for c in range(3)], axis=2)
    np.testing.assert_allclose(restore(grey, image)[0], by_channel, atol=1e-3)
    thrice = restore(colour, np.repeat(image[..., :1], 3, axis=2))[0]
    np.testing.assert_allclose(restore(colour, image[..., :1])[0][..., 0], thrice.mean(axis=2), atol=1e-3)


def test_sixteen_bits():
    network, image = local_network(), photograph("chelsea", 32)
    (eight,), (sixteen,) = restore(network, image), restore(network, image.astype(np.uint16) * 257)
    np.testing.assert_allclose(sixteen / 257, eight, atol=1e-3)


def test_the_wrong_scale_and_failures_are_named():
    image = photograph("chelsea", 32)
    with pytest.raises(InputError, match=r"net.pth: enlarges 1 times, where image 'x' asks for 2"):
        restore(local_network(), image, scale=2)
    with pytest.raises(
        InputError, match="makes 1×3×32×32 of 1×3×32×32, where the dataset's scale of 2 asks for"
    ):
        restore(Network("net.pth", lambda x: x, 3), image, scale=2)

    def run(x: np.ndarray) -> np.ndarray:
        raise RuntimeError("no luck")

    with pytest.raises(InputError, match=r"net.pth: failed on 32×32 pixels \(RuntimeError: no luck\)"):
        restore(Network("net.pth", run, 3), image)


def test_ahead():
    made: list[int] = []
    items = ahead(made.append(i) or i for i in range(4))
    assert next(items) == 0
    assert list(items) == [1, 2, 3]
    assert made == [0, 1, 2, 3]
    with pytest.raises(ZeroDivisionError):
        list(ahead(1 // i for i in (1, 0)))
