"""Patterns with named parts, as Snakemake writes them: ``{scene}/sharp/{frame}.png``.

A part is one or more characters of one file or folder name, ``{frame,\\d+}`` only what fits the regular expression. A
part that is named twice is the same in both places. Globs may stand beside parts, and do not tell images apart.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ensir.errors import InputError

TOKEN = re.compile(
    r"(?P<variable>\$\{\w+\})"
    r"|\{(?P<part>[A-Za-z_]\w*)(?:,\s*(?P<limit>(?:[^{}]|\{\d+(?:,\d*)?\})+))?\}"
    r"|(?P<folders>(?:(?<=/)|^)\*\*/)"
    r"|(?P<extension>(?<=\.)\*$)"
    r"|(?P<any>\*+)"
    r"|(?P<one>\?|\[!?\]?[^\]]*\])"
)
Values = dict[str, str]


@dataclass(frozen=True)
class _Part:
    """A named part, and what it may hold."""

    name: str
    limit: re.Pattern[str] | None


@dataclass(frozen=True)
class _Wildcard:
    """What a glob allows: any number of folders, of characters, or one of some characters."""

    fits: re.Pattern[str]


FOLDERS = _Wildcard(re.compile(r"(.*/)?"))
ANY = _Wildcard(re.compile(r"[^/]*"))
EXTENSION = _Wildcard(re.compile(r"[^/.]+"))
Token = str | _Part | _Wildcard


class Pattern:
    """A pattern of file paths.

    Parameters
    ----------
    text : str
        Glob in which named parts may stand.
    key : str
        The configuration key that holds it, for error messages.

    Attributes
    ----------
    parts : tuple of str
        Names of the parts, in the order in which they occur first; empty for a glob.
    limited : bool
        Whether a regular expression says what a part may be.
    glob : str
        The same with ``*`` in place of each part: it matches more.

    Raises
    ------
    InputError
        A brace that belongs to no part, a regular expression that is none, or no extension.
    """

    def __init__(self, text: str, key: str):
        self.text, self.key = text, key
        self.tokens: list[Token] = []
        self.glob, end = "", 0
        for found in TOKEN.finditer(text):
            self._add_literal(text[end : found.start()])
            end = found.end()
            self._add(found)
        self._add_literal(text[end:])
        self.limited = any(isinstance(token, _Part) and token.limit for token in self.tokens)
        self.parts = tuple(dict.fromkeys(token.name for token in self.tokens if isinstance(token, _Part)))
        last = self.glob.rpartition("/")[2]
        if self.parts and ("." not in last or text.endswith("}")):
            raise InputError(f"{key}: {text!r} must end in an extension, such as .png, or .* for any")

    def _add_literal(self, text: str) -> None:
        if set(text) & set("{}"):
            raise InputError(
                f"{self.key}: {self.text!r} holds a brace that belongs to no part; parts are written {{name}}, with "
                "letters, digits and _, or {name,regular expression}"
            )
        self._append(text)

    def _append(self, text: str) -> None:
        self.glob += text
        text = _single_slashes(text)
        if self.tokens and isinstance(self.tokens[-1], str):
            self.tokens[-1] += text
        elif text:
            self.tokens.append(text)

    def _add(self, found: re.Match[str]) -> None:
        """Add what is no literal text."""
        match found.lastgroup:
            case "variable":
                self._append(found[0])
                return
            case "part" | "limit":
                self.tokens.append(_Part(found["part"], self._compiled(found["limit"])))
            case "folders":
                self.tokens.append(FOLDERS)
            case "extension":
                self.tokens.append(EXTENSION)
            case "any":
                self.tokens.append(ANY)
            case "one":
                self.tokens.append(_Wildcard(re.compile(fnmatch.translate(found[0]))))
        self.glob += "*" if found["part"] else found[0]

    def _compiled(self, limit: str | None) -> re.Pattern[str] | None:
        try:
            return re.compile(limit) if limit else None
        except re.error as error:
            raise InputError(
                f"{self.key}: {limit!r} in {self.text!r} is no regular expression ({error}); fix it"
            ) from None

    def read(self, path: str, folder: str) -> Values | None:
        """Return the parts of a path that the glob matches, by name; None where they do not fit.

        Parameters
        ----------
        path : str
            Below a folder.
        folder : str
            The beginning of the pattern that names this folder; empty where the path is a whole one.

        Raises
        ------
        InputError
            The path can be read in two ways.
        """
        tokens = self.tokens
        if folder:
            first, *rest = self.tokens
            assert isinstance(first, str)
            tokens = [first.removeprefix(_single_slashes(folder)).lstrip("/"), *rest]
        readings = _readings(tokens, path, 0, {})
        reading = next(readings, None)
        other = next((another for another in readings if another != reading), None)
        if reading and other:
            raise InputError(f"{self.key}: {self._ambiguity(path, reading, other)}")
        return reading

    def _ambiguity(self, path: str, reading: Values, other: Values) -> str:
        differ = [name for name in self.parts if reading[name] != other[name]]
        ways = " or ".join(
            ", ".join(f"{{{part}}} = {values[part]!r}" for part in self.parts) for values in (reading, other)
        )
        shorter, longer = sorted((reading[differ[0]], other[differ[0]]), key=len)
        between = longer[len(shorter) :][:1] if longer.startswith(shorter) else ""
        if not between or between.isalnum():
            fix = "write out the text around the parts in place of wildcards, or say what a part is made of, such as"
            return f"{path!r} can be read in two ways, {ways}; {fix} {{{differ[0]},\\d+}}"
        limited = " or ".join(f"{{{name},[^{between}]+}}" for name in differ)
        return f"{path!r} can be read in two ways, {ways}; say in the pattern what a part is made of, such as {limited}"


def _single_slashes(text: str) -> str:
    return re.sub("//+", "/", text)


def _readings(tokens: list[Token], path: str, start: int, values: Values) -> Iterator[Values]:
    """Yield every way to read a path from a position on."""
    if not tokens:
        if start == len(path):
            yield values
        return
    token, *rest = tokens
    if isinstance(token, _Part) and token.name in values:
        token = values[token.name]
    if isinstance(token, str):
        if path.startswith(token, start):
            yield from _readings(rest, path, start + len(token), values)
        return
    for end in _ends(token, rest, path, start):
        text = path[start:end]
        if isinstance(token, _Wildcard):
            if token.fits.fullmatch(text):
                yield from _readings(rest, path, end, values)
        elif token.limit is None or token.limit.fullmatch(text):
            yield from _readings(rest, path, end, {**values, token.name: text})


def _ends(token: Token, rest: list[Token], path: str, start: int) -> Iterator[int]:
    """Yield where a part or a wildcard may end: in its folder, before the text that follows."""
    slash = path.find("/", start)
    last = len(path) if token is FOLDERS or slash < 0 else slash
    first = start + isinstance(token, _Part)
    if rest and isinstance(rest[0], str):
        end = path.find(rest[0], first)
        while 0 <= end <= last:
            yield end
            end = path.find(rest[0], end + 1)
    else:
        yield from range(first, last + 1)
