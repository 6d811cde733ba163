"""Shared stores: sealed stores at paths and URLs, of which no byte is trusted without its digest.

The root of a sealed store holds the SHA-256 of every file below it, so that its own digest vouches for the whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ensir.errors import InputError
from ensir.storage import aws, foreign
from ensir.storage.failures import fix, reason

if TYPE_CHECKING:
    import zarr
    from obstore.store import ObjectStore

    from ensir.storage.complete import CheckedStore

SCHEMES = ("s3", "http", "https")
ROOT = "zarr.json"
REMEDIES = {  # by what S3 answers
    "redirect|[Rr]egion": "fix AWS_REGION: the bucket is in another region",
    "SignatureDoesNotMatch|InvalidAccessKeyId": "fix AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "40[13] (Forbidden|Unauthorized)": "give credentials that may do so (AWS_PROFILE, or AWS_ACCESS_KEY_ID, …)",
    "SSO|[Tt]oken.*(expired|does not exist)": "type `aws sso login`",
    "404 Not Found": "fix the address, or create the bucket",
}
NOT_OURS = "use a store that this version of `ensir publish` has written"
UNREACHABLE = "check the address and that its server answers, then run again"


def is_url(location: str) -> bool:
    """Return whether a location is a URL, not a path."""
    return "://" in location


def objects_at(location: str, writable: bool = False) -> ObjectStore:
    """Return the objects below a path or URL.

    Credentials come from the environment (`AWS_*`), or else from a profile of `~/.aws`; without any, requests are not
    signed, as for public buckets.

    Raises
    ------
    InputError
        No such folder, or a URL of a kind that cannot be read from or written to.
    """
    from obstore.store import LocalStore, from_url

    if not is_url(location):
        if not (writable or os.path.isdir(location)):
            raise InputError(f"{location}: no such store; fix the path")
        return LocalStore(os.path.abspath(location), mkdir=writable)
    scheme = location.partition("://")[0]
    if scheme not in SCHEMES or (writable and scheme != "s3"):
        raise InputError(
            f"{location}: a store is {'published at' if writable else 'read from'} a path"
            f"{'' if writable else ', http(s)://'} or s3:// URL"
        )
    options: dict[str, Any] = {
        "client_options": {"allow_http": True, "connect_timeout": "10s", "timeout": "5m"},
        "retry_config": {"max_retries": 4},
    }
    if scheme == "s3":
        signing = aws.options()
        checksums = {"checksum_algorithm": "SHA256"}  # of every upload, which S3 checks
        options |= {**signing, "config": checksums | signing.get("config", {})}
    return from_url(location, **options)


def get(objects: ObjectStore, key: str, location: str, most: int = foreign.OBJECT_BYTES) -> bytes:
    """Read a whole object of up to so many bytes.

    Raises
    ------
    FileNotFoundError
        There is none.
    InputError
        It cannot be read, is larger than any that this version writes, or is no file of the store.
    """
    try:
        return foreign.read(objects, key, most)
    except FileNotFoundError:
        raise
    except foreign.NotAccepted as error:
        raise InputError(f"{location}: {error}; {NOT_OURS}") from error
    except Exception as error:
        raise InputError(
            f"{location}/{key}: cannot be read ({reason(error)}); {remedy(error, location)}"
        ) from error


def remedy(error: Exception, location: str) -> str:
    """Say how to fix that objects cannot be read, listed or written; nothing is known of what is there."""
    if not is_url(location):
        return fix(error, "check the path")
    text = str(error).partition("\n\n")[0] if location.startswith("s3://") else ""
    return next((fix for pattern, fix in REMEDIES.items() if re.search(pattern, text)), UNREACHABLE)


class SharedImage(NamedTuple):
    """An image of a store: its part, its position there, and the digests of its target and of its input, if any."""

    part: str
    position: int
    target: str
    input: str


def images_of(part: str, attributes: dict[str, Any]) -> dict[str, SharedImage]:
    """Return the images that the attributes of a part of predictions list, by name."""
    names = attributes.get("images", [])
    nothing = [""] * len(names)
    targets, inputs = (attributes.get(f"{what}_digests") or nothing for what in ("target", "input"))
    rows = zip(names, targets, inputs, strict=True)
    return {
        str(name): SharedImage(part, i, str(target), str(degraded))
        for i, (name, target, degraded) in enumerate(rows)
    }


class SharedStore:
    """A sealed store at a path or URL; only its root is read at once.

    Parameters
    ----------
    location : str
        Path or URL.
    digest : str or None
        SHA-256 that the root must have.

    Attributes
    ----------
    digest : str
        SHA-256 of the root.
    parts : list of str
    files : dict
        SHA-256 of every file of every part, by key.
    images : dict
        Every image, by name.

    Raises
    ------
    InputError
        No store, incomplete, not the one with that digest, or one that only refers to another.
    """

    def __init__(self, location: str, digest: str | None = None):
        self.location = location.rstrip("/")
        self.objects = objects_at(self.location)
        try:
            text = get(self.objects, ROOT, self.location, foreign.ROOT_BYTES)
        except FileNotFoundError:
            raise InputError(
                f"{location}: no store, or one that is not complete (it has no {ROOT}); fix the location, or "
                "publish it again: what is already there is not uploaded twice"
            ) from None
        self.digest = hashlib.sha256(text).hexdigest()
        if digest and digest != self.digest:
            raise InputError(
                f"{location}: is another store than the configuration names (its root has the SHA-256 {self.digest}, "
                f"not {digest}); fix the digest or the path"
            )
        try:
            root = json.loads(text)
            self.parts: list[str] = root["attributes"]["parts"]
            self.files: dict[str, str] = dict(root["attributes"]["files"].items())
            self.index: dict[str, Any] | None = root["attributes"].get("index")
            self.published: str | None = root["attributes"].get("published")
            metadata = root["consolidated_metadata"]["metadata"]
            self._attributes = {part: metadata[part]["attributes"] for part in self.parts}
            self.images: dict[str, SharedImage] = {}
            for part, attributes in self._attributes.items():
                self.images |= images_of(part, attributes)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{location}: is no sealed store of this version; publish one with `ensir publish`"
            ) from error
        for attributes in self._attributes.values():
            if "source" in attributes:
                third = attributes["source"]["location"]
                raise InputError(
                    f"{location}: only refers to {third}; name that, or make it with `fetch: true`"
                )

    def attributes(self, part: str) -> dict[str, Any]:
        """Return the attributes of a part."""
        return self._attributes[part]

    def columns(self, part: str, *names: str) -> list[np.ndarray]:
        """Read per-image arrays of a part, such as ``height``: a value for each of its images."""
        images = len(self._attributes[part]["images"])
        with clear_errors(self.location):
            found = []
            for name in names:
                metadata = self.metadata(part, name)
                array = array_of(self._checked, f"{part}/{name}", metadata)
                if array.shape != (images,):
                    raise ValueError(f"{part}/{name} has the shape {array.shape}, not {(images,)}")
                for key in self.chunks(part, name) if metadata["data_type"] == "string" else ():
                    foreign.check_texts(self._object(key), key, array.chunks[0])
                found.append(np.asarray(array[...]))
            return found

    def metadata(self, part: str, name: str) -> dict[str, Any]:
        """Return the metadata of an array of a part, as plain data."""
        key = f"{part}/{name}/zarr.json"
        with clear_errors(self.location):
            metadata = json.loads(self._object(key))
            foreign.check_array(metadata, f"{part}/{name}", len(self.chunks(part, name)))
            return metadata

    def _object(self, key: str) -> bytes:
        try:
            content = get(self.objects, key, self.location)
        except FileNotFoundError as error:
            raise ValueError(f"{key} is missing") from error
        if hashlib.sha256(content).hexdigest() != self.files.get(key):
            raise ValueError(f"{key} is not what was published there (its digest differs)")
        return content

    @cached_property
    def _checked(self) -> CheckedStore:
        return checked(self.location, self.files)

    def source(self, parts: Collection[str], name: str) -> dict[str, Any]:
        """Return what `Gathered` reads an array of some parts from."""
        return {
            "location": self.location,
            "arrays": {part: self.metadata(part, name) for part in parts},
            "digests": {key: sha for part in parts for key, sha in self.chunks(part, name).items()},
        }

    def chunks(self, part: str, name: str) -> dict[str, str]:
        """Return the digests of the chunks of an array of a part, by key."""
        return {key: sha for key, sha in self.files.items() if key.startswith(f"{part}/{name}/c/")}

    def problems(self, part: str) -> list[str]:
        """Read every object of a part; return what is missing or has changed."""
        problems = []
        for key, sha in self.files.items():
            if key.startswith(f"{part}/"):
                try:
                    changed = hashlib.sha256(get(self.objects, key, self.location)).hexdigest() != sha
                except FileNotFoundError:
                    problems.append(f"{key}: missing")
                else:
                    problems += [f"{key}: changed"] if changed else []
        return problems


def checked(location: str, files: dict[str, str]) -> CheckedStore:
    """Return a store for Zarr that only reads objects with these digests."""
    from zarr.storage import ObjectStore

    from ensir.storage.complete import CheckedStore

    return CheckedStore(ObjectStore(objects_at(location), read_only=True), files)


def array_of(store: CheckedStore, path: str, metadata: dict[str, Any]) -> zarr.Array:
    """Return an array of another's store whose metadata were checked."""
    import zarr
    from zarr.storage import StorePath

    try:
        return zarr.Array.from_dict(StorePath(store, path), dict(metadata))
    except Exception as error:
        raise foreign.NotAccepted(f"{path} cannot be opened: {reason(error)}") from error


@contextmanager
def clear_errors(location: str) -> Iterator[None]:
    """Report a shared store that is damaged, has changed or cannot be reached as one InputError."""
    try:
        yield
    except InputError:
        raise
    except (foreign.NotAccepted, RecursionError) as error:
        raise InputError(f"{location}: {reason(error)}; {NOT_OURS}") from error
    except ValueError as error:  # not what was published
        raise InputError(
            f"{location}: {reason(error)}; `ensir verify {location}` shows more; where another store was put in its "
            "place on purpose, move away what was adopted from it and run again"
        ) from error
    except Exception as error:
        raise InputError(
            f"{location}: cannot be read ({reason(error)}); {remedy(error, location)}"
        ) from error


class Gathered:
    """Values (channel, pixel) of images in a shared store, put one after the other as they are read.

    Parameters
    ----------
    source : dict
        `location`, the path or URL of the store; `arrays`, the metadata of the array by part; `digests`, the SHA-256 of
        its chunks by key.
    parts : list of str
        For each image, the part that holds it.
    offsets, pixels : list of int
        For each image, its first pixel there, and its number of pixels.
    basename : str
        Name of the array.

    Attributes
    ----------
    shape, dtype, chunks, size
        As of the Zarr array that it replaces.
    """

    def __init__(
        self,
        source: dict[str, Any],
        parts: Sequence[str],
        offsets: Sequence[int],
        pixels: Sequence[int],
        basename: str = "value",
    ):
        self.location, self.basename = source["location"], basename
        store = checked(self.location, source["digests"])
        with clear_errors(self.location):
            self.arrays = {}
            for part, metadata in source["arrays"].items():
                key = f"{part}/{basename}"
                listed = sum(name.startswith(f"{key}/c/") for name in source["digests"])
                foreign.check_array(metadata, key, listed)
                self.arrays[part] = array_of(store, key, metadata)
            self.images = list(zip(map(str, parts), map(int, offsets), strict=True))
            some = next(iter(self.arrays.values()))
            for (part, offset), size in zip(self.images, pixels, strict=True):
                array = self.arrays[part]
                if (array.shape[0], array.dtype) != (some.shape[0], some.dtype) or array.ndim != 2:
                    raise foreign.NotAccepted("its parts differ in channels or depth")
                if not 0 <= offset <= offset + size <= array.shape[1]:
                    raise foreign.NotAccepted(f"{part}/{basename} does not hold all images that it should")
        self.first = np.cumsum([0, *pixels])  # of each image, here
        self.dtype, self.chunks = some.dtype, some.chunks
        self.shape = (some.shape[0], int(self.first[-1]))
        self.size = self.shape[0] * self.shape[1]

    def __getitem__(self, key: tuple[slice, slice]) -> np.ndarray:
        """Read a run of pixels; each chunk of the shared store is read once, where images are in its order."""
        start, stop, _ = key[1].indices(self.shape[1])
        pixels = np.empty((self.shape[0], stop - start), self.dtype)
        for here in self._together(self._runs(start, stop)):
            part = here[0].part
            low, high = min(run.there for run in here), max(run.there + run.pixels for run in here)
            with clear_errors(self.location):
                values = np.asarray(self.arrays[part][:, low:high])
            for run in here:
                at, there = run.here - start, run.there - low
                pixels[:, at : at + run.pixels] = values[:, there : there + run.pixels]
        return pixels

    def _together(self, runs: list[_Run]) -> Iterator[list[_Run]]:
        """Yield the runs that are read at once: of one part, each less than a chunk from the one before."""
        here: list[_Run] = []
        for run in runs:
            if here and not (run.part == here[-1].part and self._follows(run, here[-1])):
                yield here
                here = []
            here.append(run)
        if here:
            yield here

    def _follows(self, run: _Run, last: _Run) -> bool:
        return abs(run.there - last.there - last.pixels) < self.chunks[1]

    def _runs(self, start: int, stop: int) -> list[_Run]:
        """Divide a run of pixels by the images that it covers."""
        first = int(np.searchsorted(self.first, start, side="right")) - 1
        runs = []
        for i in range(first, len(self.images)):
            low, high = max(start, int(self.first[i])), min(stop, int(self.first[i + 1]))
            if low >= stop:
                break
            part, offset = self.images[i]
            runs.append(_Run(part, low, offset + low - int(self.first[i]), high - low))
        return runs


class _Run(NamedTuple):
    part: str
    here: int
    there: int
    pixels: int
