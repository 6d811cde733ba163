"""The store: a Zarr v3 hierarchy of parts, each published whole or not at all, with digests.

A part holds whole images, each flattened row-major, one after the other: ``value (channel, pixel)`` with
``image``, ``height``, ``width`` and ``offset`` (CF's contiguous ragged array). Stores of one dataset align value
by value, so that M of them stack into x (model, channel, pixel).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Shaped

from ensir import InputError
from ensir.layout import Layout, Place

if TYPE_CHECKING:
    import zarr

FORMAT_VERSION = 1
CHUNK_VALUES = 2**22
TIMESTAMP = ".snakemake_timestamp"  # Snakemake's own, inside every directory output
log = logging.getLogger(__name__)


# ── publish: all or nothing ──────────────────────────────────────────────────────────────────────────────────


@contextmanager
def publish(place: Place, size: int = 0) -> Iterator[Path]:
    """Write a result under a partial name, then put it in its place with one rename.

    Holds a lock on the place meanwhile: another process that writes the same result waits. Whatever
    killed writers left behind for this place is removed. The digest file comes last.

    Parameters
    ----------
    place : Place
    size : int
        Estimated size in bytes; checked against the free space before anything is written.

    Yields
    ------
    Path
        Where to write the file or folder.

    Raises
    ------
    InputError
        Too little disk.
    """
    from filelock import FileLock, Timeout

    slug = os.path.relpath(place.path).replace("../", "").strip("/").replace("/", "~")
    place.partial.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place.partial / f"{slug}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:  # flock: the holder is alive, a dead one would have let go
        log.warning("waiting: another process is writing %s", place.path)
        lock.acquire()
    try:
        for stale in place.partial.glob(f"{slug}.*"):
            if not stale.name.endswith(".lock"):
                remove(stale)
        ensure_space(place, size)
        partial = place.partial / f"{slug}.{socket.gethostname()}.{os.getpid()}"
        try:
            yield partial
            _swap_in(partial, place)
        finally:
            remove(partial)
    finally:
        lock.release()


@contextmanager
def replaced(path: str | Path) -> Iterator[Path]:
    """Write a single file outside a results folder: under a hidden name, then with one rename in its place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        remove(partial)


def _swap_in(partial: Path, place: Place) -> None:
    text = digests(partial, name=place.path.name)
    place.path.parent.mkdir(parents=True, exist_ok=True)
    if place.digest:  # an old digest must not vouch for the new content
        place.digest.unlink(missing_ok=True)
    if place.path.is_dir():
        old = partial.with_name(f"{partial.name}.old")
        os.rename(place.path, old)
        os.rename(partial, place.path)
        remove(old)
    else:
        os.replace(partial, place.path)
    if place.digest:
        place.digest.parent.mkdir(parents=True, exist_ok=True)
        unfinished = place.partial / f"{partial.name}.sha256"
        unfinished.write_text(text)
        os.replace(unfinished, place.digest)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def ensure_space(place: Place, size: int) -> None:
    """Raise an InputError where fewer bytes are free than a result may need."""
    free = shutil.disk_usage(place.partial).free
    if size > free:
        raise InputError(
            f"{place.path}: needs up to {size / 1e6:,.1f} MB, but only {free / 1e6:,.1f} MB are free on this "
            "disk; free some space or choose another with --directory"
        )


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files(path: Path) -> list[Path]:
    """List the files below a folder that belong to the store, sorted; links are followed."""
    found = []
    for folder, _, names in os.walk(path, followlinks=True):
        found += [Path(folder) / name for name in names if name != TIMESTAMP]
    return sorted(found)


def digests(path: Path, name: str = "") -> str:
    """Return the digest of each file of a result, as ``sha256sum`` writes them, relative to the result."""
    if path.is_dir():
        return "".join(f"{sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files(path))
    return f"{sha256(path)}  {name or path.name}\n"


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
        dims = (f"{prefix}channel", f"{prefix}pixel")
        self.array = _create(group, "input" if prefix else "value", (channels, sum(sizes)), dtype, dims)
        self.array.update_attributes(
            {"long_name": "degraded input" if prefix else "value, row-major per image"}
        )
        if not prefix:
            write_array(group, "image", names, ("image",), long_name="image name")
        for name, column, meaning in (
            ("height", [s[0] for s in shapes], "image height in pixels"),
            ("width", [s[1] for s in shapes], "image width in pixels"),
            ("offset", np.cumsum([0, *sizes[:-1]]), "first pixel of the image"),
        ):
            write_array(group, prefix + name, np.asarray(column, np.int64), ("image",), long_name=meaning)
        self.group, self.prefix, self.digests = group, prefix, list[str]()
        self.expected = sum(sizes)
        self.buffer = np.empty((channels, self.array.chunks[1]), self.array.dtype)
        self.filled = self.written = 0

    def append(self, value: Shaped[np.ndarray, "channel pixel"]) -> None:
        """Add the next image, flattened."""
        header = f"{value.shape} {value.dtype} ".encode()
        self.digests.append(hashlib.sha256(header + np.ascontiguousarray(value).tobytes()).hexdigest())
        while value.shape[1]:
            count = min(value.shape[1], self.buffer.shape[1] - self.filled)
            self.buffer[:, self.filled : self.filled + count] = value[:, :count]
            self.filled += count
            value = value[:, count:]
            if self.filled == self.buffer.shape[1] or self.written + self.filled == self.expected:
                self.array[:, self.written : self.written + self.filled] = self.buffer[:, : self.filled]
                self.written += self.filled
                self.filled = 0

    def close(self) -> None:
        """Check that every announced pixel has come, and write the digest of each image."""
        if self.written != self.expected:
            raise ValueError(f"{self.written + self.filled} of {self.expected} pixels were written")
        meaning = "SHA-256 of the image's values, whatever file held them"
        write_array(self.group, f"{self.prefix}digest", self.digests, ("image",), long_name=meaning)


def flatten(image: Shaped[np.ndarray, "height width channel"]) -> Shaped[np.ndarray, "channel pixel"]:
    """Turn an image into rows of values, one per channel."""
    return np.ascontiguousarray(image.reshape(-1, image.shape[2]).T)


# ── read a part ──────────────────────────────────────────────────────────────────────────────────────────────


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
    value : zarr.Array
        (channel, pixel)
    attributes : dict

    Raises
    ------
    InputError
        Not a part, or of another format version.
    """

    def __init__(self, path: str | os.PathLike):
        import zarr

        self.path = os.fspath(path)
        try:
            self.group = zarr.open_group(self.path, mode="r")
        except (FileNotFoundError, ValueError, KeyError) as error:
            raise InputError(
                f"{self.path}: is not a part of a store ({error}); `ensir verify` tells more"
            ) from error
        self.attributes: dict[str, Any] = dict(self.group.attrs)
        version = self.attributes.get("format_version")
        if version != FORMAT_VERSION:
            raise InputError(
                f"{self.path}: has store format {version}; this version reads {FORMAT_VERSION} only"
            )
        self.value = self.array("value")
        self.names = [str(name) for name in self.column("image")]
        self.shapes = [
            (int(height), int(width), self.value.shape[0])
            for height, width in zip(self.column("height"), self.column("width"), strict=True)
        ]
        self.offsets = [int(offset) for offset in self.column("offset")]

    def array(self, name: str) -> zarr.Array:
        """Return one of the part's arrays."""
        import zarr

        array = self.group[name]
        assert isinstance(array, zarr.Array)
        return array

    def column(self, name: str) -> np.ndarray:
        """Return a per-image array, such as ``height``."""
        return np.asarray(self.array(name)[...])

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
        return self._read(self.value, self._chunk, start, stop)

    @staticmethod
    def _read(array: zarr.Array, chunk: Any, start: int, stop: int) -> np.ndarray:
        size = array.chunks[1]
        pieces = []
        for i in range(start // size, -(-stop // size)):
            pieces.append(chunk(i)[:, max(start - i * size, 0) : stop - i * size])
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)

    @cached_property
    def _chunk(self) -> Any:
        return _chunk_reader(self.value, self.path)

    @cached_property
    def _input_chunk(self) -> Any:
        return _chunk_reader(self.array("input"), self.path)

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
        rows = self._read(array, self._input_chunk, offset, offset + height * width)
        return np.ascontiguousarray(rows.T.reshape(height, width, array.shape[0]))


def _chunk_reader(array: zarr.Array, path: str) -> Any:
    """Return a function that reads a chunk; a missing one is an error, where Zarr would give zeros."""
    from zarr.core.sync import sync

    size = array.chunks[1]

    @lru_cache(maxsize=1)
    def chunk(i: int) -> np.ndarray:
        try:
            if not sync((array.store_path / array.metadata.encode_chunk_key((0, i))).exists()):
                raise FileNotFoundError("it is missing")
            return np.asarray(array[:, i * size : (i + 1) * size])
        except Exception as error:
            raise InputError(
                f"{path}/{array.basename}: chunk {i} is damaged ({error}); delete {path} and run again"
            ) from error

    return chunk


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


# ── seal and verify ──────────────────────────────────────────────────────────────────────────────────────────


def seal(place: Place, store: str, parts: list[str], layout: Layout) -> None:
    """Write the root group of a store: it names all parts, with their metadata and digests.

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
    for part in parts:
        node = json.loads(Path(store, part, "zarr.json").read_text())
        members = node.pop("consolidated_metadata")["metadata"]
        empty = {"kind": "inline", "must_understand": False, "metadata": {}}
        metadata[part] = {**node, "consolidated_metadata": empty}
        metadata |= {f"{part}/{name}": member for name, member in members.items()}
        kinds.setdefault((members["value"]["shape"][0], node["attributes"]["bits"]), part)
    if len(kinds) > 1:
        (a, one), (b, other) = list(kinds.items())[:2]
        raise InputError(
            f"{store}: part {one} has {a[0]} channels of {a[1]} bit, part {other} {b[0]} of {b[1]}; "
            "a dataset holds images of one kind: split it in two"
        )
    attributes = {
        "format_version": FORMAT_VERSION,
        "parts": parts,
        "digests": {part: sha256(layout.digest(f"{store}/{part}")) for part in parts},
    }
    root = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": attributes,
        "consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": metadata},
    }
    with publish(place) as partial:
        partial.write_text(json.dumps(root, indent=1))


def verify(path: str | Path, layout: Layout) -> Iterator[tuple[Path, list[str]]]:
    """Compare results with their digests, byte by byte.

    Parameters
    ----------
    path : path
        A results folder, a store, a part, a LUT or any folder between them.
    layout : Layout
        The results folder that holds it.

    Yields
    ------
    (Path, list of str)
        Each result found, and what is wrong with it: nothing, if the list is empty.
    """
    path = Path(path)
    for digest in sorted(files(Path(layout.root) / "digests")):
        result = layout.result_of(digest)
        if path == result or path in result.parents or result in path.parents:
            yield result, check(result, digest)


def check(result: Path, digest: Path) -> list[str]:
    """Return what differs between a result and its digest file."""
    if not result.exists():
        return ["missing"]
    expected = {name: sha for sha, name in (line.split("  ", 1) for line in digest.read_text().splitlines())}
    folder = result if result.is_dir() else result.parent
    problems = [f"{name}: missing" for name in expected if not (folder / name).is_file()]
    problems += [
        f"{n}: changed" for n, sha in expected.items() if (folder / n).is_file() and sha256(folder / n) != sha
    ]
    if result.is_dir():
        known = {folder / name for name in expected}
        problems += [f"{file.relative_to(result)}: unexpected" for file in files(result) if file not in known]
    return problems
