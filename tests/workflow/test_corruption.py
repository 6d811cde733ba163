"""Corruption: `ensir verify` names a damaged result, and no stage reads a number from it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Run

from ensir.cells import lut, statistics
from ensir.errors import InputError
from ensir.scoring import scores
from ensir.storage import digests, reading, verification
from ensir.storage.layout import Layout

ROUNDS = 12  # damaged places per kind of result and of damage


def read_part(path: str) -> list[np.ndarray]:
    part = reading.Part(path)
    inputs = [part.input(i) for i in range(len(part.names))]
    pixels = [part.rows(i) for i in range(len(part.names))]
    return [*pixels, *(image for image in inputs if image is not None)]


def read_statistics(path: str) -> list[np.ndarray]:
    found, _ = statistics.load(path)
    return [found.key, found.count, found.gram, found.level, found.level_count]


def read_weights(path: str) -> list[np.ndarray]:
    return list(reading.read_arrays(reading.open_group(path, "weights"), path).values())


def read_lut(path: str) -> list[np.ndarray]:
    found = lut.load(path)
    return [found.key, found.weights, found.expected_squared_error]


def read_table(path: str) -> list[np.ndarray]:
    return [np.array(list(values.values())) for values in scores.read_values([path]).values()]


def read_means(path: str) -> list[np.ndarray]:
    return [np.array(list(scores.read(path.replace("summary", "scores"), path).means.values()))]


def same(found: list[np.ndarray], sound: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(found, sound, strict=True))


READERS: dict[str, Callable[[str], list[np.ndarray]]] = {
    "datasets/test.zarr/*": read_part,
    "predictions/test/f.zarr/*": read_part,
    "statistics/one/bins.zarr": read_statistics,
    "weights/one/ensir/0.zarr": read_weights,
    "luts/one/ensir.lut": read_lut,
    "fused/one/test/ensir.zarr/*": read_part,
    "scores/one/test/ensir/*.csv": read_table,
    "seconds/fuse/one/test/ensir/*.csv": read_table,
    "scores.csv": read_table,
    "summary.csv": read_means,
}


def flip(file: Path, random: np.random.Generator) -> None:
    content = bytearray(file.read_bytes())
    content[random.integers(len(content))] ^= 1 << random.integers(8)
    file.write_bytes(content)


def truncate(file: Path, random: np.random.Generator) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: random.integers(len(content))])


def delete(file: Path, random: np.random.Generator) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [flip, truncate, delete])
@pytest.mark.parametrize("kind", READERS)
def test_damage_is_named_and_never_read(finished: Run, tmp_path: Path, kind: str, damage: Callable):
    random = np.random.default_rng(0)
    results = tmp_path / "results"
    shutil.copytree(finished.folder / "results", results)
    layout = Layout(str(results))
    result = next(path for path in sorted(results.glob(kind)) if path.name != "zarr.json")
    read = READERS[kind]
    sound = read(str(result))
    files = digests.files(result) if result.is_dir() else [result]
    refused = 0
    for file in random.permutation(np.array(files, dtype=object))[:ROUNDS]:
        content = file.read_bytes()
        damage(file, random)
        (named,) = [one.problems for one in verification.verify(result, layout) if one.result == result]
        assert named
        try:
            found = read(str(result))
        except InputError as error:
            message = str(error)
        else:
            message = ""
            assert same(found, sound), file  # of metadata that no stage reads
        if message:
            assert str(result) in message
            assert "run again" in message
            refused += 1
        file.write_bytes(content)
    assert refused
    assert same(read(str(result)), sound)
