"""A job ends in one line, with the exit code that says why."""

from __future__ import annotations

import errno
import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ensir.errors import InputError
from ensir.execution.job import job
from ensir.execution.stopping import Terminated, stoppable
from ensir.images import image_files
from ensir.storage.failures import described, errno_of, reason


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The log of a job, whose settings of threads, logging and standard output are undone."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    kept = [os.dup(number) for number in (1, 2)]
    yield tmp_path / "job.log"
    for number, file in zip((1, 2), kept, strict=True):
        os.dup2(file, number)
        os.close(file)
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = handlers, level


def run(log: Path, body: Callable[[], object]) -> int:
    with (
        pytest.raises(SystemExit) as ended,
        job(SimpleNamespace(threads=1, log=[log], rule="r", wildcards=[])),
    ):
        body()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_stopped_prints_nothing(log: Path, capfd: pytest.CaptureFixture, number: int):
    assert run(log, lambda: signal.raise_signal(number)) == 128 + number
    assert capfd.readouterr() == ("", "")
    lines = log.read_text().splitlines()
    assert [line.rpartition(" INFO ")[2] for line in lines] == ["r", "stopped"]


def wrapped() -> None:
    try:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "inner")
    except PermissionError as error:
        raise RuntimeError("the library failed") from error


def in_words() -> None:
    raise RuntimeError("I/O error: No space left on device (os error 28)")


def refused() -> None:
    raise InputError("file: bad; fix it")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            lambda: os.mkdir("/dev/null/x"),
            "/dev/null/x: Not a directory; a file is where a folder should be",
        ),
        (
            lambda: Path("/proc").write_text(""),
            "/proc: Is a directory; give the name of a file, then run again",
        ),
        (wrapped, "inner: Permission denied; make it readable and writable, then run again"),
        (in_words, ": No space left on device; free some space on this disk, then run again"),
        (refused, "file: bad; fix it"),
    ],
)
def test_a_job_that_fails_logs_one_line(log: Path, capfd: pytest.CaptureFixture, body: Callable, line: str):
    assert run(log, body) == 1
    assert capfd.readouterr() == ("", "")
    begun, error = log.read_text().splitlines()
    assert begun.endswith(" INFO r")
    assert " ERROR " in error
    assert line in error


def test_a_job_without_room_for_its_log(log: Path, capfd: pytest.CaptureFixture):
    """What went wrong is told where errors of the job go otherwise; a job that goes well needs no log."""
    log.symlink_to("/dev/full")

    def refuse() -> None:
        raise InputError("x.png: no such file")

    assert run(log, refuse) == 1
    error = capfd.readouterr().err
    assert error.endswith(" ERROR x.png: no such file\n")
    assert error.count("\n") == 1
    with job(SimpleNamespace(threads=1, log=[log], rule="r", wildcards=[])) as progress:
        progress(1, 2)
        logging.getLogger("ensir").warning("odd")
    assert capfd.readouterr().err == ""


def test_a_log_that_cannot_be_written(log: Path):
    log.symlink_to(log.parent / "nowhere/job.log")
    with (
        pytest.raises(SystemExit, match=r"job.log: No such file or directory; fix the path, then run again"),
        job(SimpleNamespace(threads=1, log=[log], rule="r", wildcards=[])),
    ):
        pass


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_limit_of_threads_is_one_line(threads: int):
    """As a user who may have so many threads; HDF5, Zarr and OpenBLAS want more."""
    dropped = ["--reuid=65534", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    command = f"ulimit -u {threads}; exec {sys.executable} -c 'from ensir.cli import app; app()' fit"
    command += " --target gt --prediction a=a --prediction b=b -o out/my.lut"
    with tempfile.TemporaryDirectory() as name:  # one that everybody may enter
        folder = Path(name)
        folder.chmod(0o755)
        for model in "gt", "a", "b":
            image_files.write(folder / model / "1.png", np.zeros((16, 16, 3), np.uint8))
        (folder / "out").mkdir()
        (folder / "out").chmod(0o777)
        told = subprocess.run(
            ["setpriv", *dropped, "bash", "-c", command], cwd=folder, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        assert told.returncode == 1, told.stderr
        assert "error: no more threads can be started; allow more (`ulimit -u`), or use fewer" in told.stderr
        assert not list((folder / "out").glob("*.lut"))


def test_a_mistake_of_ours_keeps_its_traceback(log: Path):
    assert run(log, lambda: {}["x"]) == 1
    lines = log.read_text().splitlines()
    assert lines[1].endswith(" ERROR unexpected KeyError: 'x'; the log shows where")
    assert lines[2].startswith("Traceback")


def test_what_a_job_prints_is_in_its_log(log: Path, capfd: pytest.CaptureFixture):
    with job(SimpleNamespace(threads=1, log=[log], rule="r", wildcards=[])):
        os.write(2, b"of a library\n")
        subprocess.run(["echo", "of a process"], check=True)
        print("of Python", flush=True, file=open(1, "w", closefd=False))  # noqa: SIM115
    assert capfd.readouterr() == ("", "")
    assert log.read_text().splitlines()[1:-1] == ["of a library", "of a process", "of Python"]


def test_progress_is_logged_now_and_then(log: Path, monkeypatch: pytest.MonkeyPatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with job(SimpleNamespace(threads=1, log=[log], rule="r", wildcards=[])) as progress:
        for done in range(8000):
            now += 0.1
            progress(done, 8000)
    told = [int(line.rpartition(" INFO ")[2].split()[0]) for line in log.read_text().splitlines()[1:-1]]
    assert told[:3] == [10, 20, 30]  # every second
    assert told[-1] - told[-2] == 100  # every ten


def test_other_errors_are_no_matter_of_the_system():
    assert described(ValueError("3 values")) is None
    assert described(OSError("no number")) is None
    assert errno_of(OSError("file write failed: errno = 28, error message = '…'")) == errno.ENOSPC
    assert errno_of(OSError(errno.EPIPE, "Broken pipe")) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_that_python_ignores_comes_again(number: int):
    class Finalised:
        def __del__(self) -> None:
            signal.raise_signal(number)

    with pytest.raises((KeyboardInterrupt, Terminated)), stoppable():
        Finalised()
        gc.collect()
        until = time.monotonic() + 5
        while time.monotonic() < until:  # no call that lasts: it comes again between two of them
            time.sleep(0.01)
        pytest.fail("it did not come again")


def test_nothing_is_said_while_commands_are_imported():
    code = "import signal; from ensir.execution.stopping import silent\nwith silent(): signal.raise_signal(2)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")
    code = "import signal, ensir.cli; assert signal.getsignal(2) is signal.default_int_handler"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_threads_may_run_commands():
    with pytest.raises(ZeroDivisionError), stoppable():
        raise ZeroDivisionError
    found: list[str] = []

    def inside() -> None:
        with stoppable():
            found.append("ran")

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == ["ran"]


def test_no_advice_to_trust_a_file():
    advice = (
        "Weights only load failed. This file can still be loaded, to do so you have two options:\n"
        "(1) Re-running `torch.load` with `weights_only` set to `False`"
    )
    assert reason(ValueError(advice)) == "it is damaged, or holds more than numbers"
    assert reason(ValueError("first\nsecond")) == "first"
    assert reason(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("stage", "absent"),
    [("seal", {"numpy", "jaxtyping"}), ("provenance", {"numpy"}), ("score", {"jaxtyping", "scipy", "torch"})],
)
def test_a_job_starts_with_what_it_needs(stage: str, absent: set[str]):
    """There are many of these jobs, which last hardly longer than their imports."""
    code = f"import sys, ensir.execution.job, ensir.stages.{stage}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not absent & set(done.stdout.split())
