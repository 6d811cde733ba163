"""Read stores: Zarr v3 hierarchies of parts, each written by one job, whole or not at all.

A part holds whole images, each flattened row-major, one after the other: ``value (channel, pixel)`` with
``image``, ``height``, ``width`` and ``offset`` (CF's contiguous ragged array). Stores of one dataset align value
by value, so that M of them stack into x (model, channel, pixel).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from ensir.errors import InputError
from ensir.storage import digests, failures, formats, packing, sources
from ensir.storage.shared import Gathered

if TYPE_CHECKING:
    import zarr
    from jaxtyping import Shaped

PixelReader = Callable[[int, int], np.ndarray]  # (start, stop) → (channel, pixel)


def open_group(path: str | Path, kind: str = "") -> zarr.Group:
    """Open a Zarr group for reading.

    Parameters
    ----------
    path : path
    kind : str
        What its attribute ``kind`` must be.

    Raises
    ------
    InputError
        Missing, damaged, of another kind or of another format version.
    """
    import zarr

    from ensir.storage.complete import CompleteStore

    chunks = digests.check_before_reading(path)
    if chunks is None and os.path.isdir(path) and not os.path.exists(os.path.join(path, "zarr.json")):
        raise InputError(f"{path}: is no LUT, fit or store, but a folder of something else; fix the path")
    try:
        store = CompleteStore(zarr.storage.LocalStore(path, read_only=True), chunks)
        group = zarr.open_group(store, mode="r")
    except Exception as error:
        raise InputError(
            f"{path}: cannot be opened ({error}); {failures.fix(error, digests.fix(path))}"
        ) from error
    version, held = group.attrs.get("format_version"), group.attrs.get("kind")
    if version != formats.version(held):
        raise InputError(
            f"{path}: has format {version}, and this version reads {formats.version(held)} only; "
            + (
                "run the workflow again, which makes it anew"
                if held == "fused"
                else "use the version that wrote it, or another results folder (--results)"
            )
        )
    if kind and held != kind:
        raise InputError(f"{path}: holds {held!r}, not {kind!r}")
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
    if failures.errno_of(error) is not None:
        return InputError(f"{what} cannot be read ({error}); {failures.fix(error, '')}")
    return InputError(f"{what} is damaged ({error}); {digests.fix(path)}")


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
    attributes : dict
    has_targets : bool
        False for a part of a dataset without targets, which holds no values but its inputs; `shapes` are those that
        predictions have.

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
        self.has_targets = self.attributes.get("targets", True)
        channels = (self.value if self.has_targets else self.array("input")).shape[0]
        self.shapes = [(*size, channels) for size in sizes]
        self.offsets = [int(offset) for offset in self.column("offset")]

    @property
    def shape(self) -> tuple[int, int]:
        """Channels and pixels of all images together."""
        return self.shapes[0][2], sum(height * width for height, width, _ in self.shapes)

    @cached_property
    def value(self) -> zarr.Array | Gathered:
        """The values, (channel, pixel); gathered from a shared store where the part only refers to one."""
        if "source" not in self.attributes:
            return self.array("value")
        sizes = zip(self.column("height").tolist(), self.column("width").tolist(), strict=True)
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
        """The dtype of the values, unpacked."""
        if not self.has_targets:
            return self.array("input").dtype
        return np.dtype(np.float32 if _is_packed(self.value) else self.value.dtype)

    @property
    def bits(self) -> int:
        """8 or 16: the depth of the values that the store holds or was made from."""
        return int(self.attributes["bits"])

    def pixels(self, start: int, stop: int) -> Shaped[np.ndarray, "channel pixel"]:
        """Read a run of pixels; two chunks are kept, so that reading the part in order decodes each chunk once."""
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

    def planes(self, index: int) -> Shaped[np.ndarray, "channel height width"]:
        """Return one image, a plane per channel."""
        height, width, channels = self.shapes[index]
        return self.rows(index).reshape(channels, height, width)

    def image(self, name: str) -> Shaped[np.ndarray, "height width channel"]:
        """Return one image by name."""
        index = self.names.index(name)
        return np.ascontiguousarray(self.rows(index).T.reshape(self.shapes[index]))

    def on_disk(self, index: int) -> ImageOnDisk:
        """Return one image, whose rows are read when they are asked for."""
        return ImageOnDisk(self, index)

    def input(self, index: int) -> Shaped[np.ndarray, "height width channel"] | None:
        """Return the degraded input of one image; None where the dataset has no inputs."""
        if "input" not in self.group:
            return None
        array = self.array("input")
        height, width, offset = (int(self.column(f"input_{n}")[index]) for n in ("height", "width", "offset"))
        rows = self._read_input(offset, offset + height * width)
        return np.ascontiguousarray(rows.T.reshape(height, width, array.shape[0]))


class ImageOnDisk:
    """An image of a part, (height, width, channel), of which no more is in memory than the rows that are asked for.

    Parameters
    ----------
    part : Part
    index : int
    """

    def __init__(self, part: Part, index: int):
        self.part, self.shape, self.dtype = part, part.shapes[index], part.dtype
        self.offset = part.offsets[index]

    def __getitem__(self, rows: slice) -> Shaped[np.ndarray, "row width channel"]:
        """Read some rows: a view of pixels that are stored channel by channel."""
        height, width, channels = self.shape
        start, stop, _ = rows.indices(height)
        pixels = self.part.pixels(self.offset + start * width, self.offset + stop * width)
        return np.moveaxis(pixels.reshape(channels, stop - start, width), 0, 2)


def pixel_reader(array: zarr.Array | Gathered, path: str) -> PixelReader:
    """Return a function that reads a run of pixels of an array (channel, pixel), unpacked, and keeps two chunks."""
    size, packed = array.chunks[1], _is_packed(array)

    @lru_cache(maxsize=2)  # rows of an image that lie in two chunks may be asked for again
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
        values = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
        return packing.unpack(values) if packed else values

    return read


def _is_packed(array: zarr.Array | Gathered) -> bool:
    """Return whether an array holds packed values; shared predictions never do."""
    return not isinstance(array, Gathered) and "scale_factor" in array.attrs


def identity(part: Part) -> dict[str, Any]:
    """Return the attributes that identify predictions for a part of a dataset, wherever they are stored."""
    return {
        "images": part.names,
        "target_digests": part.column("digest").tolist() if part.has_targets else None,
        "input_digests": part.column("input_digest").tolist() if "input_digest" in part.group else None,
    }


def known_sources(path: str) -> sources.Known | None:
    """Return the SHA-256 of the files that a part says it was made from; None where it is no part."""
    if not Path(path, "zarr.json").is_file():
        return None
    part = Part(path)
    columns = ("target_file_digest", "input_file_digest", "file_digest")
    images = [str(sha) for name in columns if name in part.group for sha in part.column(name)]
    made = part.attributes
    networks = made.get("network", made.get("parameters", {}).get("network", []))
    return sources.Known(images, [*networks, *made.get("kernel_digest", [])])


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
                "they are of different datasets, or of different states of one: name stores of one run"
            )
