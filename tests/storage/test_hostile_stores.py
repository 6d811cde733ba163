"""Stores of publishers who mean harm: every digest is right, and still nothing large is asked for or unpacked."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import imagecodecs
import numpy as np
import pytest
from test_shared import NAMES, Side, silent

from ensir.errors import InputError
from ensir.storage import foreign, writing
from ensir.storage.shared import SharedStore
from ensir.storage.upload import upload


class Publisher:
    """A published store, in which anything can be replaced so that all digests are right again."""

    def __init__(self, folder: Path):
        side = Side(folder / "publisher", NAMES, 5)
        side.predict()
        self.folder = folder / "shared.zarr"
        upload(side.store, str(self.folder), silent)
        (self.part,) = side.parts

    def copy(self, folder: Path) -> Publisher:
        """Return a publisher of the same store in another folder."""
        shutil.copytree(self.folder, folder)
        other = copy.copy(self)
        other.folder = folder
        return other

    def replace(self, key: str, content: bytes) -> None:
        path, root = self.folder / self.part / key, self.folder / "zarr.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        tree = json.loads(root.read_text())
        tree["attributes"]["files"][f"{self.part}/{key}"] = hashlib.sha256(content).hexdigest()
        root.write_text(json.dumps(tree))

    def metadata(self, name: str, **changes: object) -> None:
        path = self.folder / self.part / name / "zarr.json"
        self.replace(f"{name}/zarr.json", json.dumps({**json.loads(path.read_text()), **changes}).encode())

    def chunk(self, name: str, values: np.ndarray | bytes) -> None:
        """Replace the first chunk by values, as this version would write them."""
        import google_crc32c

        data = values if isinstance(values, bytes) else values.tobytes()
        packed = imagecodecs.blosc_encode(data, typesize=1)
        where = "c/0" if name != "value" else "c/0/0"
        self.replace(f"{name}/{where}", packed + struct.pack("<I", google_crc32c.value(packed)))


def regular(*sizes: int) -> dict:
    return {"name": "regular", "configuration": {"chunk_shape": list(sizes)}}


def codecs(*names: str) -> list[dict]:
    return [{"name": "bytes", "configuration": {"endian": "little"}}, *({"name": name} for name in names)]


def inflates(publisher: Publisher) -> None:
    publisher.metadata("value", codecs=codecs("gzip"), shape=[3, 2**20], chunk_grid=regular(3, 2**20))
    publisher.replace("value/c/0/0", imagecodecs.gzip_encode(bytes(2**24)))


def claims_to_unpack(publisher: Publisher) -> None:
    path = publisher.folder / publisher.part / "value/c/0/0"
    content = bytearray(path.read_bytes())
    content[4:8] = struct.pack("<I", 2**31 - 2**12)
    publisher.replace("value/c/0/0", bytes(content))


def grows(publisher: Publisher, name: str, size: int) -> None:
    with open(publisher.folder / publisher.part / name, "r+b") as file:
        file.truncate(size)


def leads(publisher: Publisher, name: str, target: str) -> None:
    """Put a link, or a pipe, in the place of an object; what a link leads to may have the right digest."""
    path = publisher.folder / publisher.part / name
    path.rename(publisher.folder.parent / "elsewhere")
    if target:
        path.symlink_to(target)
    else:
        os.mkfifo(path)


HARM: dict[str, tuple[Callable[[Publisher], object], str]] = {
    "a bomb": (inflates, "codecs"),
    "a header of Blosc": (claims_to_unpack, "unpacked, has 2,147,479,552 bytes or more"),
    "a grid": (lambda p: p.metadata("value", shape=[3, 10**12], chunk_grid=regular(1, 1)), "claims"),
    "a large array": (lambda p: p.metadata("value", shape=[3, 10**12], chunk_grid=regular(3, 10**12)), "chunks of"),
    "a long column": (lambda p: p.metadata("height", shape=[10**6], chunk_grid=regular(10**6)), "has the shape"),
    "two axes": (lambda p: p.metadata("height", shape=[5, 1], chunk_grid=regular(5, 1)), "cannot be opened"),
    "no size": (lambda p: p.metadata("height", shape=[-1]), "regular chunks"),
    "a chunk of nothing": (lambda p: p.metadata("height", chunk_grid=regular(0)), "regular chunks"),
    "another grid": (lambda p: p.metadata("height", chunk_grid={"name": "x"}), "regular chunks"),
    "another type": (lambda p: p.metadata("height", data_type="numcodecs.pickle"), "regular chunks"),
    "shards": (lambda p: p.metadata("value", codecs=[{"name": "sharding_indexed"}]), "codecs"),
    "an axis turned": (lambda p: p.metadata("value", codecs=codecs("transpose", "blosc", "crc32c")), "codecs"),
    "a transformer": (lambda p: p.metadata("value", storage_transformers=[{"name": "x"}]), "not accepted"),
    "other places": (lambda p: p.metadata("value", chunk_key_encoding={"name": "v2"}), "no array of Zarr v3"),
    "no object": (lambda p: p.replace("value/zarr.json", b"[1, 2]"), "no array of Zarr v3"),
    "deep metadata": (lambda p: p.replace("value/zarr.json", b"[" * 10**5), "recursion"),
    "a large chunk": (lambda p: grows(p, "value/c/0/0", 2**40), "1,099,511,627,776 bytes or more"),
    "large metadata": (lambda p: grows(p, "value/zarr.json", 2**40), "1,099,511,627,776 bytes or more"),
    "a link out": (lambda p: leads(p, "value/c/0/0", "../../../../../elsewhere"), "a link to what is not in the store"),
    "a link to a device": (lambda p: leads(p, "../zarr.json", "/dev/zero"), "a link to what is not in the store"),
    "a pipe": (lambda p: leads(p, "value/zarr.json", ""), "is no file"),
    "a large root": (lambda p: grows(p, "../zarr.json", 3 * 2**30), "3,221,225,472 bytes or more"),
    "many texts": (lambda p: p.chunk("digest", struct.pack("<I", 2**32 - 1)), "claims more texts"),
    "a short chunk": (lambda p: p.replace("digest/c/0", b"x"), "no chunk of this version"),
    "large images": (lambda p: p.chunk("height", np.full(5, 2**40)), "another size for images"),
    "a place before": (lambda p: p.chunk("offset", np.full(5, -1)), "does not hold all images"),
    "a place behind": (lambda p: p.chunk("offset", np.full(5, 2**62)), "does not hold all images"),
    "another depth": (lambda p: p.metadata("value", data_type="uint16"), "another depth|is not|damaged"),
}  # fmt: skip


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Publisher, Side]:
    """A publisher of a sound store, and a consumer of two of its images."""
    folder = tmp_path_factory.mktemp("sides")
    return Publisher(folder), Side(folder / "consumer", ["c", "d"], 2)


@pytest.fixture
def publisher(sides: tuple[Publisher, Side], tmp_path: Path) -> Publisher:
    return sides[0].copy(tmp_path / "shared.zarr")


@pytest.fixture
def consumer(sides: tuple[Publisher, Side], tmp_path: Path) -> Side:
    return sides[1].copy(tmp_path / "consumer")


@pytest.mark.parametrize("harm", HARM)
def test_harm_is_one_line(publisher: Publisher, consumer: Side, harm: str):
    do, told = HARM[harm]
    do(publisher)
    with pytest.raises(InputError, match=told) as refused:
        consumer.adopt(str(publisher.folder))
        consumer.check()
    assert "\n" not in str(refused.value)
    assert str(publisher.folder) in str(refused.value)
    if "not accepted" in told or "bytes or more" in told:
        assert "that this version of `ensir publish` has written" in str(refused.value)


def test_a_long_story_is_not_kept(publisher: Publisher, tmp_path: Path):
    root = publisher.folder / "zarr.json"
    tree = json.loads(root.read_text())
    tree["consolidated_metadata"]["metadata"][publisher.part]["attributes"]["settings"] = {"x": "y" * 2**20}
    root.write_text(json.dumps(tree))
    with pytest.raises(InputError, match=r"tells in 1,048,\d+ bytes how it was made"):
        Side(tmp_path / "consumer", ["c"], 1).adopt(str(publisher.folder))


def test_harm_after_it_was_adopted(publisher: Publisher, consumer: Side):
    """A chunk is checked whenever it is read, and so are the metadata that a part remembers."""
    consumer.adopt(str(publisher.folder))
    consumer.check()
    grows(publisher, "value/c/0/0", 2**40)
    with pytest.raises(InputError, match=r"1,099,511,627,776 bytes or more"):
        consumer.check()


def test_order_and_gaps_change_no_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Images that are far apart in the shared store are not read with all that lies between them."""
    monkeypatch.setattr(writing, "CHUNK_VALUES", 512)
    publisher = Publisher(tmp_path)
    consumer = Side(tmp_path / "consumer", ["e", "a", "d", "b"], 4)
    consumer.adopt(str(publisher.folder))
    consumer.check()


@pytest.fixture
def server():
    """A web server whose answer is set: a status, the length that it claims, and what it sends, over and over."""

    class Handler(BaseHTTPRequestHandler):
        answer: tuple[int, str, bytes, int] = (200, "0", b"", 1)

        def do_GET(self) -> None:
            status, length, content, times = self.answer
            self.send_response(status)
            self.send_header("Content-Length", length)
            self.end_headers()
            try:
                for _ in range(times):
                    self.wfile.write(content)
            except OSError:
                pass  # nobody reads any more

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/model.zarr", Handler
        server.shutdown()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, str(2**50), b"x" * 2**20, 1), "1,125,899,906,842,624 bytes or more"),
        ((200, str(2**63), b"x", 1), "9,223,372,036,854,775,808 bytes or more"),
        ((200, "1000", b"x", 1), "cannot be read"),
        ((200, "-5", b"x", 1), "cannot be read"),
        ((200, "5", b"[1,2]", 1), "no sealed store"),
        ((200, "100000", b"[" * 1000, 100), "no sealed store"),
        ((418, "9", b"\n\n\x1b[31m\n\n", 1), r"418 I'm a teapot\)"),
        ((403, "0", b"", 1), r"403 Forbidden\); check the address"),
    ],
    ids=str,
)
def test_answers_of_web_servers(server: tuple, answer: tuple, told: str):
    location, handler = server
    handler.answer = answer
    with pytest.raises(InputError, match=told) as refused:
        SharedStore(location)
    assert str(refused.value).isprintable()
    assert location in str(refused.value)


def test_no_more_is_read_than_is_accepted(server: tuple, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(foreign, "ROOT_BYTES", 1000)
    location, handler = server
    handler.answer = (200, "1001", b"x" * 1001, 1)
    with pytest.raises(InputError, match="1,001 bytes or more, and at most 1,000 are read"):
        SharedStore(location)
