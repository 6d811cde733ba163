"""Decode image files by their content, whatever their name: PNG, JPEG, TIFF, BMP and WebP, as viewers show them.

Orientation is applied, values are scaled to 8 or 16 bit from the depth that the file states, palettes and 1-bit images
are expanded, an opaque alpha channel is dropped. Images without a unique meaning as grey or RGB are refused.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ensir.errors import InputError
from ensir.images import codes, tiff
from ensir.images.codes import Header

if TYPE_CHECKING:
    import PIL.Image
    import PIL.ImageFile

    from ensir.images.codes import Pixels

LONGEST = 2**24  # bytes of a PNG chunk that is kept
READ = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "BMP": rb"BM",
    "WebP": rb"RIFF....WEBP",
}
REFUSED = {
    "a GIF": rb"GIF8",
    "a PBM, PGM, PPM or PAM": rb"P[1-7]\s",
    "a PFM": rb"P[fF]\s",
    "an AVIF or HEIF": rb"....ftyp",
    "a JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "a JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "an OpenEXR": rb"v/1\x01",
    "a Radiance HDR": rb"#\?RADIANCE",
    "a Photoshop": rb"8BPS",
    "a PDF": rb"%PDF",
    "a NumPy": rb"\x93NUMPY",
    "an HDF5": rb"\x89HDF",
}
POINTERS = {
    rb"version https://git-lfs": ("Git LFS", "git lfs pull"),
    rb"/annex/objects/": ("git-annex", "git annex get"),
}


def header(path: str) -> Header:
    """Return size, channels and depth of what `pixels` returns, from the header alone."""
    kind = _kind(path)
    if kind == "PNG":
        with open(path, "rb") as file:
            png = _png(path, file)
        unclear = png.depth == 16 and png.significant and min(png.significant) <= 8
        bits = None if unclear else max(png.depth, 8)
        return Header(*codes.turned((png.height, png.width, png.channels), png.orientation), bits)
    if kind == "TIFF":
        return tiff.header(path)
    with _pillow(path, kind) as image:
        channels = 1 if image.mode in ("1", "L", "LA") else 3
        size = (image.height, image.width, channels)
        return Header(*codes.turned(size, codes.orientation_in(image.info.get("exif"))), 8)


def pixels(path: str) -> Pixels:
    """Decode an image.

    Returns
    -------
    uint8 or uint16 array, (height, width) or (height, width, channel)

    Raises
    ------
    InputError
        A file of another kind, or an image that is not plain grey or RGB.
    Exception
        Whatever a decoder raises on a damaged file.
    """
    kind = _kind(path)
    if kind == "PNG":
        return _png_pixels(path)
    return tiff.pixels(path) if kind == "TIFF" else _pillow_pixels(path, kind)


def lossy(path: str) -> bool:
    """Return whether the values of an image are close to, but not exactly, what was saved."""
    kind = _kind(path)
    if kind == "WebP":
        return b"VP8L" not in Path(path).read_bytes()
    if kind == "TIFF":
        return tiff.lossy(path)
    return kind == "JPEG"


def _kind(path: str) -> str:
    """Return the kind of a file, by its first bytes."""
    with open(path, "rb") as file:
        head = file.read(256)
    for kind, signature in READ.items():
        if re.match(signature, head, re.DOTALL):
            return kind
    for signature, (program, command) in POINTERS.items():
        if head.startswith(signature):
            raise InputError(f"{path}: is a pointer of {program}, not the image itself; run `{command}`")
    for kind, signature in REFUSED.items():
        if re.match(signature, head, re.DOTALL):
            raise InputError(f"{path}: is {kind} file, which is not read; convert it to PNG")
    if not head:
        raise ValueError("it is empty")
    if head.lstrip().startswith(b"<"):
        raise ValueError("it is a web page or other text; the download may have failed")
    raise ValueError(f"it is none of {', '.join(READ)}")


# ── PNG ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Png:
    """The header of a PNG file.

    Attributes
    ----------
    significant : tuple of int
        Bits per channel that carry information (sBIT); empty where the file does not say.
    keyed : bool
        One colour is marked as transparent (tRNS), although every pixel has a colour.
    """

    height: int
    width: int
    depth: int
    channels: int
    significant: tuple[int, ...]
    keyed: bool
    orientation: int


def _png(path: str, file: BinaryIO) -> _Png:
    """Read the header of a PNG file, and the chunks that affect the meaning of pixels."""
    chunks = dict(_png_chunks(file))
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    codes.check_size(path, height, width)
    channels = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}[colour]
    palette = colour == 3
    return _Png(
        height,
        width,
        depth,
        channels,
        () if palette or depth < 8 else tuple(chunks.get(b"sBIT", b"")[:channels]),
        b"tRNS" in chunks and not palette,
        codes.orientation_in(chunks.get(b"eXIf")),
    )


def _png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the chunks that affect the meaning of pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name in (b"IHDR", b"sBIT", b"tRNS", b"eXIf"):
            content = file.read(min(length, LONGEST))
            if zlib.crc32(name + content).to_bytes(4, "big") != file.read(4):
                raise ValueError(f"its {name.decode()} chunk is damaged")
            yield name, content
        else:
            file.seek(length + 4, 1)


def _png_pixels(path: str) -> Pixels:
    import imagecodecs

    content = Path(path).read_bytes()
    png = _png(path, io.BytesIO(content))
    image = imagecodecs.png_decode(content)  # expands palettes and few bits
    if png.keyed:
        image = image[..., :-1] if png.channels == 3 else image[..., 0]
    image = codes.opaque(path, image, np.iinfo(image.dtype).max)
    return codes.upright(_significant(path, image, png.significant), png.orientation)


def _significant(path: str, image: Pixels, bits: tuple[int, ...]) -> Pixels:
    """Scale up a PNG image whose values use the lowest bits only, as many as its sBIT chunk states.

    The standard requires values to be scaled to the depth of the file: where they are, the chunk changes nothing.
    """
    depth = 8 * image.itemsize
    if not bits or min(bits) < 1 or min(bits) >= depth:
        return image
    bits = tuple(min(n, depth) for n in bits)
    channels = [image[..., c] for c in range(len(bits))] if image.ndim == 3 else [image]
    if not all(_unscaled(channel, n) for channel, n in zip(channels, bits, strict=True)):
        return image
    if len(set(bits)) > 1:
        raise InputError(
            f"{path}: its channels have {', '.join(map(str, bits))} bits; save it as 8- or 16-bit PNG"
        )
    return codes.scaled(path, image, 2 ** bits[0] - 1)


def _unscaled(channel: Pixels, bits: int) -> bool:
    """Return whether values of this many bits use the lowest bits of their type, and not the highest."""
    most = 2**bits - 1
    if channel.max(initial=0) > most:
        return False
    spare = 8 * channel.itemsize - bits
    high = channel.astype(np.int64) >> spare
    scaled_up = (high << spare, np.rint(high * (np.iinfo(channel.dtype).max / most)))
    # A dark image that is scaled up has small values, too.
    return not any((channel == dark).all() for dark in scaled_up)


# ── JPEG, BMP, WebP ─────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _pillow(path: str, kind: str) -> Iterator[PIL.Image.Image]:
    """Open an image with the plugin for its kind: `PIL.Image.open` has a size limit that is global to the process."""
    from PIL import BmpImagePlugin, JpegImagePlugin, WebPImagePlugin

    plugins: dict[str, Callable[[str], PIL.ImageFile.ImageFile]] = {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
        "WebP": WebPImagePlugin.WebPImageFile,
    }
    try:
        opened = plugins[kind](path)
    except SyntaxError as error:  # what Pillow raises for files that it cannot read, such as JPEG of 12 bits
        raise InputError(
            f"{path}: is an unusual {kind} file ({error}); save it as 8- or 16-bit PNG"
        ) from error
    with opened as image:
        codes.check_size(path, image.height, image.width)
        if getattr(image, "n_frames", 1) > 1:
            raise InputError(f"{path}: is an animation; save the intended image as PNG")
        if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
            raise InputError(f"{path}: is a {image.mode} image; convert it to grey or RGB")
        yield image


def _pillow_pixels(path: str, kind: str) -> Pixels:
    with _pillow(path, kind) as image:
        orientation = codes.orientation_in(image.info.get("exif"))
        expanded = image.convert({"1": "L", "P": "RGB"}.get(image.mode, image.mode))
        return codes.upright(codes.opaque(path, np.asarray(expanded), 255), orientation)
