"""Record: how everything of a run was made → results/provenance.json."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

from ensir.storage import digests, origin, provenance
from ensir.storage.atomic import written
from ensir.storage.layout import Layout, Place

FORMAT_VERSION = 1
RECORDED = ("settings", "options", "settled", "parameters", "versions", "dataset_digest", "model_digests")

IMAGES = re.compile(r"(image|(input_)?(height|width|digest))/c/")  # files of a part that tell its images


def record(
    place: Place, layout: Layout, config: dict[str, Any], results: list[str], files: list[str]
) -> None:
    """Write the record of a run.

    Parameters
    ----------
    place : Place
    layout : Layout
    config : dict
        The keys of the configuration that results depend on, defaults included, as plain data.
    results : list of str
        Every result that the configuration needs and that has a digest.
    files : list of str
        The configuration's files.
    """
    everything = {
        "format_version": FORMAT_VERSION,
        "run": {
            **provenance.origin(),
            "machine": platform.platform(),
            "python": platform.python_version(),
            "packages": {one.name: one.version for one in sorted(metadata.distributions(), key=_name)},
            "config_files": list(map(provenance.from_here, files)),
            "config": config,
        },
        "results": {path: _made(path, Path(layout.digest(path))) for path in sorted(results)},
    }
    with written(place) as partial:
        partial.write_text(json.dumps(everything, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _name(distribution: metadata.Distribution) -> str:
    return distribution.name.lower()


def _made(path: str, digest: Path) -> dict[str, Any]:
    """Describe one result: the digest of its digests; where, when and with which code it was made; its attributes."""
    made = {"sha256": digests.sha256(digest), **origin.read(digest)}
    made.pop(origin.CHECKSUMS, None)
    attributes = _attributes(Path(path))
    if attributes.get("kind") in ("dataset", "prediction"):
        made["images"] = _images(digest)
    return made | {name: attributes[name] for name in RECORDED if name in attributes}


def _images(digest: Path) -> str:
    """Return a digest of the names, sizes and pixels of a part's images, wherever they were made and are stored."""
    files = digests.read(digest).items()
    lines = sorted(f"{sha}  {name}" for name, sha in files if IMAGES.match(name))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _attributes(path: Path) -> dict[str, Any]:
    """Return the attributes of a part, of a store or of a LUT."""
    if path.suffix == ".lut":
        import h5netcdf  # type: ignore[import-untyped]

        with h5netcdf.File(path, "r") as file:
            return {
                name: value.item() if hasattr(value, "item") else value for name, value in file.attrs.items()
            }
    node = path / "zarr.json" if path.is_dir() else path
    attributes: dict[str, Any] = json.loads(node.read_text(encoding="utf-8"))["attributes"]
    return attributes
