"""Read a YAML file. A syntax error is reported with line and column, what is wrong there, and how to fix it."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from ensir.errors import InputError

MOST_VALUES = 100_000  # in a file, with its aliases expanded
LONGEST_NUMBER = 100  # characters
WIDEST = 100  # characters of a line that are shown
NEWLINE = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
CURLY = "“”„‟«»‘’‚‛"
CURLY_QUOTE = re.compile(rf"(?:^|[\s,:\[{{])([{CURLY}])")
ODD_SPACE = re.compile("[\u00a0\u2000-\u200b\u202f\u3000\ufeff]")
NO_SPACE = re.compile(r"([\w-]+):(?=[^ \t\n:/])")  # a key whose colon is not followed by a space
KEY_AT_ONCE = re.compile(rf"\s*(?:- +)*{NO_SPACE.pattern}")
BEHIND_BRACKET = "text behind a closing bracket; put a value that begins with a bracket in quotes"
CLOSING = {"{": "}", "[": "]"}


class Mistake(NamedTuple):
    """Line and column of a mistake, both from zero; what is wrong, and how to fix it."""

    line: int
    column: int
    what: str


def read(path: str) -> tuple[yaml.Node | None, Any]:
    """Return the tree of a YAML file, and its content as plain data; None for both where it is empty.

    Raises
    ------
    InputError
        There is no such file, or it is not YAML.
    """
    text = _text(path)
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        if node is None:
            return None, None
        if _values(node, {}) > MOST_VALUES:
            raise InputError(
                f"{path}: its aliases expand to more than {MOST_VALUES} values; write out what is meant"
            )
        for mistake in _suspicious(node):
            raise _error(path, text, mistake)
        return node, yaml.safe_load(text)  # constructing data from the tree would change it
    except yaml.MarkedYAMLError as error:
        raise _error(path, text, _explain(NEWLINE.split(text), error)) from None
    except yaml.reader.ReaderError as error:
        before = NEWLINE.split(text[: error.position])
        what = f"a control character (U+{ord(text[error.position]):04X}); remove it"
        raise _error(path, text, Mistake(len(before) - 1, len(before[-1]), what)) from None
    except RecursionError:
        raise InputError(f"{path}: is nested too deeply; it is no configuration") from None


def _text(path: str) -> str:
    """Read a text file in UTF-8."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        folder, name = os.path.split(path)
        there = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []
        close = difflib.get_close_matches(name, there, n=1)
        hint = f"; did you mean {os.path.join(folder, close[0])}?" if close else "; fix the path"
        raise InputError(f"{path}: no such file{hint}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; give a YAML file") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read: {reason}; fix that, or give another file") from None
    if content.startswith(UTF_16):
        text = content.decode("utf-16", errors="replace")
        raise _error(path, text, Mistake(0, 0, "the file is in UTF-16; save it as UTF-8"))
    if b"\0" in content:
        raise InputError(f"{path}: is no text file; give a YAML file, in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = NEWLINE.split(content[: error.start].decode("utf-8-sig", errors="replace"))
        what = f"the byte 0x{content[error.start]:02X} is no UTF-8; save the file as UTF-8"
        shown = content.decode("utf-8-sig", errors="replace")
        raise _error(path, shown, Mistake(len(before) - 1, len(before[-1]), what)) from None


def _error(path: str, text: str, mistake: Mistake) -> InputError:
    """Return the error for a mistake, followed by the line and a caret."""
    lines = NEWLINE.split(text)
    line = lines[mistake.line] if mistake.line < len(lines) else ""
    start = max(0, mistake.column - WIDEST // 2)
    shown = "".join(c if c.isprintable() else "→" if c == "\t" else "·" for c in line[start : start + WIDEST])
    caret = " " * (mistake.column - start) + "^"
    return InputError(
        f"{path}: line {mistake.line + 1}, column {mistake.column + 1}: {mistake.what}\n  {shown}\n  {caret}"
    )


def _values(node: yaml.Node, known: dict[int, float]) -> float:
    """Count the values of a tree with its aliases expanded; infinitely many where one contains itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        inner = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            inner = [value for pair in node.value for value in pair]
        known[id(node)] = 1 + sum(_values(value, known) for value in inner)
    return known[id(node)]


# ── what YAML accepts, but nobody intends ───────────────────────────────────────────────────────────────────


def _suspicious(node: yaml.Node, key: yaml.Node | None = None, is_key: bool = False) -> Iterator[Mistake]:
    """Find texts that hold a whole `key:value`, that begin with curly quotes, and impossible numbers and dates."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _suspicious(item)
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from _suspicious(name, is_key=True)
            yield from _suspicious(value, key=name)
    if not isinstance(node, yaml.ScalarNode) or node.style is not None:
        return
    mark = node.start_mark
    own_line = key is not None and key.value != "function" and key.start_mark.line < mark.line
    if (is_key or own_line) and (joined := NO_SPACE.match(node.value)):
        yield _no_space(mark.line, mark.column + joined.end(), joined[1])
    if node.value[:1] and node.value[0] in CURLY:
        yield _curly(mark.line, mark.column, node.value[0])
    if node.tag.endswith((":int", ":float")) and len(node.value) > LONGEST_NUMBER:
        what = f"a number of {len(node.value)} characters, larger than any that is allowed; fix it"
        yield Mistake(mark.line, mark.column, what)
        return
    try:
        if node.tag.startswith("tag:yaml.org,2002:") and not node.tag.endswith((":merge", ":value")):
            yaml.SafeLoader("").construct_object(node)
    except ValueError as error:
        kind = "date" if node.tag.endswith(":timestamp") else "number"
        yield Mistake(
            mark.line, mark.column, f'looks like a {kind} ({error}); put it in quotes: "{node.value}"'
        )


def _no_space(line: int, column: int, key: str) -> Mistake:
    return Mistake(line, column, f"no space after the colon; write `{key}: …`")


def _curly(line: int, column: int, quote: str) -> Mistake:
    straight = "'" if quote in "‘’‚‛" else '"'
    return Mistake(line, column, f"a curly quote; write straight quotes: {straight}…{straight}")


# ── what YAML rejects ───────────────────────────────────────────────────────────────────────────────────────


def _explain(lines: list[str], error: yaml.MarkedYAMLError) -> Mistake:
    """Explain one of PyYAML's errors."""
    context = error.context_mark
    mark = error.problem_mark or context
    assert mark is not None
    line, column, problem = mark.line, mark.column, error.problem or ""
    if problem == "but found another document":
        return Mistake(line, 0, "a second document begins here; keep one, and remove the line `---`")
    known = _of_characters(lines, line, column) or _of_colons(lines, line, problem, context)
    if known or problem == "mapping values are not allowed here":
        return known or _stray_colon(lines, line, column)
    if "expected" in problem or "end of stream" in problem:
        for number in range(context.line if context else 0, min(line + 1, len(lines))):
            if (opened := _open_quote(lines[number])) is not None:
                return Mistake(
                    number, opened, f"this quote is not closed in its line; add {lines[number][opened]}"
                )
    return _of_values(lines, error, line, column)


def _of_characters(lines: list[str], line: int, column: int) -> Mistake | None:
    """Find tabs, curly quotes and odd spaces in the line of an error, or a tab before the line above."""
    for number in range(max(0, line - 1), min(line + 1, len(lines))):
        text = lines[number]
        indent = text[: len(text) - len(text.lstrip())]
        tab = indent.find("\t")
        if tab < 0 and number == line and text[column : column + 1] == "\t":
            tab = column
        if tab >= 0:
            return Mistake(number, tab, "a tab; YAML is indented with spaces: replace it with spaces")
    text = lines[line] if line < len(lines) else ""
    if quote := CURLY_QUOTE.search(text):
        return _curly(line, quote.start(1), quote[1])
    for number in range(max(0, line - 1), min(line + 1, len(lines))):
        if space := ODD_SPACE.search(lines[number]):
            what = f"an unusual space (U+{ord(space[0]):04X}); replace it with an ordinary one"
            return Mistake(number, space.start(), what)
    return None


def _of_colons(lines: list[str], line: int, problem: str, context: Any) -> Mistake | None:
    """Find a colon without a space after it, where the error says that a colon is missing or superfluous."""
    if not problem.startswith(("mapping values", "could not find expected ':'")):
        return None
    start = context.line if context else _line_above(lines, line)
    for number in range(start, min(line + 1, len(lines))):
        if joined := KEY_AT_ONCE.match(lines[number]):
            return _no_space(number, joined.end(), joined[1])
    if context:
        what = "a key without a colon; write `KEY: VALUE`, or put a text of several words in quotes"
        return Mistake(context.line, context.column, what)
    return None


def _line_above(lines: list[str], line: int) -> int:
    """Return the nearest line above that is neither empty nor a comment."""
    above = [n for n in range(min(line, len(lines))) if lines[n].strip() and lines[n].lstrip()[0] != "#"]
    return above[-1] if above else 0


def _stray_colon(lines: list[str], line: int, column: int) -> Mistake:
    """Explain a colon in a place where none is allowed."""
    above = _line_above(lines, line)
    if ": " in lines[line][:column] or above == line:
        return Mistake(line, column, "a second colon in one line; put the value that holds it in quotes")
    if ":" not in lines[above]:
        start = len(lines[above]) - len(lines[above].lstrip())
        return Mistake(above, start, "a key without a colon; write `KEY: VALUE`")
    start = len(lines[line]) - len(lines[line].lstrip())
    what = f"indented deeper than line {above + 1}, which has a value already; fix the indentation"
    return Mistake(line, start, what)


def _open_quote(text: str) -> int | None:
    """Return the column of a quote that is opened in a line, but not closed there."""
    opened: int | None = None
    column = 0
    while column < len(text):
        character = text[column]
        if opened is None:
            before = text[column - 1] if column else " "
            if character == "#" and before in " \t":
                return None
            if character in "\"'" and before in " \t,:[{":
                opened = column
        elif character == "\\" and text[opened] == '"':
            column += 1
        elif character == text[opened]:
            if character == "'" and text[column + 1 : column + 2] == "'":
                column += 1
            else:
                opened = None
        column += 1
    return opened


def _open_bracket(lines: list[str], line: int, column: int) -> tuple[int, int] | None:
    """Return line and column of the last bracket that is not closed before a place."""
    opened = []
    for number, text in enumerate([*lines[:line], "".join(lines[line : line + 1])[:column]]):
        for place, character in enumerate(text):
            if character in CLOSING:
                opened.append((number, place))
            elif opened and character in CLOSING.values():
                opened.pop()
    return opened[-1] if opened else None


def _of_values(lines: list[str], error: yaml.MarkedYAMLError, line: int, column: int) -> Mistake:
    """Explain what is wrong with brackets, and with values that need quotes."""
    problem, within, context = error.problem or "", error.context or "", error.context_mark
    before = lines[line][:column].rstrip()[-1:] if line < len(lines) else ""
    if within.startswith("while parsing a flow") and (opened := _open_bracket(lines, line, column)):
        bracket = lines[opened[0]][opened[1]]
        if opened[0] < line or "<stream end>" in problem:
            return Mistake(*opened, f"this {bracket} is not closed; add {CLOSING[bracket]}")
        if lines[line][column - 1] in "}]" and lines[line][column] not in " \t":
            return Mistake(line, column, BEHIND_BRACKET)
        return Mistake(line, column, f"a comma or {CLOSING[bracket]} is missing before this")
    if alias := re.fullmatch("found undefined alias '(.*)'", problem):
        what = f"`*{alias[1]}` refers to no `&{alias[1]}` above; fix the name, or put the value in quotes"
        return Mistake(line, column, what)
    needs_quotes = within.startswith(("while scanning an a", "while scanning a block scalar")) or (
        "that cannot start any token" in problem or problem.startswith("could not determine a constructor")
    )
    if needs_quotes:
        if context:
            line, column = context.line, context.column
        return Mistake(line, column, f"a value that begins with {lines[line][column:][:1]} must be in quotes")
    if problem.startswith("found unknown escape character"):
        what = "a backslash in double quotes begins an escape; double it, or use single quotes"
        return Mistake(line, column - 1, what)
    if problem.startswith("expected <block end>") and before in ("}", "]", '"', "'"):
        behind_quote = "text behind a closing quote; put the whole value in quotes"
        what = BEHIND_BRACKET if before in "}]" else behind_quote
        return Mistake(line, column, what)
    if problem.startswith("expected <block end>"):
        what = "indented unlike the lines above that it belongs to; fix the indentation"
        return Mistake(line, column, what)
    if problem.startswith("expected the node content"):
        return Mistake(line, column, "a value is missing before this; give one, or remove this")
    if problem.startswith("expected a mapping or list of mappings for merging"):
        return Mistake(line, column, "`<<` takes a section, such as `*name`; fix its value")
    if problem == "found unhashable key":
        return Mistake(line, column, "a list or section cannot be a key; put it in quotes")
    return Mistake(line, column, f"{problem}; fix the line")
