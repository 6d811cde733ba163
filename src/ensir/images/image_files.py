"""Image files: find them by glob, match, read, check and write them (8 or 16 bit; grey or RGB)."""

from __future__ import annotations

import difflib
import fnmatch
import glob
import io
import logging
import os
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from ensir.errors import InputError
from ensir.images import decoding
from ensir.storage.atomic import replaced
from ensir.storage.failures import fix, reason

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".webp")
UNREAD = (".gif", ".pgm", ".ppm", ".pnm", ".avif", ".heic", ".jp2", ".j2k", ".jxl", ".exr", ".hdr", ".psd")
BORDER = 32  # an image may be larger than its crop by this many pixels each way; more is no border
FAR = 10  # levels of 0–255; networks overshoot their range by less
RANGES = ((0, 1), (-1, 1), (0, 255), (0, 1023), (0, 4095), (0, 65535))  # usual ranges of floats
log = logging.getLogger(__name__)


# ── find and match ──────────────────────────────────────────────────────────────────────────────────────────


def find(
    pattern: str,
    key: str,
    suffix: str = "",
    exclude: list[str] | None = None,
    extensions: tuple[str, ...] = SUFFIXES,
    folder: str | None = None,
    unmatched_excludes: bool = False,
) -> dict[str, str]:
    """List the images of a glob, by name.

    A name is the path below the glob's fixed folder, without extension and without the declared
    suffix: ``gt/*.png`` with suffix ``_x4`` calls ``gt/baby_x4.png`` "baby"; ``gt/**/*.png`` calls
    ``gt/faces/baby.png`` "faces/baby".

    Images beside those of the pattern, whose names differ in nothing but extension, case or a leading dot, are
    reported in one warning.

    Parameters
    ----------
    pattern : str
        Glob of the files, or a folder of images; ``**`` stands for any sub-folders, each visited once, however many
        links lead to it; ``~`` for the home folder.
    key : str
        The configuration key that holds the pattern, for the error message.
    suffix : str
        End of every file stem that is not part of the name.
    exclude : list of str
        Names (or wildcards of names) to leave out.
    extensions : tuple of str
        What counts as an image.
    folder : str or None
        Where the pattern begins, taken literally; None: the pattern's own fixed folder.
    unmatched_excludes : bool
        Whether `exclude` may name images that do not exist.

    Returns
    -------
    dict
        Path by name, in the order of the names.

    Raises
    ------
    InputError
        No image, a stem without the suffix, two files of one name, a broken link, or an `exclude` that matches nothing.
    """
    files = _Files(pattern, folder)
    images: dict[str, str] = {}
    excluded: dict[str, set[str]] = {name: set() for name in exclude or []}
    for path, relative, entry in files:
        stem, extension = os.path.splitext(relative)
        if extension.lower() in UNREAD:
            files.passed.append(path)
        if extension.lower() not in extensions or not (entry.is_symlink() or entry.is_file()):
            continue
        if not stem.endswith(suffix):
            raise InputError(f"{key}: {path} does not end in the declared suffix {suffix!r}")
        name = stem.removesuffix(suffix)
        left_out = [one for one in excluded if fnmatch.fnmatchcase(in_nfc(name), in_nfc(one))]
        for one in left_out:
            excluded[one].add(name)
        if left_out:
            continue
        if entry.is_symlink() and not os.path.isfile(path):
            if os.path.isdir(path):
                continue
            raise InputError(f"{key}: {_broken(path)}")
        if name in images:
            raise InputError(
                f"{key}: {images[name]} and {path} have the same name {name!r}; remove one of them"
            )
        images[name] = path
    names = [*images, *set().union(*excluded.values())]
    if not names:
        raise InputError(f"{key}: {files.why_none(extensions)}")
    unused = [one for one, left_out in excluded.items() if not left_out]
    if unused and not unmatched_excludes:
        alike = difflib.get_close_matches(unused[0], names, 1, 0.5)
        meant = f"; did you mean {alike[0]!r}?" if alike else "; fix the name, or remove it"
        raise InputError(f"{key}: `exclude` names {unused[0]!r}, which matches no image{meant}")
    if not images:
        raise InputError(f"{key}: `exclude` leaves none of {len(names)} images; narrow it")
    _by_form(images, key)
    files.warn(key, extensions)
    return dict(sorted(images.items()))


def match(
    names: dict[str, str],
    others: dict[str, str],
    key: str,
    add: str = "add the files, or exclude the images from the dataset",
    rename: str = "rename the files, or declare a suffix",
) -> dict[str, str]:
    """Return the others in the order of the names; each name must be there.

    Names are compared in Unicode's composed form (NFC): file systems differ in how they write accents.

    Parameters
    ----------
    names, others : dict
        Files by name.
    key : str
        Where the others come from, for the error message.
    add, rename : str
        How to fix missing files, and files with other names.

    Raises
    ------
    InputError
        Names the images that the others lack, and what they hold instead.
    """
    forms, wanted = _by_form(others, key), _by_form(names, key)
    missing = [name for form, name in wanted.items() if form not in forms]
    if missing:
        spare = [name for form, name in forms.items() if form not in wanted]
        lacks = f"{key}: no file for {_some(missing)} ({len(missing)} of {len(names)} images)"
        if not spare:
            raise InputError(f"{lacks}; {add}")
        raise InputError(
            f"{lacks}; it holds {_some(spare)} instead: if these are the same images, {rename}; if not, {add}"
        )
    encoded = [name for form, name in wanted.items() if forms[form] != name]
    if encoded:
        log.warning(
            "%s: %d names match except for how Unicode writes their accents (NFC, NFD), the first %r",
            key,
            len(encoded),
            encoded[0],
        )
    return {name: others[forms[form]] for form, name in wanted.items()}


def in_nfc(name: str) -> str:
    """Return a name in Unicode's composed form."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _by_form(names: dict[str, str], key: str) -> dict[str, str]:
    """Return names by their composed forms, which must differ."""
    forms: dict[str, str] = {}
    for name in names:
        other = forms.setdefault(in_nfc(name), name)
        if other != name:
            raise InputError(
                f"{key}: two images are called {name!r}, and differ only in how Unicode writes the accents (NFC, NFD); "
                "rename one of them"
            )
    return forms


def _some(names: list[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (", …" if len(names) > 3 else "")


def _broken(path: str) -> str:
    """Say where a broken link leads, and how to fix it."""
    folder = os.path.dirname(path) or "."
    with os.scandir(folder) as entries:
        links = sum(entry.is_symlink() and not os.path.exists(entry.path) for entry in entries)
    target = os.readlink(path)
    if "annex/objects" in target:
        fix = "run `git annex get`"
    elif "dvc" in target:
        fix = "run `dvc pull`"
    else:
        fix = "restore the file, or remove the link"
    others = f" (as do {links - 1} others in {folder})" if links > 1 else ""
    return f"{path} links to {target}, which does not exist{others}; {fix}"


class _Files:
    """The files of a glob, as in `glob.glob`, but with each folder below ``**`` visited once: links may form cycles.

    Parameters
    ----------
    pattern, folder : str
        As in `find`.

    Attributes
    ----------
    fixed : str
        The folder to which names are relative.
    """

    def __init__(self, pattern: str, folder: str | None):
        pattern = pattern if folder else os.path.expanduser(pattern)
        if pattern.endswith("/") or (not glob.has_magic(pattern) and os.path.isdir(pattern)):
            pattern = os.path.join(pattern, "*")
        self.pattern, self.folder = pattern, folder
        wildcard = next((i for i, c in enumerate(pattern) if c in "*?["), len(pattern))
        fixed = pattern[:wildcard].rpartition("/")[0] or ("/" if pattern.startswith("/") else "")
        components = [part for part in pattern[len(fixed) :].split("/") if part] or [""]
        *self.above, self.last = components
        if self.last == "**":
            self.above, self.last = components, "*"
        self.base = os.path.join(folder, fixed) if folder else fixed
        self.fixed = folder or fixed or "."
        self.scanned: dict[str, list[os.DirEntry[str]]] = {}
        self.passed: list[str] = []
        self.closed: list[str] = []

    def __iter__(self) -> Iterator[tuple[str, str, os.DirEntry[str]]]:
        """Yield path, path below the fixed folder, and entry of everything whose name matches, in order."""
        matching = []
        for folder in dict.fromkeys(self._folders(self.base, self.above)):
            below = os.path.normpath(os.path.relpath(folder or ".", self.fixed))
            prefix = "" if below == "." else f"{below}/"
            for entry in self._entries(folder):
                if _matches(entry.name, self.last):
                    matching.append((os.path.join(folder, entry.name), prefix + entry.name, entry))
                elif glob.has_magic(self.last) and _alike(entry.name, self.last):
                    self.passed.append(os.path.join(folder, entry.name))
        yield from sorted(matching, key=lambda file: file[0])

    def _folders(self, base: str, components: list[str]) -> Iterator[str]:
        """Yield the folders that match the components of a pattern."""
        if not components:
            yield base
            return
        first, *rest = components
        if first == "**":
            below = list(self._tree(base))
        elif glob.has_magic(first):
            names = [entry.name for entry in self._entries(base) if _matches(entry.name, first)]
            below = [path for path in (os.path.join(base, name) for name in names) if os.path.isdir(path)]
        else:
            below = [os.path.join(base, first)]
        for folder in below:
            yield from self._folders(folder, rest)

    def _tree(self, base: str) -> Iterator[str]:
        """Yield a folder and those below it, each once: by its own path rather than by that of a link."""
        seen = set()
        folders: list[str] = [base]
        links: list[str] = []
        while folders or links:
            folder = folders.pop() if folders else links.pop(0)
            try:
                status = os.stat(folder or ".")
            except OSError:  # a link to nowhere
                continue
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            yield folder
            for entry in self._entries(folder):
                if not entry.name.startswith("."):
                    if entry.is_symlink():
                        if os.path.isdir(os.path.join(folder, entry.name)):
                            links.append(os.path.join(folder, entry.name))
                    elif entry.is_dir():
                        folders.append(os.path.join(folder, entry.name))

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        """List a folder, sorted by name, once."""
        if folder not in self.scanned:
            self.scanned[folder] = []
            try:
                with os.scandir(folder or ".") as entries:
                    self.scanned[folder] = sorted(entries, key=lambda entry: entry.name)
            except PermissionError:
                self.closed.append(folder)
            except OSError:  # no folder
                pass
        return self.scanned[folder]

    def _beside(self, extensions: tuple[str, ...]) -> list[str]:
        """Return the images that were passed over, without the ``._x.png`` files of macOS."""
        known = (*extensions, *UNREAD)
        return [
            path
            for path in sorted(self.passed)
            if os.path.splitext(path)[1].lower() in known and not os.path.basename(path).startswith("._")
        ]

    def warn(self, key: str, extensions: tuple[str, ...]) -> None:
        """Warn once about images that the pattern passes over, and about folders that cannot be read."""
        if passed := self._beside(extensions):
            log.warning(
                "%s: %r passes over %d images beside those it finds, the first %s; widen it or convert them, unless "
                "this is intended",
                key,
                self.pattern,
                len(passed),
                passed[0],
            )
        if self.closed:
            log.warning("%s: %d folders cannot be read, the first %s", key, len(self.closed), self.closed[0])

    def why_none(self, extensions: tuple[str, ...]) -> str:
        """Say why no image was found, and what to do."""
        where = os.path.join(self.folder or "", self.pattern)
        lacks = f"no image matches {where!r} (looked for {', '.join(extensions)})"
        if os.path.islink(self.base.rstrip("/")) and not os.path.exists(self.base):
            return _broken(self.base.rstrip("/"))
        for escaped in self._escaped():
            if any(_Files(escaped, self.folder)):
                return f"{lacks}: brackets stand for one of the characters in them; write {escaped!r}"
        if self.closed:
            return f"{lacks}: {self.closed[0]} cannot be read; change its permissions"
        if passed := self._beside(extensions):
            return (
                f"{lacks}; images of other names or kinds are there ({len(passed)}, the first {passed[0]}): fix the "
                "pattern, or convert them to PNG"
            )
        if any(os.path.isdir(path) for path, _, _ in self):
            return f"{lacks}; it matches folders: add /* to take the images in them"
        return f"{lacks}; fix the path"

    def _escaped(self) -> list[str]:
        """Return the pattern with literal brackets: in folders only, and everywhere."""
        above, _, last = self.pattern.rpartition("/")
        escaped = [f"{above.replace('[', '[[]')}/{last}", self.pattern.replace("[", "[[]")]
        return escaped if "[" in self.pattern else []


def _matches(name: str, pattern: str) -> bool:
    """Return whether one component of a path matches, as in `glob`: only a dot matches a leading dot."""
    if not glob.has_magic(pattern):
        return name == pattern
    return (pattern.startswith(".") or not name.startswith(".")) and fnmatch.fnmatchcase(name, pattern)


def _alike(name: str, pattern: str) -> bool:
    """Return whether a name would match with another extension or case, or without a leading dot."""
    wanted, _ = os.path.splitext(pattern)
    stem, _ = os.path.splitext(name.lstrip("."))
    return fnmatch.fnmatchcase(stem.lower(), wanted.lower())


# ── read and write ──────────────────────────────────────────────────────────────────────────────────────────


def cropped(
    image: Shaped[np.ndarray, "height width channel"],
    size: tuple[int, int],
    anchor: str,
    path: str,
    border: int | None = BORDER,
) -> Shaped[np.ndarray, "cropped_height cropped_width channel"]:
    """Keep the middle or the top left of an image.

    Raises
    ------
    InputError
        The image is smaller than that, or larger by more than a border.
    """
    spare = (image.shape[0] - size[0], image.shape[1] - size[1])
    if min(spare) < 0 or (border is not None and max(spare) > border):
        raise InputError(
            f"{path}: is {image.shape[1]}×{image.shape[0]}, cropped to {size[1]}×{size[0]}; "
            f"only a border of up to {border} pixels is cropped"
        )
    top, left = (spare[0] // 2, spare[1] // 2) if anchor == "center" else (0, 0)
    return image[top : top + size[0], left : left + size[1]]


def shape(path: str) -> tuple[int, int, int]:
    """Return (height, width, channel) of an image as `read` returns it, from its header alone."""
    return header(path)[:3]


def header(path: str) -> decoding.Header:
    """Return size, channels and depth of an image as `read` returns it, from its header alone."""
    with clear_errors(path, "an image"):
        return decoding.header(path)


def read(path: str) -> Shaped[np.ndarray, "height width channel"]:
    """Read an image as it is meant to be seen, by its content, whatever its name.

    Returns
    -------
    uint8 or uint16 array, (height, width, channel), 1 or 3 channels, 0–255 or 0–65535, RGB order.

    Raises
    ------
    InputError
        Not an image, truncated, transparent, more than one image, or without a unique meaning as grey or RGB.
    """
    with clear_errors(path, "an image"):
        image = decoding.pixels(path)
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        channels = image.shape[2] if image.ndim == 3 else image.ndim
        raise InputError(f"{path}: has {channels} channels; convert it to grey or RGB without alpha")
    return np.ascontiguousarray(image)


def is_lossy(path: str) -> bool:
    """Return whether an image file holds values that only approximate those that were saved, as in JPEG."""
    with clear_errors(path, "an image"):
        return decoding.lossy(path)


@contextmanager
def clear_errors(path: str, what: str) -> Iterator[None]:
    """Turn what decoders raise on a damaged file into an InputError that names the file, and what it should be."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except Exception as error:
        told = " ".join(reason(error).split())
        raise InputError(
            f"{path}: cannot be read as {what} ({told}); {fix(error, 'replace the file')}"
        ) from error


def write(path: str | Path, image: Shaped[np.ndarray, "height width channel"]) -> None:
    """Write a uint8 or uint16 image as PNG, grey or RGB, atomically.

    Rows are filtered by Paeth's predictor, and only runs are compressed: for photographs, this is five times faster
    than zlib's search for repetitions, and the size of the files is within 5 %.
    """
    import imagecodecs

    fast = {"filter": imagecodecs.PNG.FILTER.PAETH, "strategy": imagecodecs.PNG.STRATEGY.RLE}
    with replaced(path) as partial:
        partial.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(_plane(image)), **fast))


def write_map(path: str | Path, value: Float[np.ndarray, "height width channel"]) -> None:
    """Write float32 values as TIFF, with one or three samples per pixel, atomically."""
    import tifffile

    kind = "minisblack" if value.shape[2] == 1 else "rgb"
    content = io.BytesIO()  # tifffile tells of no full disk
    tifffile.imwrite(content, _plane(value), photometric=kind, compression="adobe_deflate")
    with replaced(path) as partial:
        partial.write_bytes(content.getbuffer())


def _plane(image: Shaped[np.ndarray, "height width channel"]) -> np.ndarray:
    """Drop the only channel."""
    return image[:, :, 0] if image.shape[2] == 1 else image


def to_integers(
    value: Shaped[np.ndarray, "*shape"], dtype: np.dtype | type, what: str
) -> Shaped[np.ndarray, "*shape"]:
    """Round floats to the nearest integer (ties to even) and clip them to the range of a dtype.

    Parameters
    ----------
    value : float or integer array
        In code values: 0–255 for uint8, 0–65535 for uint16.
    dtype : uint8 or uint16
    what : str
        What is being rounded, for the error message.

    Raises
    ------
    InputError
        A value is NaN or infinite, or an integer array is of another dtype.
    """
    dtype = np.dtype(dtype)
    if value.dtype == dtype:
        return value
    if not np.issubdtype(value.dtype, np.floating):
        raise InputError(
            f"{what}: holds {value.dtype} values where the targets are {dtype}; convert one of them"
        )
    bad = int(value.size - np.isfinite(value).sum())
    if bad:
        raise InputError(f"{what}: {bad} of {value.size} values are NaN or infinite")
    return np.clip(np.rint(value), 0, np.iinfo(dtype).max).astype(dtype)


def check_range(
    value: Float[np.ndarray, "*shape"],
    black: float,
    white: float,
    what: str,
    extent: Callable[[], tuple[float, float]] | None = None,
    fix: str = "declare the model's `value_range`",
) -> None:
    """Refuse floats that are probably in another range than the declared one.

    A network overshoots by a few levels; values far outside the range, or that are black where the target is not, are
    in another one.

    Parameters
    ----------
    value : float array
    black, white : float
        The declared range.
    what : str
        What is checked, for the error message.
    extent : callable or None
        Returns the darkest and the brightest level (0–255) of the target; called where all values are close to black,
        or in the upper half of a range that begins below zero.
    fix : str
        How to fix it, for the error message.

    Raises
    ------
    InputError
        Names the likely range.
    """
    level = (white - black) / 255
    outside = np.count_nonzero(value < black - FAR * level) + np.count_nonzero(value > white + FAR * level)
    if outside > 0.01 * value.size:
        wrong = f"{100 * outside / value.size:.3g} % of its values lie far outside"
    elif extent and not (value > black + level).any() and extent()[1] > FAR:
        wrong = "all of its values, but not the target's, are black in"
    elif extent and black < 0 and not (value < (black + white) / 2 - level).any() and extent()[0] < 127 - FAR:
        wrong = "all of its values, but not the target's, lie in the upper half of"
    else:
        return
    finite = value[np.isfinite(value)]
    if not finite.size:
        return  # `to_integers` reports values that are not finite
    low, high = np.percentile(finite, (0.5, 99.5))
    likely = next(
        (
            f"perhaps [{b}, {w}]"
            for b, w in RANGES
            if (b, w) != (black, white) and b - (w - b) / 20 <= low and high <= w + (w - b) / 20
        ),
        "no usual range",
    )
    raise InputError(
        f"{what}: {wrong} [{black:g}, {white:g}]; they go from {low:.4g} to {high:.4g}: {likely}; {fix}, or set "
        "`any_range: true` where this is intended"
    )
