"""Find what belongs to sets of targets: files whose names hold the parts of the targets' names."""

from __future__ import annotations

import glob
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from ensir.errors import InputError
from ensir.images.listing import in_nfc
from ensir.images.patterns import Pattern
from ensir.planning import file_names
from ensir.planning.image_sets import Id, ImageSet

ALSO, FIRST_MARK = "\ue000", 0xE001  # characters without a meaning: each stands for a part


@dataclass(frozen=True)
class Series:
    """Files of one pattern that belong to the targets of one set.

    Attributes
    ----------
    of : ImageSet
    pattern : str
        With the parts of the set.
    files : dict
        Path by parts of the name.
    problem : str
        Why it cannot be used; empty where it can.
    """

    of: ImageSet
    pattern: str
    files: dict[Id, str]
    problem: str = ""

    @property
    def beside(self) -> int:
        """How many folders it shares with the targets."""
        return _shared_folders(self.pattern, self.of.pattern)


@dataclass
class Found:
    """Series, and files that belong to no set, or perhaps to several.

    Attributes
    ----------
    series : list of Series
    alone, unclear : list of str
    assumed : list of (str, str)
        Files that fit several sets, and the name of the test set among these, to which they are taken to belong.
    """

    series: list[Series] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    assumed: list[tuple[str, str]] = field(default_factory=list)


def find_series(paths: Iterable[str], sets: list[ImageSet]) -> Found:
    """Match files to the targets of sets by the parts of their names, and group them by what stands around these."""
    found = Found()
    indexes = [_by_last_part(one) for one in sets]
    matched: dict[int, dict[str, Id]] = defaultdict(dict)
    for path in paths:
        options = [
            (_likelihood(path, one), number, name)
            for number, one in enumerate(sets)
            if (name := _match(path, one, indexes[number])) is not None
        ]
        best = max((likelihood for likelihood, _, _ in options), default=None)
        options = [option for option in options if option[0] == best]
        tests = [
            option for option in options if not file_names.says(file_names.REFERENCE, sets[option[1]].name)
        ]
        if not options:
            found.alone.append(path)
        elif len(options) > 1 and len(tests) != 1:
            found.unclear.append(path)
        else:
            ((_, number, name),) = options if len(options) == 1 else tests
            matched[number][path] = name
            if len(options) > 1:
                found.assumed.append((path, sets[number].name))
    for number, names in sorted(matched.items()):
        found.series += _grouped(names, sets[number])
    return found


def _by_last_part(one: ImageSet) -> dict[str, list[Id]]:
    index: dict[str, list[Id]] = defaultdict(list)
    for name in one.targets:
        index[in_nfc(name[-1])].append(name)
    return index


def _likelihood(path: str, one: ImageSet) -> tuple[bool, int]:
    """Return whether a path names a set, and how many folders it shares with its targets."""
    named = bool(one.folder) and any(
        one.folder in file_names.run_texts(folder) for folder in path.split("/")[:-1]
    )
    return named, _shared_folders(path, one.pattern)


def _shared_folders(path: str, other: str) -> int:
    pairs = zip(path.split("/")[:-1], other.split("/")[:-1], strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(path.count("/"), other.count("/")))


def _match(path: str, one: ImageSet, by_last_part: dict[str, list[Id]]) -> Id | None:
    """Return the name of the target whose parts a path holds, the last in its stem; None where it is no single one.

    Where targets are called alike, and their folders tell the images, the last part is in the folder instead.
    """
    components = os.path.splitext(path)[0].split("/")
    below = next(i for i, component in enumerate(reversed(one.pattern.split("/"))) if "{" in component)
    *folders, stem = components[: len(components) - below] or [""]
    texts: frozenset[str] = frozenset()
    for start, end in file_names.runs(stem):
        names = by_last_part.get(in_nfc(stem[start:end]), [])
        if names and len(one.parts) == 1:
            return names[0]
        if names:
            texts = texts or frozenset(
                in_nfc(text) for part in (*folders, stem) for text in file_names.run_texts(part)
            )
            fitting = [name for name in names if all(in_nfc(value) in texts for value in name)]
            longest = max((sum(map(len, name)) for name in fitting), default=0)
            fitting = [name for name in fitting if sum(map(len, name)) == longest]
            if len(fitting) == 1:
                return fitting[0]
    return None


def _grouped(names: dict[str, Id], one: ImageSet) -> list[Series]:
    """Group files by their pattern; a part may occur twice in it where the files do not fit one pattern otherwise."""
    groups = _by_pattern(names, one, everywhere=False)
    rest = {
        path: names[path]
        for files in groups.values()
        if len(files) < len(one.targets)
        for path in files.values()
    }
    repeated = _by_pattern(rest, one, everywhere=True)
    split = {pattern: files for pattern, files in groups.items() if len(files) < len(one.targets)}
    if len(repeated) < len(split):
        groups = {pattern: files for pattern, files in groups.items() if pattern not in split} | repeated
    return [_series(one, pattern, files) for pattern, files in sorted(groups.items())]


def _by_pattern(names: dict[str, Id], one: ImageSet, everywhere: bool) -> dict[str, dict[Id, str]]:
    groups: dict[str, dict[Id, str]] = defaultdict(dict)
    for path, name in names.items():
        groups[_pattern(path, one, name, everywhere)].setdefault(name, path)
    return groups


def _pattern(path: str, one: ImageSet, name: Id, everywhere: bool) -> str:
    """Put named parts in place of their values in a path: each once, as far right as possible, or everywhere."""
    path, extension = os.path.splitext(path)
    components = path.split("/")
    marks = {part: chr(FIRST_MARK + number) for number, part in enumerate(one.parts)}
    last_first = sorted(
        enumerate(zip(one.parts, name, strict=True)), key=lambda item: (-len(item[1][1]), -item[0])
    )
    for _, (part, value) in last_first:
        for i in range(len(components) - 1, -1, -1):
            components[i], done = _marked(components[i], value, marks[part], everywhere)
            if done and not everywhere:
                break
    components[-1], _ = _marked(components[-1], one.also.get(name, ""), ALSO, everywhere=False)
    text = glob.escape("/".join(components)).replace(ALSO, "*")
    for part, mark in marks.items():
        text = text.replace(mark, f"{{{part}}}")
    return text + extension


def _marked(text: str, value: str, mark: str, everywhere: bool) -> tuple[str, bool]:
    """Replace the last run of tokens that is a value, or all of them; return whether there is any."""
    done, value = False, in_nfc(value)
    while span := next((span for span in file_names.runs(text) if in_nfc(text[slice(*span)]) == value), None):
        text, done = text[: span[0]] + mark + text[span[1] :], True
        if not everywhere:
            break
    return text, done


def _series(one: ImageSet, pattern: str, files: dict[Id, str]) -> Series:
    """Check that the pattern reads the parts of every file, with limits where it must."""
    digits = [
        part
        for part, values in zip(one.parts, zip(*files, strict=True), strict=True)
        if all(map(str.isdigit, values))
    ]
    limited = re.sub(
        r"\{(\w+)\}", lambda found: rf"{{{found[1]},\d+}}" if found[1] in digits else found[0], pattern
    )
    for text in (pattern, limited):
        try:
            reader = Pattern(text, "init")
            readings = {name: reader.read(path, "") for name, path in files.items()}
        except InputError as error:
            problem = str(error).removeprefix("init: ")
            continue
        if all(
            reading and [in_nfc(reading[part]) for part in one.parts] == [*map(in_nfc, name)]
            for name, reading in readings.items()
        ):
            return Series(one, text, files, _missing(one, files))
        problem = "no pattern tells the parts of the names"
    return Series(one, pattern, files, problem)


def _missing(one: ImageSet, files: dict[Id, str]) -> str:
    """Say how many images of a set have no file; empty where all have one."""
    missing = [name for name in one.targets if name not in files]
    if not missing:
        return ""
    return f"{len(files)} of {len(one.targets)} images of {one.name}; {'/'.join(missing[0])!r} is missing"
