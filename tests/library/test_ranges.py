"""Arrays in another range than the declared one, and of fewer bits: told of sets, with a warning of single pictures."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from examples import image

import ensir
from ensir.errors import InputError

X, Y = (list(values) for values in zip(*(image(seed, 12, 14) for seed in range(3)), strict=True))


@cache
def table() -> ensir.Lut:
    return ensir.fit(X, Y, method="weighted")


def weights(lut: ensir.Lut) -> np.ndarray:
    return lut.table.weights  # type: ignore[union-attr]


def test_floats_that_are_all_black_in_the_declared_range():
    with pytest.raises(InputError, match=r"y: all of its values are black in \[0, 255\]; .*, or give integ"):
        ensir.fit(X[0], Y[0] / 255, value_range=(0, 255))
    for function in (
        lambda: ensir.fit(X[0] / 255, Y[0], value_range=(0, 255)),
        lambda: ensir.score(Y[0], X[0][0] / 255, value_range=(0, 255)),
    ):
        with pytest.raises(
            InputError, match=r"x: all of its values, but not the target's, are black in .* perhaps"
        ):
            function()
    x = X[0] / 255
    with pytest.raises(InputError, match=r"y: all of its values are black in \[0, 255\]"):
        ensir.score(Y[0] / 255, x[0], value_range=(0, 255))
    with pytest.raises(InputError, match="not the target's, lie in the upper half of"):
        ensir.score(Y[0] // 8, x[0] / 2 + 0.5, value_range=(-1, 1))
    black = np.zeros_like(X[0])
    np.testing.assert_array_equal(table().fuse(black * 1.0, value_range=(0, 255)), table().fuse(black))
    np.testing.assert_array_equal(table().fuse(black + 0.3, value_range=(0, 255)), table().fuse(black))
    dark = (X[0] > 128).astype(np.uint8)
    np.testing.assert_array_equal(table().fuse(dark * 1.0, value_range=(0, 255)), table().fuse(dark))


def test_one_picture_may_be_dark_or_bright(caplog: pytest.LogCaptureFixture):
    """Without a target, there is a warning; targets are refused only where all of them are so."""
    y = [np.tile(value, (2, 2)) / 510 + 0.5 for value in Y]  # no value below the middle of [-1, 1]
    x = [np.tile(value, (2, 2)) / 510 + 0.5 for value in X]
    bright, message = (
        {"value_range": (-1, 1)},
        "all of its values lie in the upper half of [-1, 1]; they go from",
    )
    for function in (lambda: table().fuse(x[0], **bright), lambda: ensir.score(y[0], x[0], **bright)):
        caplog.clear()
        function()
        assert message in caplog.text
    for function in (lambda: ensir.score(y, x, **bright), lambda: ensir.fit(x, y, bits=8, **bright)):
        with pytest.raises(InputError, match="image 1: y: all of its values lie in the upper half"):
            function()
    caplog.clear()
    ensir.fit([*x, x[0] - 1], [*y, y[0] - 1], method="weighted", bits=8, **bright)
    table().fuse(X[0] * 0.002 / 255, value_range=(0, 1))
    assert not caplog.records
    table().fuse(X[0] / 255, value_range=(0, 255))
    assert "x: all of its values are black in [0, 255]" in caplog.text


def test_floats_that_ring_at_edges():
    edge = np.where(np.arange(14) < 7, 0.0, 1.0) + 0.055 * np.sin(np.arange(14))
    x, y = (np.broadcast_to(value, X[0].shape) for value in (edge, np.rint(edge)))
    assert (np.abs(x - 0.5) > 0.5 + 10 / 255).mean() > 0.1
    assert 20 < ensir.score(y[0], x[0], value_range=(0, 1))["psnr"] < 30
    table().fuse(x, value_range=(0, 1))


@pytest.mark.parametrize(("bits", "factor"), [(8, 1), (10, 4), (12, 16)])
def test_images_of_fewer_bits_in_16(bits: int, factor: int):
    """All of a set, unless they are declared to be of 16; a single bright one proves that all are."""
    x, y = (np.tile(value, (2, 2)) * np.uint16(factor) for value in (X[0], Y[0]))
    message = f"no value is above {x.max()}, where white is 65535; perhaps .0, {2**bits - 1}"
    for function in (
        lambda: ensir.fit([x, x], [y, y], names=list("ab")),
        lambda: ensir.score(y, x),
        lambda: ensir.select([x, x], [y, y], names=list("ab")),
    ):
        with pytest.raises(InputError, match=message if bits > 8 else r"black in|no value is above 235"):
            function()
    lut = ensir.fit(x * 1.0, y * 1.0, method="weighted", value_range=(0, 255 * factor), bits=8)
    expected = ensir.fit(*(np.tile(value, (2, 2)) for value in (X[0], Y[0])), method="weighted")
    np.testing.assert_array_equal(weights(lut), weights(expected))
    bright = [np.tile(value, (2, 2)) * np.uint16(257) for value in (X[1], Y[1])]
    if bits == 8:  # black in 16
        for function in (
            lambda: ensir.score(y * 1.0, x * 1.0, value_range=(0, 65535)),
            lambda: ensir.fit(x * 1.0, y * 1.0, value_range=(0, 65535), bits=16),
            lambda: ensir.fit(x, y, bits=16),
            lambda: ensir.score(bright[1], x),
            lambda: ensir.score([y, Y[0]], [x, X[0]]),
            lambda: ensir.fit(x, bright[1]),
        ):
            with pytest.raises(InputError, match=r"black in|no value is above 235"):
                function()
        return
    assert ensir.score(y * 1.0, x * 1.0, value_range=(0, 65535))["psnr"].min() > 45
    assert ensir.score(y, x, value_range=(0, 65535))["psnr"].min() > 45
    ensir.fit(x, y, method="weighted", bits=16)
    assert ensir.score([y, bright[1]], [x, bright[0]])["psnr"].shape == (2, 3)
    pieces = [ensir.count(*pair, method="weighted") for pair in ((x, y), bright)]
    ensir.fit(sum(pieces), method="weighted")
    with pytest.raises(InputError, match=message):
        ensir.fit(pieces[0], method="weighted")
