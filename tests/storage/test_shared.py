"""Shared stores: published whole or not at all, resumed, read by reference, and never believed when damaged."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import xarray as xr
import zarr
from typer.testing import CliRunner, Result
from zarr.storage import ObjectStore

from ensir.cli import app
from ensir.errors import InputError
from ensir.planning.parts import assign
from ensir.stages import seal
from ensir.stages.adopt import adopt
from ensir.storage import reading, verification, writing
from ensir.storage.layout import Layout
from ensir.storage.shared import SharedStore, objects_at
from ensir.storage.upload import upload

NAMES = ["a", "b", "c", "d", "e"]


def silent(done: int, total: int) -> None:
    """Show no progress."""


def image(name: str, what: int) -> np.ndarray:
    """Make up the target (0), the input (1) or the prediction (2) of an image."""
    random = np.random.default_rng([what, *name.encode()])
    return random.integers(0, 256, (11 + ord(name[0]) % 5, 13, 3)).astype(np.uint8)


class Side:
    """A results folder with a dataset, and predictions on one of the two sides.

    Parameters
    ----------
    folder : Path
    names : list of str
        Its images.
    per_part : int
    """

    def __init__(self, folder: Path, names: list[str], per_part: int, make: Callable = image):
        self._be_in(folder)
        self.parts = assign(names, per_part, [self.dataset])
        for part, held in self.parts.items():
            place = self.layout.place(self.layout.part(self.dataset, part))
            attributes = {
                "kind": "dataset",
                "dataset": "set",
                "images": held,
                "bits": 8,
                "value_range": [0, 255],
            }
            with writing.new_group(place, attributes) as group:
                for what, prefix in ((0, ""), (1, "input_")):
                    write(group, held, what, prefix, make)

    def _be_in(self, folder: Path) -> None:
        self.folder = folder
        self.layout = Layout(str(folder / "results"))
        self.store = self.layout.predictions("set", "model")
        self.dataset = self.layout.dataset("set")

    def copy(self, folder: Path) -> Side:
        """Return a side that has the same in another folder."""
        shutil.copytree(self.folder, folder)
        other = copy.copy(self)
        other._be_in(folder)
        return other

    def predict(self) -> None:
        for part, held in self.parts.items():
            dataset = reading.Part(self.layout.part(self.dataset, part))
            attributes = {
                **{"kind": "prediction", "dataset": "set", "model": "model", "bits": 8},
                **{"settings": {}, "parameters": {}, "versions": {}, **reading.identity(dataset)},
            }
            with writing.new_group(
                self.layout.place(self.layout.part(self.store, part)), attributes
            ) as group:
                write(group, held, 2)
        self.seal()

    def seal(self) -> None:
        seal.seal(self.layout.place(self.layout.seal(self.store)), self.store, list(self.parts), self.layout)

    def adopt(self, location: str, fetch: bool = False, digest: str | None = None) -> None:
        for part in self.parts:
            dataset = self.layout.part(self.dataset, part)
            adopt(
                self.layout.place(self.layout.part(self.store, part)),
                **{"dataset_part": dataset, "dataset_digest": self.layout.digest(dataset), "model": "model"},
                **{"settings": {"kind": "store", "fetch": fetch}, "location": location, "digest": digest},
                progress=silent,
            )

    def predictions(self) -> list[reading.Part]:
        return [reading.Part(self.layout.part(self.store, part)) for part in self.parts]

    def check(self) -> None:
        """Every prediction is the one that was made, by image and along the pixels."""
        for part in self.predictions():
            part = pickle.loads(pickle.dumps(part))  # as Dask sends it to another process
            whole = np.concatenate([writing.flatten(image(name, 2)) for name in part.names], axis=1)
            assert part.value.shape == whole.shape
            for start, stop in ((0, whole.shape[1]), (7, 8), (100, whole.shape[1] - 3)):
                np.testing.assert_array_equal(part.pixels(start, stop), whole[:, start:stop])
            for name in part.names:
                np.testing.assert_array_equal(part.image(name), image(name, 2))


def write(group, names: list[str], what: int, prefix: str = "", make: Callable = image) -> None:
    images = [make(name, what) for name in names]
    writer = writing.ImageWriter(group, names, [i.shape for i in images], np.uint8, prefix)
    for one in images:
        writer.append(writing.flatten(one))
    writer.close()


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Side, Side]:
    """A publisher, and a consumer of other images in other parts.

    The consumer has the first alone, the second and third of what the publisher has in two parts.
    """
    folder = tmp_path_factory.mktemp("sides")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "CHUNK_VALUES", 512)  # some chunks per part
        publisher = Side(folder / "publisher", NAMES, 2)
        publisher.predict()
    return publisher, Side(folder / "consumer", ["a", "c", "d", "e"], 3)


@pytest.fixture
def publisher(sides: tuple[Side, Side], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Side:
    monkeypatch.setattr(writing, "CHUNK_VALUES", 512)
    return sides[0].copy(tmp_path / "publisher")


@pytest.fixture
def consumer(sides: tuple[Side, Side], tmp_path: Path) -> Side:
    return sides[1].copy(tmp_path / "consumer")


@pytest.mark.parametrize("fetch", [False, True])
@pytest.mark.parametrize("kind", ["results", "folder", "s3", "http"])
def test_predictions_are_read_wherever_they_are(
    publisher: Side, consumer: Side, tmp_path: Path, bucket: str, serve: Callable, kind: str, fetch: bool
):
    location = {"results": publisher.store, "s3": f"{bucket}/deep/model.zarr"}.get(
        kind, str(tmp_path / "web/model.zarr")
    )
    if kind != "results":
        upload(publisher.store, location, silent)
    if kind == "http":
        location = f"{serve(tmp_path)}/web/model.zarr"
    consumer.adopt(location, fetch)
    consumer.check()
    consumer.seal()
    assert ("source" in consumer.predictions()[0].attributes) is not fetch
    assert not any(one.problems for one in verification.verify(consumer.layout.root, consumer.layout))
    theirs = {n: d for p in publisher.predictions() for n, d in zip(p.names, p.column("digest"), strict=True)}
    for part in consumer.predictions():
        assert [theirs[name] for name in part.names] == part.column("digest").tolist()


def test_any_reader_of_zarr_opens_a_published_store(publisher: Side, tmp_path: Path, serve: Callable):
    upload(publisher.store, str(tmp_path / "web/model.zarr"), silent)
    published = ObjectStore(objects_at(f"{serve(tmp_path / 'web')}/model.zarr"), read_only=True)
    assert sorted(zarr.open_group(published, mode="r").group_keys()) == sorted(publisher.parts)
    ours = publisher.predictions()[0]
    with xr.open_zarr(published, group=min(publisher.parts, key=lambda part: publisher.parts[part])) as part:
        assert part["image"].values.tolist() == ours.names
        np.testing.assert_array_equal(part["value"].values, ours.value[:])


def test_without_credentials_requests_are_not_signed(
    publisher: Side, consumer: Side, bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
):
    upload(publisher.store, f"{bucket}/model.zarr", silent)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(
        InputError, match=r"model.zarr/zarr.json: cannot be read .*403"
    ):  # asked without a signature
        consumer.adopt(f"{bucket}/model.zarr")


def test_a_killed_upload_is_not_seen_and_goes_on(publisher: Side, bucket: str):
    """`ensir publish` is killed when a part has arrived; the second one sends the rest."""
    import obstore

    location = f"{bucket}/model.zarr"
    command = [sys.executable, "-c", HANGS, "publish", publisher.store, location]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    objects = objects_at(location)
    arrived: list = []
    while len(arrived) < 5:
        assert process.poll() is None
        time.sleep(0.02)
        arrived = [meta["path"] for batch in obstore.list(objects) for meta in batch]
    process.send_signal(signal.SIGKILL)
    process.wait()
    arrived = [meta["path"] for batch in obstore.list(objects) for meta in batch]
    files = json.loads(Path(publisher.store, "zarr.json").read_text())["attributes"]["files"]
    assert len(arrived) == 5 < len(files)
    with pytest.raises(InputError, match=r"not complete.*publish it again"):
        SharedStore(location)
    done = upload(publisher.store, location, silent)
    assert (done.there, done.objects) == (len(arrived), len(files) + 1 - len(arrived))
    assert upload(publisher.store, location, silent).objects == 0
    shared = SharedStore(location, done.digest)
    assert not any(map(shared.problems, shared.parts))


HANGS = """
import itertools, threading, obstore
from ensir.storage import upload
from ensir.cli import app
put, sent = obstore.put, itertools.count()
def hanging(*arguments, **options):  # the line is dead after five objects
    if next(sent) >= 5:
        threading.Event().wait()
    return put(*arguments, **options)
obstore.put, upload.AT_ONCE = hanging, 2
app()
"""


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def error_of(step: Callable[[], None]) -> str:
    """Return the message of the InputError of a step; empty where it went well."""
    try:
        step()
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("key", ["value/c/0/0", "value/zarr.json", "height/c/0", "digest/c/0"])
@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
def test_damage_is_an_error_and_never_another_number(
    publisher: Side, consumer: Side, tmp_path: Path, damage: Callable, key: str
):
    folder = tmp_path / "shared.zarr"
    upload(publisher.store, str(folder), silent)
    consumer.adopt(str(folder))
    path = folder / min(publisher.parts) / key
    content = path.read_bytes()
    damage(path)
    messages = [error_of(consumer.check), error_of(lambda: consumer.adopt(str(folder)))]
    assert any(messages)
    assert all(f"{folder}: {path.relative_to(folder)} is " in message for message in messages if message)
    told = CliRunner().invoke(app, ["verify", str(folder)])
    assert told.exit_code == 1
    assert f"{min(publisher.parts)}/{key}: " in told.output
    assert upload(publisher.store, str(folder), silent).objects == 1  # publishing again fixes it
    assert path.read_bytes() == content
    consumer.check()


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
def test_a_damaged_root_is_an_error(publisher: Side, consumer: Side, tmp_path: Path, damage: Callable):
    folder = tmp_path / "shared.zarr"
    digest = upload(publisher.store, str(folder), silent).digest
    damage(folder / "zarr.json")
    with pytest.raises(InputError, match=re.escape(str(folder))):
        consumer.adopt(str(folder), digest=digest)


RUBBISH = (None, 3, "x", [], {}, ["x"], {"x": 1})


@pytest.mark.parametrize("key", ["kind", "images", "target_digests", "input_digests", "", "parts", "files"])
def test_rubbish_in_the_root_is_an_error(publisher: Side, tmp_path: Path, key: str):
    folder = tmp_path / "shared.zarr"
    upload(publisher.store, str(folder), silent)
    side, sound = Side(tmp_path / "consumer", ["a"], 1), (folder / "zarr.json").read_text()
    for rubbish in RUBBISH:
        root = json.loads(sound)
        parts, attributes = root["consolidated_metadata"]["metadata"], root["attributes"]
        (part,) = (name for name, held in publisher.parts.items() if "a" in held)
        of_part = parts[part]["attributes"]
        section = attributes if key in attributes else of_part if key else parts[part]
        section[key or "attributes"] = rubbish
        (folder / "zarr.json").write_text(json.dumps(root))
        if not (
            key.endswith("_digests") and not rubbish
        ):  # as of a dataset without inputs, or without targets
            with pytest.raises(InputError, match=re.escape(str(folder))):
                side.adopt(str(folder))


def test_another_sound_chunk_is_an_error(publisher: Side, consumer: Side, tmp_path: Path):
    folder = tmp_path / "shared.zarr"
    upload(publisher.store, str(folder), silent)
    consumer.adopt(str(folder))
    for path in folder.glob("*/value/c/0/0"):
        path.write_bytes((path.parent / "1").read_bytes())
    with pytest.raises(InputError, match="not what was published there"):
        consumer.predictions()[0].rows(0)


def test_a_store_may_grow_but_not_turn_into_another(publisher: Side, consumer: Side, tmp_path: Path):
    folder = str(tmp_path / "shared.zarr")
    upload(publisher.store, folder, silent)
    consumer.adopt(folder)
    paths = [consumer.layout.digest(part.path) for part in consumer.predictions()]
    before = [Path(path).read_text() for path in paths]
    grown = Side(tmp_path / "publisher", [*NAMES, "f", "g"], 2)
    assert grown.parts.items() > publisher.parts.items()
    grown.predict()
    assert upload(grown.store, folder, silent).there > 0
    consumer.check()
    consumer.adopt(folder)
    assert [Path(path).read_text() for path in paths] == before

    with pytest.raises(InputError, match="another store is there"):
        upload(another_store(tmp_path / "other"), folder, silent)
    consumer.check()


def another_store(folder: Path) -> str:
    side = Side(folder, ["x", "y"], 2)
    side.predict()
    return side.store


def test_what_does_not_fit_is_one_error(publisher: Side, tmp_path: Path):
    location = publisher.store
    with pytest.raises(InputError, match=r"has no prediction for images 'x', 'y'; fix the path"):
        Side(tmp_path / "1", ["a", "x", "y"], 3).adopt(location)

    def changed(name: str, what: int) -> np.ndarray:
        return image(name, what) ^ (name == "b" or (name == "c" and what == 1))

    side = Side(tmp_path / "2", ["a", "b", "c"], 3, changed)
    with pytest.raises(
        InputError, match=r"another target for image 'b'.*\n.*another input for images 'b', 'c'"
    ):
        side.adopt(location)
    fitting = Side(tmp_path / "3", NAMES, 5)
    with pytest.raises(InputError, match=r"another store than the configuration names .*, not 00"):
        fitting.adopt(location, digest="00")
    with pytest.raises(InputError, match="no such store"):
        fitting.adopt(str(tmp_path / "nowhere.zarr"))
    with pytest.raises(InputError, match="no store, or one that is not complete"):
        fitting.adopt(str(tmp_path))
    with pytest.raises(InputError, match="cannot be read"):
        fitting.adopt("http://127.0.0.1:9/model.zarr")  # nothing listens there
    with pytest.raises(InputError, match="read from a path"):
        fitting.adopt("ftp://127.0.0.1/model.zarr")
    assert not Path(fitting.store).exists()


def test_what_cannot_be_published(publisher: Side, consumer: Side, tmp_path: Path):
    with pytest.raises(InputError, match="no sealed store"):
        upload(consumer.store, str(tmp_path / "out"), silent)
    with pytest.raises(InputError, match="published at a path"):
        upload(publisher.store, "http://127.0.0.1/model.zarr", silent)
    consumer.adopt(publisher.store)
    consumer.seal()
    with pytest.raises(InputError, match=r"only refers to .*fetch: true"):
        upload(consumer.store, str(tmp_path / "out"), silent)
    with pytest.raises(InputError, match=r"only refers to .*; name that"):
        Side(tmp_path / "third", ["a"], 1).adopt(consumer.store)
    flip(next(Path(publisher.store).glob("*/value/c/0/0")))
    with pytest.raises(InputError, match="is damaged"):
        upload(publisher.store, str(tmp_path / "out"), silent)
    assert not (tmp_path / "out/zarr.json").exists()


ANSWERS = {
    "forbidden": (403, "<Error><Code>AccessDenied</Code></Error>", "give credentials that may do so"),
    "wrong signature": (
        403,
        "<Error><Code>SignatureDoesNotMatch</Code></Error>",
        "fix AWS_ACCESS_KEY_ID and",
    ),
    "unknown": (401, "", "give credentials that may do so"),
    "elsewhere": (301, "<Error><Code>PermanentRedirect</Code></Error>", "fix AWS_REGION"),
    "wrong region": (400, "<Error><Message>the region 'a' is wrong</Message></Error>", "fix AWS_REGION"),
    "no bucket": (404, "<Error><Code>NoSuchBucket</Code></Error>", "create the bucket"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_cannot_be_read_is_no_other_store(
    publisher: Side, monkeypatch: pytest.MonkeyPatch, bucket: str, answer: str
):
    code, body, fix = ANSWERS[answer]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_PUT = do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        told = CliRunner().invoke(app, ["publish", publisher.store, f"{bucket}/model.zarr"])
        server.shutdown()
    is_refused(told, fix)


def test_no_server_is_no_other_store(publisher: Side, monkeypatch: pytest.MonkeyPatch, bucket: str):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nothing listens there
    told = CliRunner().invoke(app, ["publish", publisher.store, f"{bucket}/model.zarr"])
    is_refused(told, "check the address and that its server answers")


def is_refused(told: Result, fix: str) -> None:
    assert told.exit_code == 2
    assert fix in told.stderr
    assert told.stderr.count("\n") == 1
    assert "another store" not in told.stderr
    assert "delete" not in told.stderr


def test_a_location_at_home(publisher: Side, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    told = CliRunner().invoke(app, ["publish", publisher.store, "~/model.zarr"], catch_exceptions=False)
    assert f'path: "{tmp_path}/home/model.zarr"' in told.output
    assert (tmp_path / "home/model.zarr/zarr.json").is_file()
    assert not list((tmp_path / "here").iterdir())


def test_commands(publisher: Side, bucket: str, consumer: Side):
    location = f"{bucket}/model.zarr"
    told = CliRunner().invoke(app, ["publish", publisher.store, f"{location}/"], catch_exceptions=False)
    assert told.exit_code == 0
    digest = SharedStore(location).digest
    assert f'model: {{kind: store, path: "{location}", digests: {{set: {digest}}}}}' in told.output
    told = CliRunner().invoke(app, ["verify", location], catch_exceptions=False)
    assert (told.exit_code, told.output) == (0, "3 results checked, 0 damaged\n")
    told = CliRunner().invoke(app, ["publish", publisher.dataset, location])
    assert told.exit_code == 2
    assert "no sealed store" in told.output
