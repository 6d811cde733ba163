"""JPEG XL, decoded by imagecodecs; the header is read here, since its decoder tells neither depth nor size before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ensir.errors import InputError
from ensir.images import codes
from ensir.images.codes import Header
from ensir.images.formats import boxes

if TYPE_CHECKING:
    from ensir.images.codes import Values

NAME = "JPEG XL"
SUFFIXES = (".jxl",)
SIGNATURE = rb"\xff\x0a|\0\0\0\x0cJXL "
READ = "1 to 16 bits and floats, grey or RGB, lossless or lossy; orientation"
REFUSES = "animations, CMYK and other channels; alpha that hides something"

BARE = b"\xff\x0a"  # how a codestream begins
LONGEST = 2**12  # bytes of a codestream in which its header ends
RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width over height


class _Found(NamedTuple):
    """What the header of the codestream says; `turned`: width and height are exchanged as it is shown."""

    height: int
    width: int
    channels: int
    alpha: bool
    bits: int
    floats: bool
    turned: bool
    lossy: bool


def header(path: str, array: str | None = None) -> Header:
    """See `Format`."""
    found = _read_header(path)
    size = (found.width, found.height) if found.turned else (found.height, found.width)
    bits = None if found.floats else 8 if found.bits <= 8 else 16
    return Header(*size, found.channels, bits, found.floats)


def values(path: str, array: str | None = None) -> Values:
    """See `Format`; the decoder turns the image upright."""
    import imagecodecs

    found = _read_header(path)
    decoded = imagecodecs.jpegxl_decode(Path(path).read_bytes())
    if found.floats:
        return codes.opaque(path, decoded, 1)
    white = 2**found.bits - 1
    return codes.scaled(path, codes.opaque(path, decoded, white), white)


def lossy(path: str) -> bool:
    """See `Format`: XYB is, and so is a JPEG file that was packed anew."""
    with open(path, "rb") as file:
        if file.read(2) != BARE:
            file.seek(0)
            if any(name == b"jbrd" for name, _ in boxes.walk(file)):
                return True
    return _read_header(path).lossy


class _Bits:
    """Reads numbers from bytes, the lowest bit first."""

    def __init__(self, content: bytes):
        self.value, self.left = int.from_bytes(content, "little"), 8 * len(content)

    def read(self, count: int) -> int:
        """Return the next bits as a number."""
        if count > self.left:
            raise ValueError("its header is damaged")
        number = self.value & (1 << count) - 1
        self.value >>= count
        self.left -= count
        return number

    def choose(self, *options: tuple[int, int]) -> int:
        """Return a number of one of four kinds: offset, and how many bits are added."""
        offset, count = options[self.read(2)]
        return offset + self.read(count)

    def enumerated(self) -> int:
        """Return a number of a list."""
        return self.choose((0, 0), (1, 0), (2, 4), (18, 6))


def _codestream(path: str) -> bytes:
    """Return the beginning of the codestream, bare or in a box."""
    with open(path, "rb") as file:
        start = file.read(LONGEST)
        if start[:2] == BARE:
            return start[2:]
        file.seek(0)
        for name, _ in boxes.walk(file):
            if name in (b"jxlc", b"jxlp"):
                return file.read(LONGEST)[2 if name == b"jxlc" else 6 :]
    raise ValueError("it holds no codestream")


def _read_header(path: str) -> _Found:
    """Read SizeHeader and ImageMetadata (ISO/IEC 18181-1) up to what tells the channels."""
    bits = _Bits(_codestream(path))
    height, width = _size(bits)
    codes.check_size(path, height, width)
    if bits.read(1):  # all as usual: 8 bits, sRGB, lossy
        return _Found(height, width, 3, False, 8, False, False, True)
    orientation = 0
    if bits.read(1):
        orientation = bits.read(3)
        if bits.read(1):
            _size(bits)
        if bits.read(1) or bits.read(1):
            raise InputError(f"{path}: is an animation, or has a preview; save the intended image as PNG")
    floats, depth = _depth(bits)
    bits.read(1)
    others = bits.choose((0, 0), (1, 0), (2, 4), (1, 12))
    if others > 1 or (others and _extra(bits)):
        raise InputError(f"{path}: has channels beyond colours and alpha; convert it to grey or RGB")
    lossy = bool(bits.read(1))
    usual = bits.read(1)
    colours = 0 if usual else (bits.read(1), bits.enumerated())[1]
    if colours > 1:
        raise InputError(
            f"{path}: is in colour space {colours}, neither grey nor RGB; convert it to one of these"
        )
    if not floats and depth > 16:
        raise InputError(f"{path}: has values of {depth} bits; save it as 16-bit PNG")
    return _Found(height, width, 1 if colours else 3, bool(others), depth, floats, orientation > 3, lossy)


def _size(bits: _Bits) -> tuple[int, int]:
    def side() -> int:
        if small:
            return 8 * (1 + bits.read(5))
        return bits.choose((1, 9), (1, 13), (1, 18), (1, 30))

    small = bits.read(1)
    height = side()
    if ratio := bits.read(3):
        across, down = RATIOS[ratio - 1]
        return height, height * across // down
    return height, side()


def _depth(bits: _Bits) -> tuple[bool, int]:
    """Return whether values are floats, and how many bits they have."""
    if not bits.read(1):
        return False, bits.choose((8, 0), (10, 0), (12, 0), (1, 6))
    depth = bits.choose((32, 0), (16, 0), (24, 0), (1, 6))
    bits.read(4)
    return True, depth


def _extra(bits: _Bits) -> int:
    """Read a further channel; return the number of its kind, 0 for alpha."""
    if bits.read(1):
        return 0
    kind = bits.enumerated()
    _depth(bits)
    bits.choose((0, 0), (3, 0), (4, 0), (1, 3))
    for _ in range(bits.choose((0, 0), (0, 4), (16, 5), (48, 10))):
        bits.read(8)
    if not kind:
        bits.read(1)
    return kind
