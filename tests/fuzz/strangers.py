"""Cases of strangers' files: shared stores whose digests are all right, and HDF5 files that reach for others."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from contextlib import chdir
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "storage"))
import test_shared_datasets
from test_shared import NAMES, Side, silent

from ensir.errors import InputError
from ensir.images import image_files
from ensir.storage.upload import upload

Damage = Callable[[bytes, np.random.Generator], bytes]
RUBBISH: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1e308, "", "x", "../../x", "/etc/passwd", "\x1b[31m\n", [], {}, [[]], [-1],
    [0], [10**12], [3, 10**12], ["x"] * 9, {"x": 1}, {"name": "gzip"}, [{"name": "gzip"}], {"name": "regular"},
]  # fmt: skip


@cache
def published(folder: Path) -> dict[str, bytes]:
    """Return the files of a sound store."""
    side = Side(folder / "publisher", NAMES, len(NAMES))
    side.predict()
    upload(side.store, str(folder / "published.zarr"), silent)
    return files_of(folder / "published.zarr")


def files_of(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def changed(content: bytes, random: np.random.Generator) -> bytes:
    """Replace, remove, rename or nest something in JSON, where that is still JSON."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return content
    node: Any = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return content
        key = keys[random.integers(len(keys))]
        if not (isinstance(node[key], dict | list) and node[key]) or random.random() < 0.25:
            break
        node = node[key]
    match random.integers(5):
        case 0 if isinstance(node, dict):
            node[f"{key}x"] = node.pop(key)
        case 1:
            del node[key]
        case 2:
            text = json.dumps(tree).encode()
            return text.replace(json.dumps(node[key]).encode(), b"[" * 20_000, 1)
        case _:
            node[key] = RUBBISH[random.integers(len(RUBBISH))]
    return json.dumps(tree).encode()


def write_changed(
    sound: dict[str, bytes], store: Path, random: np.random.Generator, damaged: Damage, of_root: float
) -> None:
    """Write a store some of whose files were changed, with digests that vouch for that; mostly. So may be its root."""
    files, names = dict(sound), sorted(set(sound) - {"zarr.json"})
    for _ in range(random.integers(1, 4)):
        name = names[random.integers(len(names))]
        json_file = name.endswith(".json")
        files[name] = (changed if json_file and random.random() < 0.8 else damaged)(files[name], random)
    root = json.loads(files["zarr.json"])
    if random.random() < 0.9:
        root["attributes"]["files"] = {name: hashlib.sha256(files[name]).hexdigest() for name in names}
    files["zarr.json"] = json.dumps(root).encode()
    if random.random() < of_root:
        files["zarr.json"] = (changed if random.random() < 0.7 else damaged)(files["zarr.json"], random)
    shutil.rmtree(store, ignore_errors=True)
    for name, content in files.items():
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_bytes(content)
    if random.random() < 0.2:
        with open(store / names[random.integers(len(names))], "r+b") as file:
            file.truncate(2 ** int(random.integers(20, 45)))  # holes


def stores(random: np.random.Generator, folder: Path, damaged: Damage) -> str:
    """Predictions whose publisher may mean harm."""
    store, consumer = folder / "case.zarr", consuming(folder)
    write_changed(published(folder), store, random, damaged, of_root=0.3)
    shutil.rmtree(consumer.store, ignore_errors=True)
    try:
        consumer.adopt(str(store), fetch=bool(random.integers(2)))
        for each in consumer.predictions():
            for i in range(len(each.names)):
                each.rows(i)
    except InputError as error:
        text = str(error)
        return "refused" if str(store) in text and text.isprintable() else f"is told as {text[:500]!r}"
    return "read"


@cache
def consuming(folder: Path) -> Side:
    return Side(folder / "consumer", ["d", "b"], 2)


@cache
def datasets_of(folder: Path) -> tuple[Path, dict[str, bytes]]:
    """Return a folder of published datasets, and the files of one of them."""
    made = folder / "datasets"
    made.mkdir()
    test_shared_datasets.publish(made)
    shutil.copytree(made / "web", made / "case")
    return made, files_of(made / "web/test.zarr")


def datasets(random: np.random.Generator, folder: Path, damaged: Damage) -> str:
    """A dataset whose publisher may mean harm: what it is, the plan takes from the root."""
    made, sound = datasets_of(folder)
    store = made / "case/test.zarr"
    write_changed(sound, store, random, damaged, of_root=0.7)
    with chdir(made):
        shutil.rmtree(made / "other", ignore_errors=True)
        try:
            plan = test_shared_datasets.shared(made, made / "case", results="other", test={"digest": None})
            if problems := [
                line for line in plan.problems() if not line.startswith(("models.", "experiments."))
            ]:
                raise InputError(" ".join(problems))
            for part in test_shared_datasets.adopt(plan, "test"):
                for i in range(len(part.names)):
                    part.rows(i), part.input(i)
        except InputError as error:
            text = str(error)
            return "refused" if str(store) in text and text.isprintable() else f"is told as {text[:500]!r}"
    return "read"


SECRET, PLAIN = 77, 33


def hdf5_files(random: np.random.Generator, folder: Path, damaged: Damage) -> str:
    """Groups that hold each other, links, storage in other files, and claims: only what a file itself holds is read."""
    secret, path = folder / "secret.h5", folder / "case.h5"
    shape = (4, 5, 3)
    if not secret.exists():
        with h5py.File(secret, "w") as file:
            file["x"] = np.full(shape, SECRET, np.uint8)
        (folder / "secret.bin").write_bytes(bytes([SECRET]) * 60)
    path.unlink(missing_ok=True)
    with h5py.File(path, "w") as file:
        groups = [file]
        for _ in range(random.integers(0, 6)):
            groups.append(groups[random.integers(len(groups))].create_group(f"g{len(groups)}"))
        for number in range(random.integers(1, 4)):
            group, name = groups[random.integers(len(groups))], f"n{number}"
            match random.integers(14):
                case 0:
                    group[name] = h5py.ExternalLink(str(secret), "x")
                case 1:
                    group[name] = h5py.SoftLink(str(random.choice(["/", "/n0", "/nowhere", "g1/n0"])))
                case 2 | 3:
                    group[name] = groups[random.integers(len(groups))]
                case 4:
                    group.create_dataset(
                        name, shape, np.uint8, external=[(str(folder / "secret.bin"), 0, 60)]
                    )
                case 5:
                    layout = h5py.VirtualLayout(shape, np.uint8)
                    layout[:] = h5py.VirtualSource(str(secret), "x", shape)
                    group.create_virtual_dataset(name, layout)
                case 6:
                    claim = tuple(int(side) for side in 2 ** random.integers(1, 24, 3))
                    group.create_dataset(name, claim, np.float64, chunks=True, compression="gzip")
                case _:
                    group[name] = np.full(shape, PLAIN, np.uint8)
    if random.random() < 0.3:
        path.write_bytes(damaged(path.read_bytes(), random))
    array = str(random.choice(["", "n0", "g1/n0", "g1/g2/n1", "/n1"])) or None
    try:
        found = image_files.read_values(str(path), array)
    except InputError as error:
        return "refused" if str(path) in str(error) else f"does not name the file: {error}"
    return "reads another file" if (found == SECRET).all() else "read"
