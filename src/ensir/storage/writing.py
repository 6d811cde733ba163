"""Write Zarr groups and parts: whole images, each flattened row-major, one after the other, chunk by chunk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ensir.storage import formats, packing
from ensir.storage.atomic import NOTHING, written
from ensir.storage.layout import Place

if TYPE_CHECKING:
    import zarr
    from jaxtyping import Shaped

CHUNK_VALUES = 2**22
DIGEST = "SHA-256 of the image's values, whatever file held them"


@contextmanager
def new_group(
    place: Place, attributes: dict[str, Any], size: int = 0, measured: Mapping[str, Any] = NOTHING
) -> Iterator[zarr.Group]:
    """Write a Zarr group, whole or not at all: yields it empty, and consolidates its metadata at the end.

    Parameters
    ----------
    place : Place
    attributes : dict
        Attributes of the group, to which the format version is added. They must be determined by the inputs (no time,
        no host), so that a rebuild gives the same digests.
    size : int
        Estimated size in bytes.
    measured : mapping
        See `written`.
    """
    import warnings

    import zarr

    with written(place, size, measured) as partial:
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
) -> zarr.Array:
    from zarr.codecs import BloscCodec, Crc32cCodec

    chunks: tuple[int, ...]
    if not dims:
        chunks = ()
    elif dims[-1] in ("pixel", "input_pixel"):  # all channels of a pixel in one chunk
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
                shuffle="noshuffle" if text or np.dtype(dtype).itemsize == 1 else "shuffle",
            ),
            Crc32cCodec(),
        ],
        dimension_names=tuple(dims),
        config={"write_empty_chunks": True},
        fill_value="" if text else 0,
    )


def _pixels_per_chunk(channels: int, pixels: int | None) -> int:
    """Return the largest power of two of pixels with at most CHUNK_VALUES values, or all pixels, if there are fewer."""
    most = 1 << ((CHUNK_VALUES // channels).bit_length() - 1)
    return most if pixels is None else max(1, min(pixels, most))


class PixelWriter:
    """Writes an array (channel, pixel) run by run, chunk by chunk.

    Parameters
    ----------
    group : zarr.Group
    name : str
        Name of the array.
    channels : int
    pixels : int or None
        How many there will be; None: this is not known yet.
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
        channels: int,
        pixels: int | None,
        dtype: Any,
        meaning: str,
        prefix: str = "",
        packed: bool = False,
    ):
        self.pixels: int | None = pixels
        self.array: zarr.Array | None = None
        self.buffer = np.empty((channels, _pixels_per_chunk(channels, pixels)), dtype)
        self.filled = self.written = 0

        def create(size: int) -> zarr.Array:
            dims = (f"{prefix}channel", f"{prefix}pixel")
            array = _create(group, name, (channels, size), dtype, dims)
            array.update_attributes({"long_name": meaning, **(packing.ATTRIBUTES if packed else {})})
            return array

        self._create = create

    def append(self, value: Shaped[np.ndarray, "channel pixel"]) -> None:
        """Add the next pixels."""
        while value.shape[1]:
            if self.filled == self.buffer.shape[1]:
                self._write()
            count = min(value.shape[1], self.buffer.shape[1] - self.filled)
            self.buffer[:, self.filled : self.filled + count] = value[:, :count]
            self.filled += count
            value = value[:, count:]

    def _write(self) -> None:
        """Write what has been gathered: a chunk, or the last pixels of all."""
        start, stop = self.written, self.written + self.filled
        if self.array is None:
            self.array = self._create(self.pixels or stop)
        elif self.pixels is None:
            self.array.resize((len(self.buffer), stop))
        self.array[:, start:stop] = self.buffer[:, : self.filled]
        self.written, self.filled = stop, 0

    def close(self) -> None:
        """Write the last pixels, and check that none is missing."""
        if self.pixels not in (None, self.written + self.filled):
            raise ValueError(f"{self.written + self.filled} of {self.pixels} pixels were written")
        self._write()


class ImageWriter:
    """Writes a part's images, one after the other, chunk by chunk.

    Parameters
    ----------
    group : zarr.Group
    names : list of str
        Image names, in order.
    shapes : list of (height, width, channel), or int
        Their shapes; all with the same number of channels. Where sizes are not known yet, that number.
    dtype : numpy dtype
        int16: the values are float32 and in levels, and are packed; see `ensir.storage.packing`.
    prefix : str
        ``""`` for the arrays ``value, height, …``; ``"input_"`` for ``input, input_height, …``.
    """

    def __init__(
        self,
        group: zarr.Group,
        names: list[str],
        shapes: list[tuple[int, int, int]] | int,
        dtype: Any,
        prefix: str = "",
    ):
        name, meaning = ("input", "degraded input") if prefix else ("value", "value, row-major per image")
        self.group, self.prefix, self.names = group, prefix, names
        self.dtype, self.packed = np.dtype(dtype), np.dtype(dtype) == np.int16
        self.shapes = [] if isinstance(shapes, int) else shapes
        channels = shapes if isinstance(shapes, int) else shapes[0][2]
        pixels = sum(height * width for height, width, _ in self.shapes) or None
        self.pixels = PixelWriter(group, name, channels, pixels, dtype, meaning, prefix, self.packed)
        self.digests, self.unfinished = list[str](), 0

    def append(self, value: Shaped[np.ndarray, "channel pixel"]) -> None:
        """Add the next image, flattened, or a run of its pixels.

        Raises
        ------
        OutOfRange
            It cannot be packed.
        """
        if not self.unfinished:
            height, width, channels = self.shapes[len(self.digests)]
            self.unfinished = height * width
            self.digest = hashlib.sha256(f"{(channels, self.unfinished)} {self.dtype} ".encode())
        value = packing.pack(value) if self.packed else np.ascontiguousarray(value, self.dtype)
        self.digest.update(value.data)
        self.pixels.append(value)
        self.unfinished -= value.shape[1]
        if not self.unfinished:
            self.digests.append(self.digest.hexdigest())

    def append_image(self, image: Shaped[np.ndarray, "height width channel"]) -> None:
        """Add the next image, where sizes are not known beforehand."""
        height, width, channels = image.shape
        self.shapes.append((height, width, channels))
        self.append(flatten(image))

    def close(self) -> None:
        """Check that all pixels have been written, and write names, sizes and the digest of each image."""
        self.pixels.close()
        write_columns(self.group, self.names, self.shapes, self.prefix)
        write_array(self.group, f"{self.prefix}digest", self.digests, ("image",), long_name=DIGEST)


def image_digest(value: Shaped[np.ndarray, "channel pixel"]) -> str:
    """Return the digest of an image, flattened, that `ImageWriter` writes where it gets the image as one run."""
    digest = hashlib.sha256(f"{value.shape} {value.dtype} ".encode())
    digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()


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
