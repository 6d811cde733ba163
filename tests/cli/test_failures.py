"""Whatever fails or is stopped, a command says so in one line, and leaves inputs and folders as they were."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from test_cli import ensir

from ensir.cells import authors_format, lut
from ensir.cells.lut import LUT
from ensir.images import image_files
from ensir.storage.layout import Place

PREDICTIONS = ["--prediction", "a=a", "--prediction", "b=b"]
COMMANDS = {
    "fit": ["fit", "--target", "gt", *PREDICTIONS],
    "fuse": ["fuse", "--lut", "my.lut", *PREDICTIONS],
    "score": ["score", "--target", "gt", *PREDICTIONS],
    "lut show": ["lut", "show", "my.lut"],
    "lut export": ["lut", "export", "my.lut"],
    "lut import": ["lut", "import", "my.pth", "--model", "a", "--model", "b"],
    "restore": ["restore", "gt/1.png", "--sigma", "5", "--steps", "1", "--device", "cpu"],
    "dae train": ["dae", "train", "gt/*.png", "--sigma", "5", "--steps", "1", "--patch", "16",
                  "--validation", "1", "--batch", "1"],
    "dae measure": ["dae", "measure", "sigma25", "--images", "gt/*.png", "--sigma", "5"],
    "ptgrm train": ["ptgrm", "train", "set.zarr", "base.zarr", "--steps", "1"],
    "ptgrm show": ["ptgrm", "show", "mine.safetensors"],
    "publish": ["publish", "set.zarr"],
    "verify": ["verify", "results"],
    "gc": ["gc", "config.yaml"],
    "table": ["table", "summary.csv"],
}  # fmt: skip
FILES = [  # command, option of a file that it writes, suffix
    ("fit", "-o", ".lut"),
    ("score", "-o", ".csv"),
    ("lut export", "-o", ".pth"),
    ("lut import", "-o", ".lut"),
    ("restore", "-o", ".png"),
    ("restore", "--trace", ".csv"),
    ("restore", "--plot", ".svg"),
    ("dae train", "-o", ".safetensors"),
    ("ptgrm train", "-o", ".safetensors"),
]
FOLDERS = [("fuse", "-o"), ("fuse", "--error-map"), ("publish", "")]
NEEDED = {"restore": ("-o", "out.png"), "fuse": ("-o", "fused")}  # what is given beside another output


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every command reads."""
    root = tmp_path_factory.mktemp("sound")
    for model, noise in (("gt", 0), ("a", 5), ("b", 9)):
        for name in ("1", "2"):
            random = np.random.default_rng([int(name), noise])
            write_image(root / model / f"{name}.png", random.integers(90, 99 + noise, (24, 24, 3)))
    lut.save(small_lut(), Place.beside(root / "my.lut"))
    authors_format.write(lut.load(str(root / "my.lut")), str(root / "my.pth"))
    for store in ("set.zarr", "base.zarr"):
        (root / store / "part").mkdir(parents=True)
        for group in ("", "part/"):
            (root / store / f"{group}zarr.json").write_text("{}")
    (root / "results/digests").mkdir(parents=True)
    (root / "config.yaml").touch()
    (root / "summary.csv").write_text("experiment,method,dataset,metric,mean,n\nx,a,set,psnr,1,1\n")
    return root


@pytest.fixture
def folder(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with what every command reads."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    return tmp_path


def write_image(path: Path, value: np.ndarray) -> None:
    image_files.write(path, value.astype(np.uint8))


def small_lut() -> LUT:
    return LUT(
        models=("a", "b"),
        bin_width=128,
        bits=8,
        channels=1,
        key=np.arange(4),
        channel=np.zeros(4, np.int64),
        weights=np.full((4, 2), 0.5),
        count=np.ones(4, np.int64),
        iterations=np.zeros(4, np.int64),
        status=np.zeros(4, np.uint8),
        expected_squared_error=np.ones(4),
        fill="constant",
        fill_weights=np.full(2, 0.5),
        attributes={"method": "ensir"},
    )


def content(folder: Path) -> dict[str, bytes | None]:
    """Return all that is in a folder, hidden files too, but not the folder of locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if ".partial" not in path.parts
    }


def writing(command: str, option: str, output: object) -> list[str]:
    """Return the words of a command that writes there."""
    needed, path = NEEDED.get(command, ("", ""))
    beside = [needed, path] if needed and needed != option else []
    return [*COMMANDS[command], *beside, *([option] if option else []), str(output)]


def refused(folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int = 2) -> str:
    """Return the one line of a command that stops before it reads anything, and changes nothing."""

    def read(*_: object) -> None:
        pytest.fail("it was read")

    before = content(folder)
    with monkeypatch.context() as patched:
        for name in ("ensir.images.image_files.read", "ensir.cells.lut.load", "ensir.storage.upload.upload"):
            patched.setattr(name, read)
        error = ensir(*words, code=code).stderr
    assert re.fullmatch(r"error: .*\n", error)
    assert content(folder) == before
    return error


@pytest.mark.parametrize(("command", "option", "suffix"), FILES)
def test_files_that_cannot_be_written(folder: Path, monkeypatch, command: str, option: str, suffix: str):
    (folder / f"x{suffix}").mkdir()
    error = refused(folder, monkeypatch, writing(command, option, f"x{suffix}"))
    assert "is a folder; give the name of a file" in error
    error = refused(folder, monkeypatch, writing(command, option, f"config.yaml/x{suffix}"))
    assert "config.yaml is a file, not a folder; give another path" in error
    error = refused(folder, monkeypatch, writing(command, option, "x" * 250 + suffix))
    assert "File name too long" in error


@pytest.mark.parametrize(("command", "option"), FOLDERS)
def test_folders_that_cannot_be_written(folder: Path, monkeypatch, command: str, option: str):
    error = refused(folder, monkeypatch, writing(command, option, "config.yaml"))
    assert "is a file; give the name of a folder" in error
    error = refused(folder, monkeypatch, writing(command, option, "config.yaml/x"))
    assert "config.yaml is a file, not a folder; give another path" in error


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EDQUOT, errno.ENOSPC])
@pytest.mark.parametrize(
    ("command", "option", "output"),
    [(command, option, f"new/x{suffix}") for command, option, suffix in FILES]
    + [(command, option, "new") for command, option in FOLDERS],
)
def test_disks_that_cannot_be_written(folder, monkeypatch, command, option, output, number: int):
    def fail(dir: Path) -> None:
        raise OSError(number, os.strerror(number), str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    error = refused(folder, monkeypatch, writing(command, option, output))
    assert f"cannot be written ({os.strerror(number)}); " in error


@pytest.mark.parametrize(
    "words",
    [
        writing("fit", "-o", "a/1.png"),
        writing("fit", "-o", "gt/new.png"),
        writing("score", "-o", "a/1.png"),
        writing("fuse", "-o", "a"),
        writing("fuse", "--error-map", "b"),
        writing("fuse", "--error-map", "b/inside"),
        writing("fuse", "--error-map", "link"),
        writing("fuse", "--error-map", "fused"),
        writing("lut export", "-o", "my.lut"),
        writing("lut import", "-o", "my.pth"),
        writing("lut import", "-o", "a/../my.pth"),
        writing("restore", "-o", "gt/1.png"),
        writing("restore", "--trace", "out.png"),
        writing("restore", "--plot", "gt/1.png"),
        [*writing("restore", "--trace", "t.svg"), "--plot", "t.svg"],
        [*writing("restore", "-o", "a/1.png"), "--target", "a/1.png"],
        [*writing("restore", "--trace", "a/1.png"), "--mask", "a/1.png"],
        [*writing("restore", "--trace", "a/1.png"), "--kernel", "a/1.png"],
        [*writing("restore", "--trace", "net.safetensors"), "--dae", "net.safetensors"],
        writing("dae train", "-o", "gt/1.png"),
        writing("dae train", "-o", "x.checkpoint"),
        writing("dae train", "-o", "x.csv"),
        writing("ptgrm train", "-o", "set.zarr/mine.safetensors"),
        [*writing("ptgrm train", "-o", "net.safetensors"), "--prior", "net.safetensors"],
        writing("publish", "", "set.zarr"),
        writing("publish", "", "set.zarr/inside"),
    ],
    ids=" ".join,
)
def test_no_output_is_an_input(folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]):
    (folder / "link").symlink_to("a")
    assert re.search("is the same as|lies in", refused(folder, monkeypatch, words))


def test_no_fused_image_is_a_prediction(folder: Path):
    """The image `a/1`, fused into the folder above that of model a, would be that model's image `1`."""
    for path in ("over/a/1.png", "over/a/a/1.png", "b/a/1.png"):
        write_image(folder / path, np.zeros((24, 24, 3)))
    (folder / "b/2.png").unlink()
    before = content(folder)
    words = ["fuse", "--lut", "my.lut", "--prediction", "a=over/a", "--prediction", "b=b", "-o", "over"]
    error = ensir(*words, code=2).stderr
    assert "would overwrite over/a/1.png, which is read; choose another folder" in error
    assert content(folder) == before


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize(
    ("command", "option", "output"),
    [
        ("fuse", "-o", "new"),
        ("score", "-o", "x.csv"),
        ("lut export", "-o", "x.pth"),
        ("lut import", "-o", "x.lut"),
    ],
)
def test_errors_while_writing(folder: Path, monkeypatch, command, option, output, number: int):
    replace = os.replace

    def fail(source: object, target: object) -> None:
        if "__pycache__" in str(target):  # Numba keeps what it has compiled
            return replace(source, target)
        raise OSError(number, os.strerror(number), str(source))

    before = content(folder)
    monkeypatch.setattr(os, "replace", fail)
    error = ensir(*writing(command, option, output), code=1).stderr
    named = "new/1.png" if command == "fuse" else r"\S*" + output
    assert re.fullmatch(rf"error: {named}: {os.strerror(number)}; .*, then run again\n", error)
    assert {name for name in content(folder) if name != "new"} == set(before)


def test_inputs_that_cannot_be_read(folder: Path):
    """Files that the system refuses, not ones with wrong content: no advice to replace them."""
    (folder / "a/1.png").unlink()
    (folder / "a/1.png").symlink_to("1.png")
    error = ensir(*writing("score", "-o", "x.csv"), code=2).stderr
    assert "replace the file" not in error
    (folder / "d.safetensors").mkdir()
    error = ensir("ptgrm", "show", "d.safetensors", code=2).stderr
    assert "replace the file" not in error


class Hostile:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("executed",)


def test_hostile_files_are_neither_run_nor_recommended(folder: Path):
    torch.save({"x": Hostile()}, folder / "my.pth")
    torch.save({"x": Hostile()}, folder / "x.checkpoint")
    np.save(folder / "kernel.npy", np.array([[Hostile()]]), allow_pickle=True)
    for words in (
        writing("lut import", "-o", "x.lut"),
        writing("dae train", "-o", "x.safetensors"),
        [*writing("restore", "-o", "x.png"), "--kernel", "kernel.npy"],
    ):
        error = ensir(*words, code=2).stderr
        assert error.count("\n") == 1
        assert not re.search("weights_only|allow_pickle|False|trust|remove|delete", error)
        assert not (folder / "executed").exists()


# ── full disks ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def full(folder: Path) -> Iterator[Path]:
    """A folder on a disk that is full."""
    small = folder / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        with suppress(OSError), open(small / "filler", "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield small
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


WRITTEN_FIRST = {
    ("fuse", "-o"): "new/1.png",
    ("fuse", "--error-map"): "new/1.tif",
    ("restore", "-o"): r"\.partial/\w+\.npz",
    ("dae train", "-o"): "x.checkpoint",
}


@pytest.mark.parametrize(
    ("command", "option", "output"),
    [(command, option, f"x{suffix}") for command, option, suffix in FILES if command != "ptgrm train"]
    + [("fuse", "-o", "new"), ("fuse", "--error-map", "new")],
)
def test_full_disks(full: Path, command: str, option: str, output: str):
    error = ensir(*writing(command, option, full / output), code=1).stderr
    named = WRITTEN_FIRST.get((command, option), re.escape(output))
    what = "No space left on device; free some space on this disk, then run again"
    assert re.fullmatch(rf"error: {full}/{named}: {what}", error.splitlines()[-1])
    assert "Traceback" not in error
    assert not [path for path in full.rglob("*") if path.is_file() and path.name not in ("filler",) and
                ".partial" not in path.parts]  # fmt: skip


# ── stopped ─────────────────────────────────────────────────────────────────────────────────────────────────

STOPPED = {  # where a command is stopped
    "fit": "ensir.images.image_files.read",
    "fuse": "ensir.images.image_files.read",
    "score": "ensir.images.image_files.read",
    "lut show": "ensir.cells.lut.load",
    "lut export": "ensir.cells.lut.load",
    "lut import": "ensir.cells.authors_format.read",
    "restore": "ensir.images.image_files.read",
    "dae train": "ensir.networks.dae_training.train",
    "dae measure": "ensir.images.image_files.read",
    "ptgrm train": "ensir.networks.refiner_training.train",
    "ptgrm show": "ensir.networks.refiner.read",
    "publish": "ensir.storage.upload.upload",
    "verify": "ensir.storage.verification.verify",
    "gc": "ensir.config.reading.load",
    "table": "ensir.cli.score_table.show",
}
OUTPUTS = {command: (option, f"x{suffix}") for command, option, suffix in reversed(FILES)}
OUTPUTS |= {command: (option, "new") for command, option in reversed(FOLDERS)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", COMMANDS)
def test_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch, command: str, number: signal.Signals):
    def stop(*_: object, **__: object) -> None:
        signal.raise_signal(number)

    monkeypatch.setattr(STOPPED[command], stop)
    monkeypatch.setattr("ensir.networks.refiner_training.Examples", lambda *_: None)
    words = writing(command, *OUTPUTS[command]) if command in OUTPUTS else COMMANDS[command]
    error = ensir(*words, code=128 + number).stderr
    if "train" not in command:
        assert error == "stopped; finished work is kept; run the same command to go on\n"
        return
    assert error == "stopped; before the first checkpoint; run the same command to start over\n"
    (folder / "x.checkpoint").touch()
    error = ensir(*words, code=128 + number).stderr
    assert error == "stopped; the checkpoint x.checkpoint is kept; run the same command to go on\n"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_fit_writes_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a temporary folder")

    monkeypatch.setattr(tempfile, "mkdtemp", fail)
    before = content(folder)
    ensir(*writing("fit", "-o", "x.lut"))
    assert content(folder).keys() - before.keys() == {"x.lut"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_that_a_library_swallows(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
):
    """In a library, of C or not, that ignores every exception: nothing is written after it, and the command ends ill."""
    given = lut.LUT.__init__

    def swallow(*arguments: object, **options: object) -> None:
        with suppress(BaseException):
            signal.raise_signal(number)
        given(*arguments, **options)

    monkeypatch.setattr(lut.LUT, "__init__", swallow)
    error = ensir(*writing("fit", "-o", "x.lut"), code=128 + number).stderr
    assert error == "stopped; finished work is kept; run the same command to go on\n"
    assert not (folder / "x.lut").exists()
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    ensir(*writing("fit", "-o", "x.lut"))  # the next command knows nothing of it
    assert (folder / "x.lut").exists()


def wait_for(ready: Callable[[], bool], process: subprocess.Popen) -> None:
    while not ready():
        assert process.poll() is None
        time.sleep(0.005)
