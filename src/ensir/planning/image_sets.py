"""Find sets of images in folders: where their targets are, and of which parts the names of these are made."""

from __future__ import annotations

import glob
import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from ensir.errors import InputError
from ensir.images import formats
from ensir.images.globs import Files
from ensir.images.patterns import Pattern
from ensir.planning import file_names

SCALE = re.compile(r"(?<=[^\W_])[_. -]?x\d+$", re.IGNORECASE)  # at the end of names, such as _x4
NUMBER = "number"  # a part before the word for targets
Id = tuple[str, ...]  # the parts of an image's name


@dataclass(frozen=True)
class ImageSet:
    """Targets that belong together.

    Attributes
    ----------
    name : str
        As a dataset is called.
    folder : str
        The folder, or its word, that tells it from other sets, as paths have it; empty where there are no others.
    pattern : str
        Of the targets, with named parts.
    parts : list of str
        Names of the parts.
    targets : dict
        Path by parts of the name; of a set without targets, the inputs.
    also : dict
        By name, what stands in a file name besides, and is told by the parts, such as the number of a scene.
    why : str
        What the choice rests on, where it may be wrong; else empty.
    has_targets : bool
    """

    name: str
    folder: str
    pattern: str
    parts: list[str]
    targets: dict[Id, str]
    also: dict[Id, str]
    why: str
    has_targets: bool = True


def image_files(folders: Iterable[str]) -> list[str]:
    """List the image and array files in folders and below, each once, without hidden ones."""
    found: dict[str, str] = {}
    for folder in folders:
        for path, _, entry in Files(Pattern("**/*", folder), folder):
            known = os.path.splitext(path)[1].lower() in formats.SUFFIXES
            if known and entry.is_file():
                found.setdefault(os.path.realpath(path), os.path.normpath(path))
    return sorted(found.values())


def roles(
    paths: Iterable[str], folders: Iterable[str], target: str | None = None
) -> dict[str, tuple[file_names.Role, int]]:
    """Return the role of each file that has one, by its own name, else by the nearest folder.

    Parameters
    ----------
    paths, folders : list of str
        Files, and the folders in which they were found: names of folders above these tell nothing.
    target : str or None
        Name of the folders that hold the targets; None: their names tell.

    Returns
    -------
    dict
        Role, and which component of the path tells it.
    """
    above = min((len(os.path.normpath(folder).split("/")) - 1 for folder in folders), default=0)
    result: dict[str, tuple[file_names.Role, int]] = {}
    for path in paths:
        components = os.path.splitext(path)[0].split("/")
        if target and target in components[:-1]:
            result[path] = "target", components.index(target)
            continue
        for place in range(len(components) - 1, above - 1, -1):
            found = file_names.role(components[place])
            if found and not (target and found[0] == "target"):
                result[path] = found[0], place
                break
    return result


def image_sets(targets: dict[str, int]) -> list[list[ImageSet]]:
    """Divide targets into sets; sets of other places in the tree of folders are alternatives.

    Parameters
    ----------
    targets : dict
        For each file, which component of its path tells that it is a target.

    Returns
    -------
    list of lists
        Sets whose folders have equal structure, the most images first. Other words and endings, such as Set5/GT/*.png
        beside BSD/HR/*.jpg, are other sets of that structure, where neither folders nor images are the same.
    """
    families: dict[tuple[int, int, str, str], list[str]] = defaultdict(list)
    for path, place in targets.items():
        *folders, name = path.split("/")
        words = file_names.tokens((*folders, os.path.splitext(name)[0])[place])
        word = next((word for word in words if file_names.role(word)), "".join(words))
        families[len(folders), place, word, os.path.splitext(name)[1]].append(path)
    joined: list[tuple[int, int, list[list[str]]]] = []
    for (depth, place, _, _), paths in sorted(families.items(), key=lambda family: -len(family[1])):
        for other_depth, other_place, members in joined:
            alike = (depth, place) == (other_depth, other_place) and place < depth
            if alike and all(_are_apart(paths, others, place) for others in members):
                members.append(paths)
                break
        else:
            joined.append((depth, place, [paths]))
    return sorted(
        (_divide(sorted(chain(*members)), place, len(members) > 1) for _, place, members in joined),
        key=lambda sets: -sum(len(one.targets) for one in sets),
    )


def _are_apart(paths: list[str], others: list[str], place: int) -> bool:
    """Whether two groups of targets have no image's name in common, and no folder in which that of the targets lies."""
    (names, homes), (other_names, other_homes) = (
        (
            {os.path.splitext(os.path.basename(path))[0] for path in group},
            {tuple(part for i, part in enumerate(path.split("/")[:-1]) if i != place) for path in group},
        )
        for group in (paths, others)
    )
    return names.isdisjoint(other_names) and homes.isdisjoint(other_homes)


def _divide(paths: list[str], place: int, of_several_words: bool) -> list[ImageSet]:
    """Divide targets of one structure by the folders in which they differ: into sets, or into scenes of a set."""
    rows = [path.split("/")[:-1] for path in paths]
    dividing: list[int] = []
    scenes: list[int] = []
    why = []
    columns = [sorted(set(column)) for column in zip(*rows, strict=True)]
    called_alike = len({os.path.basename(path) for path in paths}) == 1
    of_images = max((i for i, names in enumerate(columns) if called_alike and len(names) > 1), default=None)
    for i, names in enumerate(columns):
        if len(names) == 1 or (i == place and of_several_words):
            continue
        are_scenes = i != place and (i == of_images or file_names.are_scenes(names))
        (scenes if are_scenes else dividing).append(i)
        if i != place and not file_names.are_sets(names):
            some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            why.append(f"{some} are taken for {'scenes of one set' if are_scenes else 'sets of their own'}")
    groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path, row in zip(paths, rows, strict=True):
        groups[tuple(row[i] for i in dividing)].append(path)
    return [
        _image_set(members, place, scenes, _told_apart(key), "; ".join(why))
        for key, members in sorted(groups.items())
    ]


def _told_apart(folders: tuple[str, ...]) -> str:
    """Return the folder that tells a set from others, without words for targets."""
    words = map(file_names.without_role, reversed(folders))
    return next((word for word in words if word), "")


def _image_set(paths: list[str], place: int, scenes: list[int], folder: str, why: str) -> ImageSet:
    """Make the pattern of some targets, and read the parts of their names by it."""
    *folders, name = map(glob.escape, paths[0].split("/"))
    for number, i in enumerate(scenes):
        folders[i] = f"{{scene{number + 1 if number else ''}}}"
    stems = sorted({os.path.splitext(os.path.basename(path))[0] for path in paths})
    for by_name in (place == len(folders), False):
        stem = _stem_pattern(stems, "frame" if scenes else "image", by_name)
        pattern = Pattern("/".join((*folders, stem + os.path.splitext(name)[1])), "init")
        if values := _read_all(pattern, paths):
            break
    also: dict[Id, str] = {}
    without = Pattern(pattern.text.replace(f"{{{NUMBER}}}", "*"), "init")
    rest = _read_all(without, paths) if NUMBER in pattern.parts else {}
    if len(set(rest.values())) == len(paths):
        number = pattern.parts.index(NUMBER)
        also = {rest[path]: parts[number] for path, parts in values.items()}
        pattern, values = without, rest
    targets = {parts: path for path, parts in values.items()}
    telling = [part for i, part in enumerate(paths[0].split("/")[:-1]) if i <= place and i not in scenes]
    called = file_names.as_name(folder or _named_after(telling))
    return ImageSet(called, folder, pattern.text, list(pattern.parts), targets, also, why)


def _read_all(pattern: Pattern, paths: list[str]) -> dict[str, Id]:
    """Return the parts of all paths; nothing where one of them does not fit, or can be read in two ways."""
    try:
        read = {path: pattern.read(path, "") for path in paths}
    except InputError:
        return {}
    values = {path: tuple(parts[name] for name in pattern.parts) for path, parts in read.items() if parts}
    return values if len(values) == len(paths) else {}


def _named_after(folders: list[str]) -> str:
    """Return the nearest folder that says more than a role."""
    for folder in reversed(folders):
        telling = not file_names.role(folder) and not file_names.GENERIC.fullmatch(folder.lower())
        if telling and folder.strip("."):
            return folder
    return "images"


def _stem_pattern(stems: list[str], part: str, by_name: bool) -> str:
    """Return the pattern of some file stems: a part, around which stands what tells that they are targets."""
    if not by_name:
        scales = {found[0] if (found := SCALE.search(stem)) else "" for stem in stems}
        return f"{{{part}}}{glob.escape(scales.pop()) if len(scales) == 1 else ''}"
    split = [_around_role(stem) for stem in stems]
    if not any(word.isalnum() for left, _, right in split for word in file_names.tokens(left + right)):
        # Nothing beside the word: the folders tell the images, or there is a single one.
        return glob.escape(stems[0]) if part == "frame" else f"{{{part}}}"
    lefts, word, rights = [left for left, _, _ in split], split[0][1], [right for _, _, right in split]
    varied = [len(set(side)) > 1 or len(stems) == 1 for side in (lefts, rights)]
    if len(stems) == 1:  # nothing tells which side is the name
        varied = [bool(re.search(r"[^\W_]", lefts[0])), not re.search(r"[^\W_]", lefts[0])]
    names = [NUMBER, part] if all(varied) else [part, part]
    sides = [
        _varying(side, name) if vary else glob.escape(side[0])
        for side, name, vary in zip((lefts, rights), names, varied, strict=True)
    ]
    return glob.escape(word).join(sides)


def _around_role(stem: str) -> tuple[str, str, str]:
    words = file_names.tokens(stem)
    place = next(i for i, word in enumerate(words) if file_names.role(word))
    return "".join(words[:place]), words[place], "".join(words[place + 1 :])


def _varying(texts: list[str], part: str) -> str:
    """Return a part for what varies in some texts, and around it what they begin and end with, in whole tokens."""
    split = [file_names.tokens(text) for text in texts]
    shortest = min(map(len, split))
    begin = end = 0
    if len(set(texts)) > 1:
        while begin < shortest - 1 and len({words[begin] for words in split}) == 1:
            begin += 1
        while end < shortest - 1 - begin and len({words[-1 - end] for words in split}) == 1:
            end += 1
    else:
        begin = next(i for i, word in enumerate(split[0]) if word.isalnum())
        end = next(i for i, word in enumerate(reversed(split[0])) if word.isalnum())
    first = split[0]
    before, after = (glob.escape("".join(words)) for words in (first[:begin], first[len(first) - end :]))
    return f"{before}{{{part}}}{after}"
