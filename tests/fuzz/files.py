"""Sound and harmful files of the formats that are fuzzed beside PNG, JPEG, TIFF, `.npy` and HDF5."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import OpenEXR
import PIL.Image
import scipy.io
import torch


def as_bytes(write: Any) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def exr(image: np.ndarray) -> bytes:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.exr"
        OpenEXR.File(header, {"RGB": image}).write(str(path))
        return path.read_bytes()


def inflated(name: str, content: bytes) -> bytes:
    """A ZIP file whose only member is many times its size."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        member.write(content)
        for _ in range(64):
            member.write(bytes(2**24))
    return file.getvalue()


def formats(rgb: np.ndarray, deep: np.ndarray) -> Iterator[tuple[str, str, list[bytes], list[bytes]]]:
    """Yield name, extension, sound and harmful files of each format."""
    floats = np.ones((24, 20, 3), np.float32)
    picture = PIL.Image.fromarray(rgb)
    ppm = [as_bytes(lambda f: picture.save(f, "PPM")), b"P2 3 1 9 1 2 3", b"P4 9 1\n\xff\xff"]
    yield "PNM", ".ppm", ppm, [b"P6 99999999 99999999 255\n", b"P1 9999 9999 1", b"P6 0 0 0\n"]
    j2k = [imagecodecs.jpeg2k_encode(image, level=0) for image in (rgb, deep)]
    yield "JPEG 2000", ".jp2", j2k, [j2k[0][:40], b"\xff\x4f\xff\x51" + bytes(99)]
    avif = [imagecodecs.avif_encode(rgb), imagecodecs.avif_encode(deep >> 6, bitspersample=10)]
    yield "AVIF", ".avif", avif, [avif[0][:32] + bytes(99)]
    jxl = [imagecodecs.jpegxl_encode(image, lossless=True) for image in (rgb, deep, floats)]
    jxl.append(imagecodecs.jpegxl_encode(rgb, usecontainer=True))
    yield "JPEG XL", ".jxl", jxl, [b"\xff\x0a" + b"\xff" * 20]
    yield "BMP", ".bmp", [as_bytes(lambda f: picture.save(f, "BMP"))], [b"BM"]
    yield "WebP", ".webp", [imagecodecs.webp_encode(rgb, lossless=True)], [b"RIFF\0\0\0\0WEBP"]
    yield "OpenEXR", ".exr", [exr(floats)], [exr(floats)[:300]]
    npy = as_bytes(lambda file: np.save(file, floats))
    npz = [as_bytes(lambda file: np.savez_compressed(file, a=floats))]
    yield "npz", ".npz", npz, [inflated("a.npy", npy.replace(b"(24, 20, 3)", b"(16000, 16000, 99)"))]
    mat = [as_bytes(lambda file, c=c: scipy.io.savemat(file, {"a": rgb}, do_compression=c)) for c in (0, 1)]
    yield "mat", ".mat", mat, [mat[0][:128]]
    yield "pt", ".pt", [as_bytes(lambda file: torch.save(torch.from_numpy(floats), file))], []
