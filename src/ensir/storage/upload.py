"""Upload: a sealed store → the same store at a path or URL, whole or not at all."""

from __future__ import annotations

import glob
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ensir.errors import InputError
from ensir.storage import digests
from ensir.storage.failures import reason
from ensir.storage.shared import ROOT, get, is_url, objects_at, remedy

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

    from ensir.storage.progress import Progress

AT_ONCE = 16  # objects uploaded at once, of up to 4 MB each (8 for 16 bit, 16 for fused stores)


class Uploaded(NamedTuple):
    """What was done: objects and bytes uploaded, objects that were already there, the SHA-256 of the root."""

    objects: int
    size: int
    there: int
    digest: str


def upload(store: str, location: str, progress: Progress) -> Uploaded:
    """Put a sealed store at a path or URL: its parts first, its root last.

    Every file is compared with its digest before it is uploaded. Objects that are already there, with the right size
    and content, are kept, so that an interrupted upload resumes where it stopped. Where there is a complete store
    already, this one must hold everything that it holds.

    Parameters
    ----------
    store : str
        Folder of the store.
    location : str
        Path or s3:// URL.
    progress : callable

    Raises
    ------
    InputError
        The store is not sealed, is damaged or only refers to another one, or a different one is at the location.
    """
    root = Path(store) / ROOT
    if not root.is_file():
        raise InputError(f"{store}: is no sealed store (it has no {ROOT}); run the workflow to its end first")
    digests.check_before_reading(root)
    text = root.read_bytes()
    tree = json.loads(text)
    files: dict[str, str] = tree["attributes"].get("files", {})
    for part, node in tree["consolidated_metadata"]["metadata"].items():
        if "source" in node["attributes"]:
            other = node["attributes"]["source"]["location"]
            raise InputError(f"{store}/{part}: only refers to {other}; adopt it with `fetch: true` first")
    if not files:
        raise InputError(
            f"{store}: is no sealed store of this version; make it with this version, in another folder"
        )
    objects = objects_at(location, writable=True)
    _check_growing(objects, location, files)
    there = _listed(objects, location)
    put = partial(_put, objects, location, store, files, there)
    sizes = []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for size in threads.map(put, files):
            sizes.append(size)
            progress(len(sizes), len(files))
    digest = hashlib.sha256(text).hexdigest()
    sizes.append(_put(objects, location, store, {ROOT: digest}, there, ROOT))
    if not is_url(location):
        _remove_unfinished(Path(location), [*files, ROOT])
    sent = [size for size in sizes if size]
    return Uploaded(len(sent), sum(sent), len(sizes) - len(sent), digest)


def _remove_unfinished(folder: Path, keys: list[str]) -> None:
    """Delete what a killed upload to a folder left beside its objects, under names that obstore gives."""
    for key in keys:
        path = folder / key
        for other in path.parent.glob(f"{glob.escape(path.name)}#*"):
            if other.name.removeprefix(f"{path.name}#").isdigit():
                other.unlink(missing_ok=True)


def _check_growing(objects: ObjectStore, location: str, files: dict[str, str]) -> None:
    """Raise an InputError if there is a complete store that this one does not extend."""
    try:
        text = get(objects, ROOT, location)
    except FileNotFoundError:
        return
    try:
        other = json.loads(text)["attributes"]["files"].items()
    except (ValueError, KeyError, TypeError):
        other = None  # something else of Zarr's
    if other is None or not other <= files.items():
        raise InputError(
            f"{location}: another store is there, which others may be reading; choose another location"
        )


def _listed(objects: ObjectStore, location: str) -> dict[str, ObjectMeta]:
    import obstore

    try:
        return {meta["path"]: meta for batch in obstore.list(objects) for meta in batch}
    except Exception as error:
        raise InputError(
            f"{location}: cannot be listed ({reason(error)}); {remedy(error, location)}"
        ) from error


def _put(
    objects: ObjectStore,
    location: str,
    store: str,
    files: dict[str, str],
    there: dict[str, ObjectMeta],
    key: str,
) -> int:
    """Upload one file; return its size, or 0 where it is there already."""
    path = Path(store, key)
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != files[key]:
        raise InputError(f"{path}: is damaged; `ensir verify {store}` shows more")
    if key in there and _is(objects, location, there[key], content):
        return 0
    _write(objects, location, key, content)
    return len(content)


def _is(objects: ObjectStore, location: str, meta: ObjectMeta, content: bytes) -> bool:
    """Return whether an object has this content: by its size, then by S3's MD5, else by reading it."""
    if meta["size"] != len(content):
        return False
    if (meta["e_tag"] or "").strip('"') == hashlib.md5(content, usedforsecurity=False).hexdigest():
        return True
    return get(objects, meta["path"], location) == content


def _write(objects: ObjectStore, location: str, key: str, content: bytes) -> None:
    import obstore

    try:
        obstore.put(objects, key, content, use_multipart=False)  # one request: whole or not at all
    except Exception as error:
        raise InputError(
            f"{location}/{key}: cannot be written ({reason(error)}); {remedy(error, location)}"
        ) from error
