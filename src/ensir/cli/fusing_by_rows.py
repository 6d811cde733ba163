"""Fuse an image of plain folders some rows at a time, to the same bits as the workflow, in little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir import registry
from ensir.cells import context
from ensir.cells.filters import FilterMethod
from ensir.cells.lut import LutMethod
from ensir.images.depth import to_integers
from ensir.storage import packing

if TYPE_CHECKING:
    from jaxtyping import Float32, Shaped

    Image = Shaped[np.ndarray, "height width channel"]

PIXELS = 2**16  # that are fused at once, about
HALOS = 16  # as many rows at once as to read twice costs little


def halo_of(combiner: Any, kind: str | None) -> int | None:
    """Return on how many rows above and below a fused value depends; None: on the whole image.

    Parameters
    ----------
    combiner : Method
    kind : str or None
        The kind of the method; None for LUTs.
    """
    if isinstance(combiner, LutMethod) or (
        kind and getattr(registry.section("methods", kind), "pointwise", False)
    ):
        return 0
    return context.HALO if isinstance(combiner, FilterMethod) else None


def fused(
    combiner: Any, images: list[Image], halo: int | None, name: str, expecting: bool
) -> tuple[Image, Float32[np.ndarray, "channel height width"] | None]:
    """Fuse the predictions for one image.

    Parameters
    ----------
    combiner : Method
    images : list of (height, width, channel) arrays
        Predictions of one size and dtype, uint8 or uint16.
    halo : int or None
        See `halo_of`.
    name : str
        Name of the image, for error messages.
    expecting : bool
        Return the expected squared errors, too.

    Returns
    -------
    image : array of the predictions' shape and dtype
        Rounded and clipped, as the workflow writes it.
    errors : float32 array, or None
    """
    first = images[0]
    errors = np.empty((first.shape[2], *first.shape[:2]), np.float32) if expecting else None
    # As in the workflow, values of 8 bit are stored packed, unless one of the image cannot be.
    for packed in (True, False) if first.dtype == np.uint8 else (False,):
        result, done = np.empty_like(first), 0
        values = result.reshape(-1, first.shape[2])
        try:
            for block in _blocks(_rows(combiner, images, halo, errors)):
                stored = packing.unpack(packing.pack(block)) if packed else block
                values[done : done + block.shape[1]] = to_integers(stored.T, first.dtype, name)
                done += block.shape[1]
        except packing.OutOfRange:
            continue
        break
    return result, errors


def _rows(
    combiner: Any,
    images: list[Image],
    halo: int | None,
    errors: Float32[np.ndarray, "channel height width"] | None,
) -> Iterator[Float32[np.ndarray, "channel pixel"]]:
    """Yield some fused rows after the other, flattened; write their expected errors."""
    height, width, channels = images[0].shape
    step = height if halo is None else max(1, PIXELS // width, HALOS * halo)
    for start in range(0, height, step):
        stop = min(start + step, height)
        above, below = max(0, start - (halo or 0)), min(height, stop + (halo or 0))
        x = np.stack([np.moveaxis(image[above:below], 2, 0) for image in images])
        inner = slice(start - above, stop - above)
        if errors is None:
            values = combiner.fuse(x)
        else:
            values, expected = combiner.fuse_with_error(x)
            errors[:, start:stop] = expected[:, inner]
        yield np.ascontiguousarray(values[:, inner]).reshape(channels, -1)


def _blocks(
    pieces: Iterable[Float32[np.ndarray, "channel pixel"]],
) -> Iterator[Float32[np.ndarray, "channel pixel"]]:
    """Divide pixels anew, into blocks that begin where those of packing do."""
    left: np.ndarray | None = None
    for piece in pieces:
        together = piece if left is None else np.concatenate([left, piece], axis=1)
        whole = together.shape[1] // packing.BLOCK * packing.BLOCK
        if whole:
            yield together[:, :whole]
        left = together[:, whole:]
    if left is not None and left.shape[1]:
        yield left
