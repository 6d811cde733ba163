"""Run a network over images of any size: in overlapping pieces, with padding, in batches, with less memory if need be.

Pieces start at multiples of what the network requires, in step with its own windows, and each pixel of the result comes
from the piece in which it is farthest from an edge: no seams show if the network sees no further than half the overlap.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice, pairwise, product
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float32

from ensir.errors import InputError
from ensir.images.depth import white
from ensir.networks import pieces

if TYPE_CHECKING:
    from ensir.restorers import Degraded

Item = TypeVar("Item")
Size = tuple[int, int]  # height, width
Images = Float32[np.ndarray, "image channel height width"]  # in [0, 1], RGB order
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Network:
    """A network, ready to run, and what it requires of its inputs.

    Attributes
    ----------
    name : str
        Its file, for messages.
    run : callable
        (image, channel, height, width) float32 in [0, 1] → (image, channel, height · scale, width · scale), likewise.
    channels : int
        1 or 3: channels of the output, and of an input image.
    scale : int or None
        Size of the output over the size of the input; None where only a run can show it.
    multiple : (height, width)
        Both sides of an input are multiples of these.
    least : (height, width)
        The smallest input.
    whole : bool
        Images must be restored whole, whatever their size.
    fixed : bool
        Takes no other inputs than those of the size `least`.
    """

    name: str
    run: Callable[[Images], Images]
    channels: int
    scale: int | None = None
    multiple: Size = (1, 1)
    least: Size = (1, 1)
    whole: bool = False
    fixed: bool = False


class Runner:
    """Restores images with a network.

    Parameters
    ----------
    network : Network
    settings : dict
        ``tile``, ``overlap`` and ``batch`` of the model's section.
    """

    def __init__(self, network: Network, settings: dict[str, Any]):
        self.network, self.overlap, self.batch = network, settings["overlap"], settings["batch"]
        side = settings["tile"] or (sys.maxsize if network.whole else pieces.SIDE)
        self.tile = network.least if network.fixed else self._aligned((side, side))
        if network.fixed and not self._room(self.tile):
            self.overlap = min(self.tile) // 4
            log.info("%s: takes one size only; pieces share %d pixels", network.name, self.overlap)
        for tile, multiple in zip(self.tile, network.multiple, strict=True):
            try:
                pieces.check_room(tile, self.overlap, multiple)
            except InputError as error:
                raise InputError(f"{network.name}: {error}") from error

    def restore(self, images: Iterable[Degraded]) -> Iterator[Float32[np.ndarray, "height width channel"]]:
        """Yield the restored images, as floats in code values."""
        for stack in self.stacks(images):
            yield from self._restore(stack)

    def stacks(self, images: Iterable[Degraded]) -> Iterator[list[Degraded]]:
        """Yield runs of up to `batch` images of one shape, depth and scale."""
        for _, alike in groupby(images, key=_kind):
            yield from chunks(alike, self.batch)

    def _restore(self, stack: list[Degraded]) -> Iterator[Float32[np.ndarray, "height width channel"]]:
        """Restore images of one shape, depth and scale; grey through a colour network, colour through a grey one."""
        first, channels = stack[0], self.network.channels
        inputs = [degraded.image for degraded in stack if degraded.image is not None]
        if self.network.scale not in (None, first.scale):
            raise InputError(
                f"{self.network.name}: enlarges {self.network.scale} times, where image {first.name!r} asks for "
                f"{first.scale}; set `scale` of the dataset, or choose another network"
            )
        unit = np.float32(white(8 * inputs[0].itemsize))
        x = np.stack(inputs).transpose(0, 3, 1, 2) / unit
        given = x.shape[1]
        if given == 1:
            x = np.repeat(x, channels, axis=1)
        elif channels == 1:
            x = x.reshape(-1, 1, *x.shape[2:])
        y = self.run(x, first.scale)
        y = y.reshape(len(stack), -1, *y.shape[2:])
        if given == 1:
            y = y.mean(axis=1, keepdims=True)
        yield from y.transpose(0, 2, 3, 1) * unit

    # ── memory ───────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, x: Images, scale: int) -> Images:
        """Run the network over images; where memory runs out, again with fewer at once, then with smaller pieces."""
        while True:
            try:
                return self._in_pieces(x, scale)
            except InputError:
                raise
            except Exception as error:
                if not is_out_of_memory(error):
                    raise InputError(
                        f"{self.network.name}: failed on {x.shape[3]}×{x.shape[2]} pixels "
                        f"({type(error).__name__}: {error})"
                    ) from error
            self._spare_memory((x.shape[2], x.shape[3]))

    def _spare_memory(self, size: Size) -> None:
        gc.collect()
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.empty_cache()
        if self.batch > 1:
            self.batch = self.batch // 2
            log.warning("%s: out of memory; continuing with batches of %d", self.network.name, self.batch)
            return
        side = min(max(self.tile), max(size)) // 2
        smaller = self._aligned((side, side))
        if self.network.whole or self.network.fixed or not self._room(smaller) or smaller == self.tile:
            raise InputError(
                f"{self.network.name}: out of memory; use a smaller `tile` and `overlap`, or another device"
            )
        self.tile = smaller
        log.warning("%s: out of memory; continuing with pieces of %d pixels", self.network.name, max(smaller))

    # ── pieces ───────────────────────────────────────────────────────────────────────────────────────────────

    def _aligned(self, size: Size) -> Size:
        """Round a size down to one that the network takes."""
        height, width = map(pieces.aligned, size, self.network.multiple, self.network.least)
        return height, width

    def _room(self, tile: Size) -> bool:
        """Return whether pieces that share the overlap advance by a multiple at least."""
        return all(
            pieces.has_room(side, self.overlap, multiple)
            for side, multiple in zip(tile, self.network.multiple, strict=True)
        )

    def _in_pieces(self, x: Images, scale: int) -> Images:
        """Pad images at the lower right, restore them piece by piece, crop."""
        height, width = x.shape[2:]
        padding = [
            max(-(-side // multiple) * multiple, least) - side
            for side, multiple, least in zip(
                (height, width), self.network.multiple, self.network.least, strict=True
            )
        ]
        padded = np.pad(x, ((0, 0), (0, 0), (0, padding[0]), (0, padding[1])), mode="reflect")
        rows, columns = (
            spans(length, tile, self.overlap, multiple)
            for length, tile, multiple in zip(padded.shape[2:], self.tile, self.network.multiple, strict=True)
        )
        y = np.empty(
            (len(x), self.network.channels, *(side * scale for side in padded.shape[2:])), np.float32
        )
        for chunk in chunks(product(range(len(x)), rows, columns), self.batch):
            cut = np.stack([padded[i, :, r.start : r.stop, c.start : c.stop] for i, r, c in chunk])
            restored = self.network.run(cut)
            expected = (len(cut), self.network.channels, cut.shape[2] * scale, cut.shape[3] * scale)
            if restored.shape != expected:
                raise InputError(
                    f"{self.network.name}: makes {_sizes(restored.shape)} of {_sizes(cut.shape)}, where the "
                    f"dataset's scale of {scale} asks for {_sizes(expected)}"
                )
            for (i, r, c), piece in zip(chunk, restored, strict=True):
                y[i, :, r.first * scale : r.last * scale, c.first * scale : c.last * scale] = piece[
                    :, r.kept(scale), c.kept(scale)
                ]
        return y[:, :, : height * scale, : width * scale]


class Span(NamedTuple):
    """A run of pixels that is restored, and the part of it that is kept."""

    start: int
    stop: int
    first: int
    last: int

    def kept(self, scale: int) -> slice:
        """Return the kept part, counted from the start, at the scale of the output."""
        return slice((self.first - self.start) * scale, (self.last - self.start) * scale)


def spans(length: int, size: int, overlap: int, multiple: int) -> list[Span]:
    """Cover a length with runs of one size that start at multiples and share at least `overlap` pixels.

    Parameters
    ----------
    length, size : int
        In pixels, multiples of `multiple`.
    overlap, multiple : int
        Together no more than the size.

    Returns
    -------
    list of Span
        The kept parts cover the length once; neighbours are divided in the middle of what they share.
    """
    if length <= size:
        return [Span(0, length, 0, length)]
    step = (size - overlap) // multiple * multiple
    starts = [*range(0, length - size, step), length - size]
    cuts = [0, *((before + size + after) // 2 for before, after in pairwise(starts)), length]
    return [Span(start, start + size, *cut) for start, cut in zip(starts, pairwise(cuts), strict=True)]


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of up to `size` items."""
    items = iter(items)
    while chunk := list(islice(items, size)):
        yield chunk


def is_out_of_memory(error: Exception) -> bool:
    """Return whether PyTorch or ONNX Runtime ran out of memory, on the GPU or on the CPU."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "allocate memory" in str(error)
    )


def _kind(degraded: Degraded) -> tuple:
    assert degraded.image is not None
    return degraded.image.shape, degraded.image.dtype, degraded.scale


def _sizes(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
