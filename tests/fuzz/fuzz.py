"""Feed garbage to everything that reads files, and count: no crash, one clear error, nothing executed, memory bounded.

`python tests/fuzz/fuzz.py [CASES] [SEED]`: so many cases in all, drawn from the seed. Each is a sound file that was
damaged, or one that was made to do harm. A case passes if it is read, or refused with an InputError that names the file.
"""

from __future__ import annotations

import faulthandler
import io
import logging
import os
import pickle
import resource
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import PIL.Image
import tifffile
import torch

from ensir.cells import authors_format, lut
from ensir.config import reading
from ensir.errors import InputError
from ensir.images import array_files, image_files
from ensir.networks import spandrel_files
from ensir.storage.layout import Place

MEMORY = 4 * 2**30  # bytes beyond what the libraries take
PATIENCE = 30  # seconds for a case; then the run ends with a traceback
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Target:
    """Something that reads files: sound ones to damage, harmful ones to feed as they are."""

    name: str
    extension: str
    read: Callable[[str], object]
    sound: list[bytes]
    harmful: list[bytes]
    share: int


# ── damage ──────────────────────────────────────────────────────────────────────────────────────────────────


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Flip bits, cut, repeat, overwrite or swap: one to four such changes."""
    data = bytearray(content)
    for _ in range(random.integers(1, 5)):
        if not data:
            break
        at = int(
            random.integers(len(data)) if random.random() < 0.5 else random.integers(min(len(data), 256))
        )
        length = int(min(len(data) - at, 2 ** random.integers(0, 9)))
        match random.integers(7):
            case 0 | 1:
                data[at] ^= 1 << int(random.integers(8))
            case 2:
                del data[at:]
            case 3:
                data[at : at + length] = random.bytes(length)
            case 4:
                data[at:at] = data[at : at + length]
            case 5:
                data[at : at + 4] = struct.pack(">I", int(random.choice([0, 1, 2**16, 2**31 - 1, 2**32 - 1])))
            case _:
                del data[at : at + length]
    return bytes(data)


# ── sound and harmful files ─────────────────────────────────────────────────────────────────────────────────


def picture(dtype: type, channels: int) -> np.ndarray:
    top = np.iinfo(dtype).max
    image = np.random.default_rng(0).integers(0, top, (24, 20, channels)).astype(dtype)
    return image[:, :, 0] if channels == 1 else image


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims a size: few bytes for any number of zeros."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    pixels = zlib.compress(bytes(min((3 * width + 1) * height, 2**24)))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def as_bytes(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def pillow(image: np.ndarray, kind: str) -> bytes:
    return as_bytes(lambda file: PIL.Image.fromarray(image).save(file, kind))


def hdf5(image: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    def write(file: io.BytesIO) -> None:
        with h5py.File(file, "w") as group:
            if shape:  # claims much, holds nothing
                group.create_dataset("prediction", shape, np.float64, chunks=True, compression="gzip")
            else:
                group["prediction"] = image

    return as_bytes(write)


class Harm:
    """Unpickled, it would leave a file behind."""

    def __init__(self, sign: Path):
        self.sign = sign

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.sign}",)


def harmful_pickles(sign: Path) -> list[bytes]:
    """Code in a pickle, bare, inside PyTorch's archive, inside weights."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({"weight": Harm(sign)}))
        file.writestr("archive/version", "3")
        file.writestr("archive/byteorder", "little")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", bytes(2**26))
        file.writestr("archive/version", "3")
    return [
        pickle.dumps(Harm(sign)),
        archive.getvalue(),
        as_bytes(lambda file: torch.save({"weight": Harm(sign), "bias": torch.zeros(3)}, file)),
        bomb.getvalue(),
    ]


def a_lut(folder: Path) -> bytes:
    found = lut.LUT(
        models=("a", "b"), bin_width=64, bits=8, channels=1,
        key=np.array([0, 5, 10]), channel=np.zeros(3, np.int64), weights=np.full((3, 2), 0.5),
        count=np.full(3, 100), iterations=np.ones(3, np.int64), status=np.full(3, 2, np.uint8),
        expected_squared_error=np.ones(3), fill="constant", fill_weights=np.full(2, 0.5),
        reference_images=("r",), reference_digests=("0",), attributes={"method": "ensir"},
    )  # fmt: skip
    lut.save(found, Place.beside(folder / "sound.lut"))
    authors_format.write(found, folder / "sound.pth")
    return (folder / "sound.lut").read_bytes()


def fused(path: str) -> None:
    """Read a LUT, and use it: whatever was read must stay within its table."""
    x = np.arange(2 * 3 * 64, dtype=np.uint8).reshape(2, 3, 64)
    found = lut.load(path)
    if len(found.models) == 2 and found.bits == 8 and found.channels in (1, 3):
        lut.LutMethod({}, found).fuse(x)


def targets(folder: Path, sign: Path) -> Iterator[Target]:
    rgb, deep, grey = picture(np.uint8, 3), picture(np.uint16, 3), picture(np.uint8, 1)
    bombs = [
        png_of_size(2**31 - 1, 2**31 - 1),
        png_of_size(2**17, 2**17),
        png_of_size(12000, 12000),
        b"",
        b"\x89PNG",
    ]
    png = [imagecodecs.png_encode(image) for image in (rgb, deep, grey)]
    jpg, tiff = pillow(rgb, "JPEG"), [as_bytes(lambda f, i=i: tifffile.imwrite(f, i)) for i in (rgb, deep)]
    yield Target("PNG", ".png", image_files.read, png, [*bombs, jpg, pillow(grey, "GIF")], 20)
    yield Target(
        "JPEG", ".jpg", image_files.read, [jpg, pillow(grey, "JPEG")], [png[0], png[1], b"\xff\xd8"], 15
    )
    yield Target(
        "TIFF",
        ".tif",
        image_files.read,
        [*tiff, pillow(rgb, "TIFF")],
        [png[0], b"II*\0", b"MM\0+" + bytes(99)],
        12,
    )
    floats = np.ones((24, 20, 3), np.float32)
    npy = as_bytes(lambda file: np.save(file, floats))
    objects = as_bytes(lambda file: np.save(file, np.array([Harm(sign)], object), allow_pickle=True))
    huge = npy.replace(b"(24, 20, 3)", b"(99999999, 99999, 3)")
    yield Target("npy", ".npy", lambda path: array_files.read(path, None), [npy], [objects, huge, b""], 8)
    claimed = hdf5(floats, (2**20, 2**20, 3))
    yield Target(
        "HDF5", ".h5", lambda path: array_files.read(path, None), [hdf5(floats)], [claimed, b"", npy], 8
    )
    configs = [path.read_bytes() for path in sorted((REPOSITORY / "config").rglob("*.yaml"))]
    laughs = b"a: &a [x, x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(98, 123)
    )
    endless = b"a: &a [*a]\n"
    harm = b"experiments: !!python/object/apply:os.system ['touch %s']\n" % str(sign).encode()
    yield Target(
        "configuration",
        ".yaml",
        reading.load,
        configs,
        [laughs, endless, harm, b"\0", b"[" * 5000, b"a: " * 99],
        18,
    )
    yield Target("LUT", ".lut", fused, [a_lut(folder)], [npy, b"", claimed], 7)
    pth = (folder / "sound.pth").read_bytes()
    pickles = harmful_pickles(sign)
    yield Target(
        "published LUT", ".pth", lambda path: authors_format.read(path, "ab"), [pth], [*pickles, b""], 5
    )
    weights = as_bytes(lambda file: torch.save({"weight": torch.zeros(4, 3)}, file))
    yield Target("weights", ".pth", spandrel_files.read_weights, [weights], [*pickles, pth[:99]], 4)
    from safetensors.torch import save

    safe = save({"weight": torch.zeros(4, 3)})
    claims = struct.pack("<Q", 2**40) + b"{}"
    yield Target("safetensors", ".safetensors", spandrel_files.read_weights, [safe], [claims, *pickles], 3)


# ── run ─────────────────────────────────────────────────────────────────────────────────────────────────────


def forbid_execution() -> None:
    """From now on, starting a program or a connection is an error of the case that does it."""

    def hook(event: str, arguments: tuple) -> None:
        if event in (
            "os.system",
            "os.exec",
            "os.posix_spawn",
            "subprocess.Popen",
            "os.fork",
            "socket.connect",
        ):
            raise AssertionError(f"{event} {arguments}")

    sys.addaudithook(hook)


def limit_memory() -> None:
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))


def feed(target: Target, content: bytes, path: Path) -> str:
    """Return "read", "refused", or what went wrong."""
    path.write_bytes(content)
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    try:
        target.read(str(path))
    except InputError as error:
        return "refused" if str(path) in str(error) else f"does not name the file: {error}"
    except BaseException:
        return traceback.format_exc(limit=-3)
    finally:
        faulthandler.cancel_dump_traceback_later()
    return "read"


def main() -> None:
    faulthandler.enable()
    logging.disable()  # libraries tell of each damaged tag, warn, and fail to close what they could not open
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None
    total, seed = (int(n) for n in [*sys.argv[1:], *["10000", "0"][len(sys.argv) - 1 :]])
    failures = 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        folder, sign = Path(name), Path(name) / "executed"
        fed = list(targets(folder, sign))
        for target in fed:  # libraries load before the limits
            assert feed(target, target.sound[0], folder / f"sound{target.extension}") in (
                "read",
                "refused",
            ), target.name
        forbid_execution()
        limit_memory()
        shares = sum(target.share for target in fed)
        print(f"{'reads':16}{'cases':>8}{'read':>8}{'refused':>9}{'failed':>8}{'seconds':>9}", flush=True)
        fed_cases = 0
        for target in fed:
            random = np.random.default_rng([seed, *target.name.encode()])
            begun, counts = time.monotonic(), {"read": 0, "refused": 0, "failed": 0}
            for case in range(-(-total * target.share // shares)):
                sound = target.sound[case % len(target.sound)]
                content = target.harmful[case] if case < len(target.harmful) else damaged(sound, random)
                result = feed(target, content, folder / f"case{target.extension}")
                if sign.exists():
                    result = "the file was executed"
                    sign.unlink()
                counts[result if result in counts else "failed"] += 1
                if result not in counts:
                    print(f"{target.name}, case {case}, seed {seed}: {result}", flush=True)
            cases = sum(counts.values())
            fed_cases += cases
            failures += counts["failed"]
            numbers = f"{cases:8}{counts['read']:8}{counts['refused']:9}{counts['failed']:8}"
            print(f"{target.name:16}{numbers}{time.monotonic() - begun:9.1f}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{fed_cases} cases, {failures} failed, {time.monotonic() - started:.0f} s, peak memory {peak:,.0f} MB"
    )
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
