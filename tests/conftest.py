"""Fixtures that all tests share."""

import itertools
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from filelock import FileLock
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("ensir", deadline=None)  # the first example compiles
settings.load_profile("ensir")
# A shell has what it starts in the background ignore interrupts, and that is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)


OF_ONE_RUN = ("test_cli_equals_workflow.py", "test_fits_and_sweeps.py", "test_in_browser.py")


class ByFile(LoadScopeScheduling):
    """Keeps the tests of a file on one worker, which makes what they share once.

    Whole runs go one by one, except where all tests of a file look at one run: others would wait until it is made.
    `--dist loadgroup` of pytest-xdist 3.8 does nothing under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        return nodeid if file.parent.name == "workflow" and file.name not in OF_ONE_RUN else str(file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Tell pytest-xdist which tests stay together."""
    return ByFile(config, log)


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Return a folder by its name, filled by the first worker that asks for it and shared by all; leave it as it is."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def folder(name: str, fill: Callable[[Path], object]) -> Path:
        path, done = root / name, root / f"{name}.done"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                path.mkdir()  # raises where it was begun before, and failed
                fill(path)
                done.touch()
        return path

    return folder


@pytest.fixture(scope="session")
def sdist(once: Once) -> Path:
    """The source distribution, and beside it the wheel that is built from it, without a network."""

    def build(folder: Path) -> None:
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    (built,) = once("distributions", build).glob("*.tar.gz")
    return built


@pytest.fixture(scope="session")
def wheel(sdist: Path) -> Path:
    """The wheel of this source."""
    (built,) = sdist.parent.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def data():
    """Folder of third-party research data: ENSIR_TEST_DATA, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("ENSIR_TEST_DATA", ROOT / "../shared/data")).resolve()
    if not folder.is_dir():
        reason = f"no research data at {folder}; set ENSIR_TEST_DATA"
        if os.environ.get("ENSIR_REQUIRE_DATA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of a server on this machine that speaks S3."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


BUCKETS = itertools.count()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty bucket, with what the environment must hold to write to it."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"bucket{os.getpid()}-{next(BUCKETS)}"
    urllib.request.urlopen(urllib.request.Request(f"{s3_server}/{name}", method="PUT")).close()
    return f"s3://{name}"


@pytest.fixture
def serve() -> Iterator[Callable[[Path], str]]:
    """Starts plain web servers of folders; they stop with the test."""
    servers = []

    def start(folder: Path) -> str:
        handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
