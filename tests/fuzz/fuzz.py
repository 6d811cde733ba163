"""Feed garbage to everything that reads files, and count: no crash, one clear error, nothing executed, memory bounded.

`python tests/fuzz/fuzz.py [CASES] [SEED] [KIND...]`: so many cases in all, drawn from the seed, of all kinds or of some.
Each is a sound file that was damaged, or one that was made to do harm: it passes if it is read, or refused with an
InputError that names the file. Of the last kinds (depth, orientation, photometric, range, links, stale) it is known what
a file holds, or whether it has changed: it passes if just that is read or noticed, or if it is refused. `strangers` has
those that mean harm: shared stores, and HDF5 files that reach for others.
"""

from __future__ import annotations

import faulthandler
import io
import logging
import os
import pickle
import resource
import shutil
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
from functools import partial
from itertools import repeat
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import PIL.Image
import tifffile
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import files
import strangers
from pictures import SHORT, chunk, exif, packed, png, scaled, subsampled, tiff, upright

from ensir import registry, restorers
from ensir.cells import authors_format, lut
from ensir.config import reading
from ensir.errors import InputError
from ensir.images import formats, image_files, listing
from ensir.images.depth import to_integers
from ensir.networks import spandrel_files
from ensir.storage import sources
from ensir.storage.digests import sha256
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
    yield Target("npy", ".npy", lambda path: image_files.read_values(path), [npy], [objects, huge, b""], 8)
    claimed = hdf5(floats, (2**20, 2**20, 3))
    yield Target(
        "HDF5", ".h5", lambda path: image_files.read_values(path), [hdf5(floats)], [claimed, b"", npy], 8
    )
    for name, extension, sound, harmful in files.formats(rgb, deep):
        harmful = [*harmful, *(harmful_pickles(sign) if extension == ".pt" else [])]
        yield Target(name, extension, lambda path: image_files.read_values(path), sound, harmful, 3)
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


# ── files of which it is known what they hold ───────────────────────────────────────────────────────────────


def shown(folder: Path, content: bytes, expected: np.ndarray | None, random: np.random.Generator) -> str:
    """Read an image under any name; None is expected of one that has to be refused."""
    path = folder / f"case{random.choice(formats.IMAGE_SUFFIXES)}"
    path.write_bytes(content)
    try:
        found = image_files.read(str(path))
        promised = image_files.shape(str(path))
    except InputError as error:
        return "refused" if str(path) in str(error) else f"does not name the file: {error}"
    if expected is None:
        return "read, though it has no one meaning"
    expected = expected if expected.ndim == 3 else expected[:, :, None]
    if promised != found.shape:
        return f"is {found.shape}, its header says {promised}"
    if found.dtype != expected.dtype or not np.array_equal(found, expected):
        return f"holds {found.dtype} {found.shape}, not {expected.dtype} {expected.shape}, or other values"
    return "read"


def some_codes(random: np.random.Generator, bits: int, channels: int) -> np.ndarray:
    size = tuple(random.integers(1, 20, 2))
    return random.integers(0, 2**bits, size if channels == 1 else (*size, channels))


def depth(random: np.random.Generator, folder: Path) -> str:
    """Codes of any depth: packed, in a larger type that says so, or not scaled up."""
    channels = int(random.choice([1, 3]))
    match random.integers(4):
        case 0:
            bits = int(random.integers(1, 17))
            codes = some_codes(random, bits, channels)
            content = tiff(codes, bits, 1 if channels == 1 else 2, planar=bool(random.integers(2)))
        case 1:
            held = int(random.choice([8, 16]))
            bits = int(random.integers(1, held))
            codes = some_codes(random, bits, channels)
            stated = {int(random.choice([281, 341])): (SHORT, [2**bits - 1] * channels)}
            content = tiff(codes, held, 1 if channels == 1 else 2, stated)
        case 2:
            bits = int(random.choice([8, 16] if channels == 3 else [1, 2, 4, 8, 16]))
            codes = some_codes(random, bits, channels)
            content = png(codes, bits, interlaced=bool(random.integers(2)))
        case _:
            bits = int(random.integers(9, 16))
            codes = some_codes(random, bits, channels)
            codes.flat[0] |= 1  # or else it could be a dark image that is scaled up
            content = png(codes, 16, chunk(b"sBIT", bytes([bits] * channels)))
    return shown(folder, content, scaled(codes, bits), random)


def orientation(random: np.random.Generator, folder: Path) -> str:
    """Any orientation, stated as each format does; what is out of bounds means nothing."""
    value, bits = int(random.integers(0, 11)), int(random.choice([8, 16]))
    channels = int(random.choice([1, 3]))
    codes = some_codes(random, bits, channels)
    image = scaled(codes, bits)
    data = exif(value, str(random.choice(["<", ">"])))
    match random.integers(4):
        case 0:
            content = png(codes, bits, before=chunk(b"eXIf", data))
        case 1:
            content = png(codes, bits, after=chunk(b"eXIf", data))
        case 2:
            tags = {274: (SHORT, [value])}
            content = tiff(codes, bits, 1 if channels == 1 else 2, tags, planar=bool(random.integers(2)))
        case _:
            image = random.integers(0, 256, (*image.shape[:2], 3), np.uint8)
            lossless = random.integers(2)
            kind, options = ("WEBP", {"lossless": True}) if lossless else ("JPEG", {})
            file = io.BytesIO()
            PIL.Image.fromarray(image).save(file, kind, exif=b"Exif\0\0" + data, **options)
            content = file.getvalue()
            image = image if lossless else np.asarray(PIL.Image.open(io.BytesIO(content)))
    return shown(folder, content, upright(image, value if value in range(1, 9) else 1), random)


def photometric(random: np.random.Generator, folder: Path) -> str:
    """Any meaning of the values of a TIFF, or of a PNG: palettes, inverted, chroma, alpha, CMYK, …"""
    bits = int(random.choice([1, 2, 4, 8]))
    expected: np.ndarray | None
    match random.integers(6):
        case 0:
            bits = int(random.integers(1, 17))
            codes = some_codes(random, bits, 1)
            content, expected = tiff(codes, bits, 0), scaled(2**bits - 1 - codes, bits)
        case 1:
            palette, codes = random.integers(0, 256, (2**bits, 3)), some_codes(random, bits, 1)
            factor = int(random.choice([256, 257]))
            tags = {320: (SHORT, [int(value) * factor for value in palette.T.ravel()])}
            content, expected = tiff(codes, bits, 3, tags), palette[codes].astype(np.uint8)
        case 2:
            palette, codes = random.integers(0, 256, (2**bits, 3)), some_codes(random, bits, 1)
            opacity = int(random.choice([0, 100, 255]))
            content = png(codes, bits, chunk(b"tRNS", bytes([opacity])), palette=palette)
            hidden = opacity < 255 and (codes == 0).any()
            expected = None if hidden else palette[codes].astype(np.uint8)
        case 3:
            across, down = (int(n) for n in random.choice([(1, 1), (2, 1), (2, 2), (4, 1), (4, 4)]))
            blocks = random.integers(0, 256, (3, 2, 3)).repeat(down, axis=0).repeat(across, axis=1)
            ycbcr = blocks.astype(np.uint8)
            strip = subsampled(ycbcr, across, down)
            content = tiff(ycbcr, 8, 6, {530: (SHORT, [across, down])}, strips=[strip])
            expected = np.asarray(PIL.Image.fromarray(ycbcr, "YCbCr").convert("RGB"))
            if (across, down) != (1, 1):  # libtiff rounds in its own way, by one level
                (folder / "case.tif").write_bytes(content)
                found = image_files.read(str(folder / "case.tif"))
                far = np.abs(found.astype(int) - expected).max() > 1
                return "has other colours" if far else "read"
        case 4:
            bits, channels = int(random.choice([8, 16])), int(random.choice([2, 4]))
            codes = some_codes(random, bits, channels)
            opaque = bool(random.integers(2))
            codes[..., -1] = 2**bits - 1 if opaque else codes[..., -1] // 2
            expected = scaled(codes[..., :-1], bits) if opaque else None
            kind, extra = (1 if channels == 2 else 2), int(random.integers(3))
            content = (
                png(codes, bits) if random.integers(2) else tiff(codes, bits, kind, {338: (SHORT, [extra])})
            )
        case _:
            kind, channels = [(5, 4), (8, 3), (9, 3), (10, 3), (32803, 1), (34892, 1), (4, 1), (777, 3)][
                random.integers(8)
            ]
            codes = some_codes(random, 8, channels)
            content, expected = tiff(codes, 8, kind, strips=[b"".join(packed(codes, 8))]), None
    return shown(folder, content, expected, random)


def value_range(random: np.random.Generator, folder: Path) -> str:
    """Floats in one range that are declared to be in another; unsigned integers, of which none is declared."""
    ranges = [(0, 1), (-1, 1), (0, 255), (0, 65535)]
    held, declared = (ranges[i] for i in random.integers(4, size=2))
    bits = int(random.choice([8, 16]))
    top = 2**bits - 1
    path = folder / f"case{random.choice(['.npy', '.h5'])}"
    relative = random.beta(0.5 + random.random(), 0.5 + random.random(), (16, 18, 3))  # of black and white
    relative.flat[:30], relative.flat[30:60] = 0, 1
    if random.random() < 0.3:
        value = np.rint(relative * top).astype(f"{random.choice(['<', '>'])}u{bits // 8}")
        expected, right = value, True
    else:
        black, white = held
        value = (black + relative * (white - black)).astype(
            f"{random.choice(['<', '>'])}f{random.choice([4, 8])}"
        )
        expected, right = relative * top, held == declared
    path.unlink(missing_ok=True)
    if path.suffix == ".npy":
        np.save(path, value)
    else:
        with h5py.File(path, "w") as file:
            file["prediction"] = value
    model = {"kind": "folder", "value_range": list(declared), "array": None, "any_range": False}
    degraded = restorers.Degraded("x", None, value.shape, bits, 1, None, extent=lambda: (0.0, 255.0))
    try:
        (found,) = (
            registry.module("restorers", (model)["kind"]).Restorer(model, [str(path)]).restore([degraded])
        )
        found = to_integers(found, f"uint{bits}", str(path))
    except InputError as error:
        return "refused" if str(path) in str(error) and not right else f"is refused: {error}"
    if not right:
        return f"is read as {declared}, though it is in {held}"
    near = np.abs(found.astype(float) - expected).max() <= 0.51
    return "read" if near else "has other values"


def links(random: np.random.Generator, folder: Path) -> str:
    """Folders with links to each other, to themselves, to files and to nothing."""
    root = folder / "tree"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    folders = [root]
    for i in range(random.integers(1, 6)):
        folders.append(folders[random.integers(len(folders))] / f"f{i}")
        folders[-1].mkdir()
    for i in range(random.integers(1, 9)):
        (folders[random.integers(len(folders))] / f"{i}.png").touch()
    for i in range(random.integers(0, 6)):
        link, aim = (folders[random.integers(len(folders))] for _ in range(2))
        files = sorted(aim.glob("*.png"))
        match random.integers(4):
            case 0 if files:
                os.symlink(files[0], link / f"l{i}.png")
            case 1 if random.random() < 0.2:
                os.symlink("nowhere", link / f"l{i}.png")
            case _:
                os.symlink(os.path.relpath(aim, link), link / f"l{i}")
    reached, waiting = set(), [os.path.realpath(root)]
    while waiting:
        here = waiting.pop()
        if here not in reached:
            reached.add(here)
            waiting += [os.path.realpath(entry.path) for entry in os.scandir(here) if entry.is_dir()]
    expected = sorted(
        os.path.join(here, name) for here in reached for name in os.listdir(here) if name.endswith(".png")
    )
    broken = any(not os.path.exists(path) for path in expected)
    try:
        found = listing.find(f"{root}/**/*.png", "key")
    except InputError as error:
        return "refused" if broken and "which does not exist" in str(error) else f"is refused: {error}"
    if broken:
        return "does not tell of a broken link"
    paths = sorted(
        os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        for path in found.values()
    )
    return "read" if paths == expected else f"finds {paths}, not {expected}"


def stale(random: np.random.Generator, folder: Path) -> str:
    """Files that results were made from, replaced, touched, moved, linked or exchanged in any way, and lost records."""
    root = folder / "sources"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    files = [str(root / f"{i}.png") for i in range(random.integers(1, 5))]
    for file in files:
        Path(file).write_bytes(random.bytes(9))
    before, record = [Path(file).read_bytes() for file in files], root / "record.json"
    digests = list(map(sha256, files))
    with sources.recorded(record, 0, files):
        pass
    for _ in range(random.integers(1, 4)):
        file, other = (Path(str(random.choice(files))) for _ in range(2))
        status, content = os.stat(file), random.bytes(9) if random.random() < 0.5 else file.read_bytes()
        beside = root / f"{len(os.listdir(root))}.beside"
        match random.integers(6):
            case 0:
                os.utime(file, ns=(0, int(random.integers(2**60))))
            case 1:
                file.write_bytes(content)
            case 2:
                beside.write_bytes(content)
                os.replace(beside, file)
            case 3:
                beside.write_bytes(content)
                file.unlink()
                os.link(beside, file)
            case 4:
                beside.write_bytes(content)
                file.unlink()
                os.symlink(beside.name, file)
            case _:
                os.rename(file, beside)
                os.rename(other, file) if other != file else os.rename(beside, file)
                if other != file:
                    os.rename(beside, other)
        if random.random() < 0.5:
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    if random.random() < 0.2:
        record.write_bytes(damaged(record.read_bytes(), random)) if random.random() < 0.5 else record.unlink()
        if sources.read(record) is not None:  # the damage is in what counts for nothing
            record.unlink()
    held = sources.read(record)
    same = [Path(file).read_bytes() for file in files] == before
    if not sources.unread(held, files):
        noticed = held is not None and held.wanted != 0
    else:
        noticed = sources.compared(held, files, lambda: sources.Known(digests, [])).wanted != 0
    return "read" if noticed != same else f"{'notices a change' if noticed else 'notices no change'}: {same=}"


KNOWN: dict[str, tuple[Callable[[np.random.Generator, Path], str], int]] = {
    "depth": (depth, 12),
    "orientation": (orientation, 10),
    "photometric": (photometric, 10),
    "range": (value_range, 8),
    "links": (links, 6),
    "stale": (stale, 6),
    "shared stores": (partial(strangers.stores, damaged=damaged), 12),
    "shared datasets": (partial(strangers.datasets, damaged=damaged), 12),
    "HDF5 links": (partial(strangers.hdf5_files, damaged=damaged), 12),
}


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
    try:
        target.read(str(path))
    except InputError as error:
        return "refused" if str(path) in str(error) else f"does not name the file: {error}"
    return "read"


def guarded(case: Callable[[], str]) -> str:
    """Run a case within the time that it may take; a crash is its result."""
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    try:
        return case()
    except BaseException:
        return traceback.format_exc(limit=-3)
    finally:
        faulthandler.cancel_dump_traceback_later()


def damages(target: Target, cases: int, seed: int, folder: Path) -> Iterator[Callable[[], str]]:
    """Yield the cases of a target: what is harmful as it is, then what is sound with damage."""
    random = np.random.default_rng([seed, *target.name.encode()])
    for case in range(cases):
        sound = target.sound[case % len(target.sound)]
        content = target.harmful[case] if case < len(target.harmful) else damaged(sound, random)
        yield partial(feed, target, content, folder / f"case{target.extension}")


def main() -> None:
    faulthandler.enable()
    logging.disable()  # libraries tell of each damaged tag, warn, and fail to close what they could not open
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None
    total, seed = (int(n) for n in [*sys.argv[1:3], *["20000", "0"][len(sys.argv[1:3]) :]])
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
        for check, _ in KNOWN.values():
            for first in range(20):
                check(np.random.default_rng(first), folder)
        shares = {target.name: target.share for target in fed} | {
            kind: share for kind, (_, share) in KNOWN.items()
        }
        asked = sys.argv[3:] or list(shares)
        counted = {kind: -(-total * shares[kind] // sum(shares[kind] for kind in asked)) for kind in asked}
        runs: dict[str, Iterator[Callable[[], str]]] = {
            target.name: damages(target, counted.get(target.name, 0), seed, folder) for target in fed
        }
        for kind, (check, _) in KNOWN.items():
            random = np.random.default_rng([seed, *kind.encode()])
            runs[kind] = repeat(partial(check, random, folder), counted.get(kind, 0))
        forbid_execution()
        limit_memory()
        print(f"{'reads':16}{'cases':>8}{'read':>8}{'refused':>9}{'failed':>8}{'seconds':>9}", flush=True)
        for kind in asked:
            begun, counts = time.monotonic(), {"read": 0, "refused": 0, "failed": 0}
            for number, case in enumerate(runs[kind]):
                result = guarded(case)
                if sign.exists():
                    result = "the file was executed"
                    sign.unlink()
                counts[result if result in counts else "failed"] += 1
                if result not in counts:
                    print(f"{kind}, case {number}, seed {seed}: {result}", flush=True)
            failures += counts["failed"]
            numbers = f"{sum(counts.values()):8}{counts['read']:8}{counts['refused']:9}{counts['failed']:8}"
            print(f"{kind:16}{numbers}{time.monotonic() - begun:9.1f}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cases = sum(counted.values())
    print(f"{cases} cases, {failures} failed, {time.monotonic() - started:.0f} s, peak memory {peak:,.0f} MB")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
