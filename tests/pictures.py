"""Image files made by hand, with what they hold: of depths, colours and orientations that writers seldom offer."""

from __future__ import annotations

import struct
import zlib

import numpy as np

SHORT, LONG, RATIONAL = 3, 4, 5
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def scaled(codes: np.ndarray, bits: int) -> np.ndarray:
    """What codes of so many bits mean: in 8 bit up to 8, in 16 bit beyond."""
    top, dtype = (255, np.uint8) if bits <= 8 else (65535, np.uint16)
    return np.rint(codes.astype(np.float64) * top / (2**bits - 1)).astype(dtype)


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """The image as a viewer shows it."""
    transposed = image.swapaxes(0, 1)
    return {
        1: image,
        2: np.fliplr(image),
        3: np.rot90(image, 2),
        4: np.flipud(image),
        5: transposed,
        6: np.rot90(image, -1),
        7: np.rot90(transposed, 2),
        8: np.rot90(image, 1),
    }[orientation]


def exif(orientation: int, order: str = "<") -> bytes:
    """EXIF data that holds an orientation and nothing else."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x112, SHORT, 1, orientation, 0, 0)


def packed(codes: np.ndarray, bits: int) -> list[bytes]:
    """Rows of codes, bit by bit, each row filled up to a whole byte."""
    rows = []
    for row in codes.reshape(len(codes), -1):
        text = "".join(format(int(code), f"0{bits}b") for code in row)
        text += "0" * (-len(text) % 8)
        rows.append(int(text, 2).to_bytes(len(text) // 8, "big"))
    return rows


# ── PNG ─────────────────────────────────────────────────────────────────────────────────────────────────────


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(
    codes: np.ndarray,
    bits: int,
    before: bytes = b"",
    after: bytes = b"",
    palette: np.ndarray | None = None,
    interlaced: bool = False,
) -> bytes:
    """A PNG file of codes (height, width) or (height, width, 2 to 4), with chunks before and after the pixels."""
    height, width = codes.shape[:2]
    channels = 1 if codes.ndim == 2 else codes.shape[2]
    colour = 3 if palette is not None else {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    passes = [codes[y::dy, x::dx] for y, x, dy, dx in PASSES] if interlaced else [codes]
    rows = b"".join(b"\0" + row for one in passes if one.size for row in packed(one, bits))
    colours = b"" if palette is None else chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced))
        + colours
        + before
        + chunk(b"IDAT", zlib.compress(rows))
        + after
        + chunk(b"IEND", b"")
    )


# ── TIFF ────────────────────────────────────────────────────────────────────────────────────────────────────


def tiff(
    codes: np.ndarray,
    bits: int,
    photometric: int,
    tags: dict[int, tuple[int, list[int]]] | None = None,
    planar: bool = False,
    strips: list[bytes] | None = None,
) -> bytes:
    """A big-endian TIFF file of codes (height, width) or (height, width, channel).

    Parameters
    ----------
    tags : dict
        Type and values of further tags, or of others than are usual, by number.
    planar : bool
        One channel after the other.
    strips : list of bytes
        The pixels, where they are not simply packed.
    """
    height, width = codes.shape[:2]
    channels = 1 if codes.ndim == 2 else codes.shape[2]
    if strips is None:
        planes = [codes[..., c] for c in range(channels)] if planar and channels > 1 else [codes]
        order = ">u2" if bits == 16 else None
        strips = [
            plane.astype(order).tobytes() if order else b"".join(packed(plane, bits)) for plane in planes
        ]
    content, offsets = b"", []
    for strip in strips:
        offsets.append(8 + len(content))
        content += strip + b"\0" * (len(strip) % 2)
    rows = -(-height // (len(strips) // (channels if planar else 1)))
    entries: dict[int, tuple[int, list[int]]] = {
        256: (SHORT, [width]),
        257: (SHORT, [height]),
        258: (SHORT, [bits] * channels),
        259: (SHORT, [1]),
        262: (SHORT, [photometric]),
        273: (LONG, offsets),
        277: (SHORT, [channels]),
        278: (SHORT, [rows]),
        279: (LONG, [len(strip) for strip in strips]),
        284: (SHORT, [2 if planar else 1]),
        **(tags or {}),
    }
    directory = 8 + len(content)
    beyond = directory + 2 + 12 * len(entries) + 4
    listed, long = struct.pack(">H", len(entries)), b""
    for tag, (kind, values) in sorted(entries.items()):
        value = struct.pack(f">{len(values)}{'H' if kind == SHORT else 'I'}", *values)
        count = len(values) // 2 if kind == RATIONAL else len(values)
        listed += struct.pack(">HHI", tag, kind, count)
        if len(value) <= 4:
            listed += value.ljust(4, b"\0")
        else:
            listed += struct.pack(">I", beyond + len(long))
            long += value + b"\0" * (len(value) % 2)
    return b"MM\0*" + struct.pack(">I", directory) + content + listed + bytes(4) + long


def subsampled(ycbcr: np.ndarray, across: int, down: int) -> bytes:
    """Luma and chroma as a TIFF strip holds them, chroma of the first pixel of each block."""
    height, width = ycbcr.shape[:2]
    padded = np.pad(ycbcr, ((0, -height % down), (0, -width % across), (0, 0)), mode="edge")
    blocks = []
    for y in range(0, padded.shape[0], down):
        for x in range(0, padded.shape[1], across):
            block = padded[y : y + down, x : x + across]
            blocks.append(block[..., 0].tobytes() + block[0, 0, 1:].tobytes())
    return b"".join(blocks)
