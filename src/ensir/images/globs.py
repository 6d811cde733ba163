"""Walk the folders of a glob, and say why a file is not among what it finds."""

from __future__ import annotations

import fnmatch
import glob
import logging
import os
from collections.abc import Iterator

from ensir.images.formats import SUFFIXES
from ensir.images.patterns import Pattern

UNREAD = (".gif", ".pam", ".pfm", ".heic", ".heif", ".hdr", ".psd")
log = logging.getLogger(__name__)


def broken(path: str) -> str:
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


class Files:
    """The files of a glob, as in `glob.glob`, but with each folder below ``**`` visited once: links may form cycles.

    Parameters
    ----------
    pattern : Pattern
        Files that its glob matches are found, whether its parts fit or not.
    folder : str or None
        Where the pattern begins, taken literally; None: its own fixed folder.

    Attributes
    ----------
    prefix : str
        The beginning of the pattern that names its fixed folder.
    base : str
        That folder.
    passed : list of str
        Files that are beside those of the pattern; whoever reads the files adds to it.
    """

    def __init__(self, pattern: Pattern, folder: str | None):
        self.pattern, self.folder = pattern, folder
        text = pattern.glob
        if text.endswith("/") or (not glob.has_magic(text) and os.path.isdir(text)):
            text = os.path.join(text, "*")
        wildcard = next((i for i, c in enumerate(text) if c in "*?["), len(text))
        self.prefix = text[:wildcard].rpartition("/")[0] or ("/" if text.startswith("/") else "")
        components = [part for part in text[len(self.prefix) :].split("/") if part] or [""]
        *self.above, self.last = components
        if self.last == "**":
            self.above, self.last = components, "*"
        self.base = os.path.join(folder, self.prefix) if folder else self.prefix
        self.fixed = folder or self.prefix or "."
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

    def _beside(self) -> list[str]:
        """Return the images that were passed over, without the ``._x.png`` files of macOS."""
        known = (*SUFFIXES, *UNREAD)
        return [
            path
            for path in sorted(self.passed)
            if os.path.splitext(path)[1].lower() in known and not os.path.basename(path).startswith("._")
        ]

    def beside(self) -> int:
        """Return how many images were passed over."""
        return len(self._beside())

    def warn(self, key: str) -> None:
        """Warn once about images that the pattern passes over, and about folders that cannot be read."""
        if passed := self._beside():
            whole = self.folder is not None and self.pattern.text == "**/*"
            log.warning(
                "%s: %s passes over %d images beside those it finds, the first %s; %s, unless this is intended",
                key,
                self.folder if whole else repr(self.pattern.text),
                len(passed),
                passed[0],
                "rename hidden ones, and convert others to PNG" if whole else "widen it or convert them",
            )
        if self.closed:
            log.warning("%s: %d folders cannot be read, the first %s", key, len(self.closed), self.closed[0])

    def why_none(self) -> str:
        """Say why no image was found, and what to do."""
        where = os.path.join(self.folder or "", self.pattern.text)
        first, others = ", ".join(SUFFIXES[:2]), len(SUFFIXES) - 2
        lacks = f"no image matches {where!r} (looked for {first} and {others} other endings)"
        if os.path.islink(self.base.rstrip("/")) and not os.path.exists(self.base):
            return broken(self.base.rstrip("/"))
        for escaped in self._escaped():
            if any(Files(Pattern(escaped, self.pattern.key), self.folder)):
                return f"{lacks}: brackets stand for one of the characters in them; write {escaped!r}"
        if self.closed:
            return f"{lacks}: {self.closed[0]} cannot be read; change its permissions"
        if passed := self._beside():
            return (
                f"{lacks}; images of other names or kinds are there ({len(passed)}, the first {passed[0]}): fix the "
                "pattern, or convert them to PNG"
            )
        if any(os.path.isdir(path) for path, _, _ in self):
            return f"{lacks}; it matches folders: add /* to take the images in them"
        return f"{lacks}; fix the path"

    def _escaped(self) -> list[str]:
        """Return a glob with literal brackets: in folders only, and everywhere."""
        if self.pattern.parts or "[" not in self.pattern.text:
            return []
        above, _, last = self.pattern.text.rpartition("/")
        return [f"{above.replace('[', '[[]')}/{last}", self.pattern.text.replace("[", "[[]")]


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
