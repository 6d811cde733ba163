"""Write Zarr groups and parts: whole images, each flattened row-major, one after the other, chunk by chunk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ensir.storage import formats, packing
from ensir.storage.atomic import written
from ensir.storage.layout import Place

if TYPE_CHECKING:
    import zarr
    from jaxtyping import Shaped

CHUNK_VALUES = 2**22
DIGEST = "SHA-256 of the image's values, whatever file held them"


@contextmanager
def new_group(place: Place, attributes: dict[str, Any], size: int = 0) -> Iterator[zarr.Group]:
    """Write a Zarr group, whole or not at all: yields it empty, and consolidates its metadata at the end.

    Parameters
    ----------
    place : Place
    attributes : dict
        Attributes of the group, to which the format version is added. They must be determined by the inputs (no time,
        no host), so that a rebuild gives the same digests.
    size : int
        Estimated size in bytes.
    """
    import warnings

    import zarr

    with written(place, size) as partial:
        group = zarr.open_group(partial, mode="w", zarr_format=3)
        group.update_attributes({**attributes, "format_version": formats.version(attributes.get("kind"))})
        yield group
        with warnings.catch_warnings():
            # Consolidated metadata is not in the v3 specification yet, which is known.
            warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
            zarr.consolidate_metadata(partial)


def write_array(
    group: zarr.Group, name: str, value: Sequence | np.ndarray, dims: Sequence[str], **attributes: Any
) -> None:
    """Write a small or medium-sized array whole: checksummed, with named dimensions."""
    value = np.asarray(value)
    text = value.dtype.kind in "UOT"
    array = _create(group, name, value.shape, "string" if text else value.dtype, dims)
    array[...] = value.astype(object) if text else value
    array.update_attributes(attributes)


def _create(
    group: zarr.Group,
    name: str,
    shape: Sequence[int],
    dtype: Any,
    dims: Sequence[str],
    shuffle: Literal["bitshuffle"] | None = None,
) -> zarr.Array:
    from zarr.codecs import BloscCodec, Crc32cCodec

    chunks: tuple[int, ...]
    if dims[-1] in ("pixel", "input_pixel"):  # all channels of a pixel in one chunk
        chunks = (shape[0], _pixels_per_chunk(shape[0], shape[1]))
    else:
        row = int(np.prod(shape[1:])) or 1
        chunks = (max(1, min(shape[0], CHUNK_VALUES // row)), *(max(1, n) for n in shape[1:]))
    text = dtype == "string"
    return group.create_array(
        name,
        shape=tuple(shape),
        chunks=chunks,
        dtype=dtype,
        compressors=[
            BloscCodec(
                cname="lz4",
                clevel=5,
                shuffle=shuffle or ("noshuffle" if text or np.dtype(dtype).itemsize == 1 else "shuffle"),
            ),
            Crc32cCodec(),
        ],
        dimension_names=tuple(dims),
        config={"write_empty_chunks": True},
        fill_value="" if text else 0,
    )


def _pixels_per_chunk(channels: int, pixels: int) -> int:
    """Return the largest power of two of pixels with at most CHUNK_VALUES values, or all pixels, if there are fewer."""
    return max(1, min(pixels, 1 << ((CHUNK_VALUES // channels).bit_length() - 1)))


class PixelWriter:
    """Writes an array (channel, pixel) run by run, chunk by chunk.

    Parameters
    ----------
    group : zarr.Group
    name : str
        Name of the array.
    shape : (channel, pixel)
    dtype : numpy dtype
    meaning : str
        What its values are.
    prefix : str
        Prefix of the names of its dimensions.
    packed : bool
        The values are packed: see `ensir.storage.packing`.
    """

    def __init__(
        self,
        group: zarr.Group,
        name: str,
        shape: tuple[int, ...],
        dtype: Any,
        meaning: str,
        prefix: str = "",
        packed: bool = False,
    ):
        dims = (f"{prefix}channel", f"{prefix}pixel")
        self.array = _create(group, name, shape, dtype, dims, "bitshuffle" if packed else None)
        self.array.update_attributes({"long_name": meaning, **(packing.ATTRIBUTES if packed else {})})
        self.buffer = np.empty((shape[0], self.array.chunks[1]), self.array.dtype)
        self.filled = self.written = 0

    def append(self, value: Shaped[np.ndarray, "channel pixel"]) -> None:
        """Add the next pixels."""
        while value.shape[1]:
            count = min(value.shape[1], self.buffer.shape[1] - self.filled)
            self.buffer[:, self.filled : self.filled + count] = value[:, :count]
            self.filled += count
            value = value[:, count:]
            if self.filled == self.buffer.shape[1] or self.written + self.filled == self.array.shape[1]:
                self.array[:, self.written : self.written + self.filled] = self.buffer[:, : self.filled]
                self.written += self.filled
                self.filled = 0

    def close(self) -> None:
        """Check that all pixels have been written."""
        if self.written != self.array.shape[1]:
            raise ValueError(f"{self.written + self.filled} of {self.array.shape[1]} pixels were written")


class ImageWriter:
    """Writes a part's images, one after the other, chunk by chunk.

    Parameters
    ----------
    group : zarr.Group
    names : list of str
        Image names, in order.
    shapes : list of (height, width, channel)
        Their shapes; all with the same number of channels.
    dtype : numpy dtype
        int16: the values are float32 and in levels, and are packed; see `ensir.storage.packing`.
    prefix : str
        ``""`` for the arrays ``value, height, …``; ``"input_"`` for ``input, input_height, …``.
    """

    def __init__(
        self,
        group: zarr.Group,
        names: list[str],
        shapes: list[tuple[int, int, int]],
        dtype: Any,
        prefix: str = "",
    ):
        sizes = [height * width for height, width, _ in shapes]
        channels = shapes[0][2]
        name, meaning = ("input", "degraded input") if prefix else ("value", "value, row-major per image")
        self.packed = np.dtype(dtype) == np.int16
        self.pixels = PixelWriter(
            group, name, (channels, sum(sizes)), dtype, meaning, prefix, packed=self.packed
        )
        write_columns(group, names, shapes, prefix)
        self.group, self.prefix, self.digests = group, prefix, list[str]()

    def append(self, value: Shaped[np.ndarray, "channel pixel"]) -> None:
        """Add the next image, flattened.

        Raises
        ------
        OutOfRange
            It cannot be packed.
        """
        value = packing.pack(value) if self.packed else value
        self.digests.append(image_digest(value))
        self.pixels.append(value)

    def close(self) -> None:
        """Check that all pixels have been written, and write the digest of each image."""
        self.pixels.close()
        write_array(self.group, f"{self.prefix}digest", self.digests, ("image",), long_name=DIGEST)


def image_digest(value: Shaped[np.ndarray, "channel pixel"]) -> str:
    """Return the digest of an image, flattened, that `ImageWriter` writes."""
    header = f"{value.shape} {value.dtype} ".encode()
    return hashlib.sha256(header + np.ascontiguousarray(value).tobytes()).hexdigest()


def write_columns(
    group: zarr.Group, names: list[str], shapes: list[tuple[int, int, int]], prefix: str = ""
) -> None:
    """Write the names of a part's images, their sizes and offsets; see `ImageWriter`."""
    if not prefix:
        write_array(group, "image", names, ("image",), long_name="image name")
    pixels = [height * width for height, width, _ in shapes]
    for name, column, meaning in (
        ("height", [s[0] for s in shapes], "image height in pixels"),
        ("width", [s[1] for s in shapes], "image width in pixels"),
        ("offset", np.cumsum([0, *pixels[:-1]]), "first pixel of the image"),
    ):
        write_array(group, prefix + name, np.asarray(column, np.int64), ("image",), long_name=meaning)


def flatten(image: Shaped[np.ndarray, "height width channel"]) -> Shaped[np.ndarray, "channel pixel"]:
    """Turn an image into rows of values, one per channel."""
    return np.ascontiguousarray(image.reshape(-1, image.shape[2]).T)
