"""Nothing in a configuration is without bounds: numbers, and names, of which files are called."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from snakemake.io import PeriodicityDetector

from ensir.config import reading, reference
from ensir.errors import InputError
from ensir.images import image_files
from ensir.section import LONGEST_NAME
from ensir.storage import atomic
from ensir.storage.layout import Layout

FILE_NAME = 255  # bytes, of most file systems


def nodes(node: Any) -> Iterator[dict]:
    """Yield every object of a JSON schema."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    if isinstance(node, dict):
        yield node
    for value in inner:
        yield from nodes(value)


def test_every_whole_number_has_bounds():
    numbers = [
        node
        for node in nodes(reference.json_schema())
        if node.get("type") == "integer" and "enum" not in node
    ]
    assert len(numbers) > 50
    for node in numbers:
        assert "minimum" in node or "exclusiveMinimum" in node, node
        assert node["maximum"] < 2**32, node


MINIMAL = """
datasets: {a: {kind: folder, target: "t/*.png"}, b: {kind: folder, target: "u/*.png"}}
models: {m: {kind: folder, path: "{dataset}/*.png"}, NAME: {kind: folder, path: "{dataset}/n*.png"}}
experiments: {e: {models: [m, NAME], reference: a, tests: [b], methods: {average: {}}}}
compute: {shards: NUMBER}
"""


def told(tmp_path: Path, name: str = "n", number: str = "1") -> str:
    path = tmp_path / "c.yaml"
    path.write_text(MINIMAL.replace("NAME", name).replace("NUMBER", number))
    try:
        reading.load(str(path))
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("10001", "shards: 10001 is wrong; allowed: whole number, at least 1, at most 10000"),
        ("1000000000", "allowed: whole number, at least 1, at most 10000"),
        ("1e400", "allowed: whole number, at least 1, at most 10000"),
        ("9" * 5000, "column 19: a number of 5000 characters, larger than any that is allowed"),
        ("0x" + "f" * 6000, "a number of 6002 characters"),
        ("1" + ":59" * 2000, "a number of 6001 characters"),
    ],
    ids=lambda value: value[:20],
)
def test_large_numbers(tmp_path: Path, number: str, message: str):
    assert told(tmp_path) == told(tmp_path, number="10000") == ""
    error = told(tmp_path, number=number)
    assert message in error
    assert len(error) < 500


@pytest.mark.parametrize("name", ["n" * (LONGEST_NAME + 1), "n" * 301])
def test_long_names(tmp_path: Path, name: str):
    assert told(tmp_path, name="name-" * 19 + "abcde") == ""
    assert "is wrong; allowed: name (up to 100 letters and digits, then also - and _)" in told(
        tmp_path, name=name
    )


@pytest.mark.parametrize(("name", "end"), [("M_" + "x" * 20, "x"), ("a" + "-b" * 25, "-b")])
def test_names_that_snakemake_takes_for_a_recursion(tmp_path: Path, name: str, end: str):
    assert PeriodicityDetector().is_periodic(name)
    assert (
        f"{name}: the name ends with {end!r} 20 times or more, which Snakemake refuses; shorten it"
        in told(tmp_path, name=name)
    )


def test_the_longest_names_make_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On a host with the longest name, every result can be written, with its digest, record and lock."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket, "gethostname", lambda: "h" * 64)
    name, layout = "n" * LONGEST_NAME, Layout()
    longest = max(len(str(section)) for section in (10**6, "refined_plain"))
    method = name + "_" + "x" * (longest + 2)  # as a sweep or an ablation calls it
    part = "0" * 12
    results = [
        layout.part(layout.dataset(name), part),
        layout.part(layout.predictions(name, name), part),
        layout.part(layout.fused(name, name, method), part),
        layout.refiner(f"{name}/{method}"),
        layout.weights(name, method, 9999),
        layout.lut(name, method),
        layout.fit(name, method),
        layout.scores(name, name, method, part),
        layout.estimate_seconds(name, method, 9999),
        layout.figure(name, "weight_maps", f"{name}_{method}") + ".svg",
        layout.log(f"fuse/{name}/{name}/{method}/{part}"),
    ]
    for path in results:
        assert max(map(len, layout.digest(path).split("/"))) <= FILE_NAME - len(f"..{2**22}"), path
        for _ in range(2):  # the second replaces the first
            with atomic.written(layout.place(path)) as partial:
                partial.mkdir()
        assert os.path.isdir(path)
        assert Path(layout.digest(path)).is_file()
    assert not [path for path in layout.unfinished.iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize("letter", ["a", "ä"])
def test_the_longest_image_is_written(tmp_path: Path, letter: str):
    name = letter * ((FILE_NAME - len(".png")) // len(letter.encode())) + ".png"
    image_files.write(tmp_path / name, np.zeros((3, 4, 3), np.uint8))
    assert os.listdir(tmp_path) == [name]


def test_minimal_is_yaml():
    assert yaml.safe_load(MINIMAL.replace("NUMBER", "1"))["compute"] == {"shards": 1}
