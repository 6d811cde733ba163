"""List image files by glob, and match them by name."""

from __future__ import annotations

import difflib
import fnmatch
import glob
import logging
import os
import unicodedata
from collections.abc import Iterator

from ensir.errors import InputError

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".bmp", ".webp")
UNREAD = (".gif", ".pgm", ".ppm", ".pnm", ".avif", ".heic", ".jp2", ".j2k", ".jxl", ".exr", ".hdr", ".psd")
log = logging.getLogger(__name__)


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
    if not images and not any(excluded.values()):
        raise InputError(f"{key}: {files.why_none(extensions)}")
    _check_exclude(excluded, images, key, unmatched_excludes)
    _by_form(images, key)
    files.warn(key, extensions)
    return dict(sorted(images.items()))


def _check_exclude(excluded: dict[str, set[str]], images: dict[str, str], key: str, unmatched: bool) -> None:
    """Raise an InputError if `exclude` names an image that does not exist, or leaves none.

    Parameters
    ----------
    excluded : dict
        The names that each entry of `exclude` leaves out.
    images : dict
        The remaining images.
    key : str
        As in `find`.
    unmatched : bool
        Whether entries may name images that do not exist.
    """
    names = [*images, *set().union(*excluded.values())]
    unused = [one for one, left_out in excluded.items() if not left_out]
    if unused and not unmatched:
        alike = difflib.get_close_matches(unused[0], names, 1, 0.5)
        meant = f"; did you mean {alike[0]!r}?" if alike else "; fix the name, or remove it"
        raise InputError(f"{key}: `exclude` names {unused[0]!r}, which matches no image{meant}")
    if not images:
        raise InputError(f"{key}: `exclude` leaves none of {len(names)} images; narrow it")


def match(
    names: dict[str, str],
    others: dict[str, str],
    key: str,
    add: str = "add the files, or exclude the images from the dataset",
    rename: str = "rename the files, or declare a suffix",
) -> dict[str, str]:
    """Return the others in the order of the names; none may be missing.

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
