"""The store: a Zarr v3 hierarchy of parts, each written by one job and published whole.

A part holds whole images, each flattened row-major, one after the other: ``value (channel, pixel)`` with
``image``, ``height``, ``width`` and ``offset`` (CF's contiguous ragged array). Stores of one dataset align value
by value, so that M of them stack into x (model, channel, pixel).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped

from ensir import InputError, digests
from ensir.layout import Layout, Place
from ensir.publish import publish
from ensir.shared import Gathered

if TYPE_CHECKING:
    import zarr

PixelReader = Callable[[int, int], np.ndarray]  # (start, stop) → (channel, pixel)
FORMAT_VERSION = 1
CHUNK_VALUES = 2**22
DIGEST = "SHA-256 of the image's values, whatever file held them"


# ── write a part ─────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def new_group(place: Place, attributes: dict[str, Any], size: int = 0) -> Iterator[zarr.Group]:
    """Publish a Zarr group: yields it empty, and consolidates its metadata at the end.

    Parameters
    ----------
    place : Place
    attributes : dict
        Attributes of the group; the format version is added. Only what the inputs determine may stand
        here (no time, no host), so that a rebuild gives the same digests.
    size : int
        Estimated size in bytes.
    """
    import warnings

    import zarr

    with publish(place, size) as partial:
        group = zarr.open_group(partial, mode="w", zarr_format=3)
        group.update_attributes({**attributes, "format_version": FORMAT_VERSION})
        yield group
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", zarr.errors.ZarrUserWarning
            )  # not in the v3 specification yet: known
            zarr.consolidate_metadata(partial)


def write_array(
    group: zarr.Group, name: str, value: Sequence | np.ndarray, dims: Sequence[str], **attributes: Any
) -> None:
    """Write a small or middling array whole: checksummed, with named dimensions."""
    value = np.asarray(value)
    text = value.dtype.kind in "UOT"
    array = _create(group, name, value.shape, "string" if text else value.dtype, dims)
    array[...] = value.astype(object) if text else value
    array.update_attributes(attributes)


def _create(
    group: zarr.Group, name: str, shape: Sequence[int], dtype: Any, dims: Sequence[str]
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
                shuffle="noshuffle" if text or np.dtype(dtype).itemsize == 1 else "shuffle",
            ),
            Crc32cCodec(),
        ],
        dimension_names=tuple(dims),
        config={"write_empty_chunks": True},
        fill_value="" if text else 0,
    )


def _pixels_per_chunk(channels: int, pixels: int) -> int:
    """Return the largest power of two of pixels with no more than CHUNK_VALUES values, or all pixels if fewer."""
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
        Of the names of its dimensions.
    """

    def __init__(
        self, group: zarr.Group, name: str, shape: tuple[int, ...], dtype: Any, meaning: str, prefix: str = ""
    ):
        self.array = _create(group, name, shape, dtype, (f"{prefix}channel", f"{prefix}pixel"))
        self.array.update_attributes({"long_name": meaning})
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
        """Check that every announced pixel has come."""
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
        self.pixels = PixelWriter(group, name, (channels, sum(sizes)), dtype, meaning, prefix)
        write_columns(group, names, shapes, prefix)
        self.group, self.prefix, self.digests = group, prefix, list[str]()

    def append(self, value: Shaped[np.ndarray, "channel pixel"]) -> None:
        """Add the next image, flattened."""
        header = f"{value.shape} {value.dtype} ".encode()
        self.digests.append(hashlib.sha256(header + np.ascontiguousarray(value).tobytes()).hexdigest())
        self.pixels.append(value)

    def close(self) -> None:
        """Check that every announced pixel has come, and write the digest of each image."""
        self.pixels.close()
        write_array(self.group, f"{self.prefix}digest", self.digests, ("image",), long_name=DIGEST)


def write_columns(
    group: zarr.Group, names: list[str], shapes: list[tuple[int, int, int]], prefix: str = ""
) -> None:
    """Write the names of a part's images, and where each lies; see `ImageWriter`."""
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


# ── read ─────────────────────────────────────────────────────────────────────────────────────────────────────


def open_group(path: str | Path, kind: str = "") -> zarr.Group:
    """Open a Zarr group that was published, for reading.

    Parameters
    ----------
    path : path
    kind : str
        What it must be, as its attribute ``kind`` says.

    Raises
    ------
    InputError
        Missing, damaged, of another kind or of another format version.
    """
    import zarr

    from ensir.complete import CompleteStore

    digests.check_before_reading(path)
    try:
        group = zarr.open_group(CompleteStore(zarr.storage.LocalStore(path, read_only=True)), mode="r")
    except Exception as error:
        raise InputError(
            f"{path}: cannot be opened ({error}); `ensir verify` tells more; delete it and run again"
        ) from error
    version, found = group.attrs.get("format_version"), group.attrs.get("kind")
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: has format {version}, and this version reads {FORMAT_VERSION} only; "
            "delete it and run again, or use the version that wrote it"
        )
    if kind and found != kind:
        raise InputError(f"{path}: holds {found!r}, not {kind!r}")
    return group


def read_arrays(group: zarr.Group, path: str | Path) -> dict[str, np.ndarray]:
    """Read all arrays of a group.

    Raises
    ------
    InputError
        A chunk is missing or fails its checksum.
    """
    return {name: _read_whole(array, path) for name, array in group.arrays()}


def _read_whole(array: zarr.Array, path: str | Path) -> np.ndarray:
    try:
        return np.asarray(array[...])
    except Exception as error:
        raise _damaged(f"{path}/{array.basename}", error, path) from error


def _damaged(what: str, error: Exception, path: str | Path) -> InputError:
    return InputError(f"{what} is damaged ({error}); delete {path} and run again")


class Part:
    """A part of a dataset, prediction or fused store, open for reading.

    Parameters
    ----------
    path : path
        The part's folder.

    Attributes
    ----------
    names : list of str
        Image names.
    shapes : list of (height, width, channel)
    value : zarr.Array or Gathered
        (channel, pixel); gathered from a shared store, where the part only refers to one.
    attributes : dict

    Raises
    ------
    InputError
        Not a part, or of another format version.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)
        self.group = open_group(self.path)
        self.attributes: dict[str, Any] = dict(self.group.attrs)
        self.names = [str(name) for name in self.column("image")]
        sizes = [(int(h), int(w)) for h, w in zip(self.column("height"), self.column("width"), strict=True)]
        self.value = self._referred(sizes) if "source" in self.attributes else self.array("value")
        self.shapes = [(*size, self.value.shape[0]) for size in sizes]
        self.offsets = [int(offset) for offset in self.column("offset")]

    def _referred(self, sizes: list[tuple[int, int]]) -> Gathered:
        return Gathered(
            self.attributes["source"],
            self.column("source_part").tolist(),
            self.column("source_offset").tolist(),
            [height * width for height, width in sizes],
        )

    def array(self, name: str) -> zarr.Array:
        """Return one of the part's arrays."""
        import zarr

        array = self.group[name]
        assert isinstance(array, zarr.Array)
        return array

    def column(self, name: str) -> np.ndarray:
        """Return a per-image array, such as ``height``."""
        return _read_whole(self.array(name), self.path)

    @cached_property
    def dtype(self) -> np.dtype:
        """The dtype of the values."""
        return np.dtype(self.value.dtype)

    @property
    def bits(self) -> int:
        """8 or 16: the depth of the values that the store holds or was made from."""
        return int(self.attributes["bits"])

    def pixels(self, start: int, stop: int) -> Shaped[np.ndarray, "channel pixel"]:
        """Read a run of pixels; the last chunk is kept, so that a walk along the part decodes each chunk once."""
        return self._read(start, stop)

    @cached_property
    def _read(self) -> PixelReader:
        return pixel_reader(self.value, self.path)

    @cached_property
    def _read_input(self) -> PixelReader:
        return pixel_reader(self.array("input"), self.path)

    def rows(self, index: int) -> Shaped[np.ndarray, "channel pixel"]:
        """Return one image, flattened."""
        height, width, _ = self.shapes[index]
        return self.pixels(self.offsets[index], self.offsets[index] + height * width)

    def image(self, name: str) -> Shaped[np.ndarray, "height width channel"]:
        """Return one image by name."""
        index = self.names.index(name)
        return np.ascontiguousarray(self.rows(index).T.reshape(self.shapes[index]))

    def input(self, index: int) -> Shaped[np.ndarray, "height width channel"] | None:
        """Return the degraded input of one image; None where the dataset has no inputs."""
        if "input" not in self.group:
            return None
        array = self.array("input")
        height, width, offset = (int(self.column(f"input_{n}")[index]) for n in ("height", "width", "offset"))
        rows = self._read_input(offset, offset + height * width)
        return np.ascontiguousarray(rows.T.reshape(height, width, array.shape[0]))


def pixel_reader(array: zarr.Array | Gathered, path: str) -> PixelReader:
    """Return a function that reads a run of pixels of an array (channel, pixel), and keeps the last chunk."""
    size = array.chunks[1]

    @lru_cache(maxsize=1)
    def chunk(i: int) -> np.ndarray:
        try:
            return np.asarray(array[:, i * size : (i + 1) * size])
        except InputError:
            raise
        except Exception as error:
            raise _damaged(f"{path}/{array.basename}: chunk {i}", error, path) from error

    def read(start: int, stop: int) -> np.ndarray:
        pieces = []
        for i in range(start // size, -(-stop // size)):
            pieces.append(chunk(i)[:, max(start - i * size, 0) : stop - i * size])
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)

    return read


def identity(part: Part) -> dict[str, Any]:
    """Return the attributes by which predictions for a part of a dataset are known again, wherever they lie."""
    return {
        "images": part.names,
        "target_digests": part.column("digest").tolist(),
        "input_digests": part.column("input_digest").tolist() if "input_digest" in part.group else None,
    }


@runtime_checkable
class ChecksPart(Protocol):
    """A model or method that may not be used on every image."""

    def check(self, part: Part) -> None:
        """Raise an InputError where it may not be used on a part of a dataset."""
        ...


def aligned(parts: Sequence[Part]) -> None:
    """Check that parts of several stores hold the same images at the same places.

    Raises
    ------
    InputError
        Names the first two parts that differ.
    """
    first = parts[0]
    for other in parts[1:]:
        if (other.names, other.shapes, other.bits) != (first.names, first.shapes, first.bits):
            raise InputError(
                f"{other.path}: its images differ from those of {first.path} in name, size or depth; "
                "delete the older one and run again"
            )


# ── seal ──────────────────────────────────────────────────────────────────────────────────────────────────────


def seal(place: Place, store: str, parts: list[str], layout: Layout) -> None:
    """Write the root group of a store: it names all parts, with their metadata and the digests of all their files.

    Parameters
    ----------
    place : Place
        The store's ``zarr.json``.
    store : str
        The store's folder.
    parts : list of str
        Names of its parts, all complete.
    layout : Layout

    Raises
    ------
    InputError
        Parts of one store differ in channels or depth (grey and RGB images mixed, 8 and 16 bit).
    """
    metadata: dict[str, Any] = {}
    kinds: dict[tuple, str] = {}
    files: dict[str, str] = {}
    for part in parts:
        written = digests.read(layout.digest(f"{store}/{part}"))
        files |= {f"{part}/{name}": sha for name, sha in written.items()}
        node = json.loads(Path(store, part, "zarr.json").read_text())
        members = node.pop("consolidated_metadata")["metadata"]
        empty = {"kind": "inline", "must_understand": False, "metadata": {}}
        metadata[part] = {**node, "consolidated_metadata": empty}
        metadata |= {f"{part}/{name}": member for name, member in members.items()}
        if "value" in members:  # not where the part refers to another store
            kinds.setdefault((members["value"]["shape"][0], node["attributes"]["bits"]), part)
    if len(kinds) > 1:
        (a, one), (b, other) = list(kinds.items())[:2]
        raise InputError(
            f"{store}: part {one} has {a[0]} channels of {a[1]} bit, part {other} {b[0]} of {b[1]}; "
            "a dataset holds images of one kind: split it in two"
        )
    attributes = {"format_version": FORMAT_VERSION, "parts": parts, "files": files}
    root = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": attributes,
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": metadata},
    }
    with publish(place) as partial:
        partial.write_text(json.dumps(root, indent=1))
