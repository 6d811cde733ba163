"""List image files by pattern, and match them by name."""

from __future__ import annotations

import difflib
import fnmatch
import logging
import os
import unicodedata
from collections.abc import Sequence

from ensir.errors import InputError
from ensir.images.formats import SUFFIXES
from ensir.images.globs import UNREAD, Files, broken
from ensir.images.patterns import Pattern

log = logging.getLogger(__name__)


class Images(dict[str, str]):
    """Path by name, in the order of the names.

    Attributes
    ----------
    parts : tuple of str
        What the names are made of, in this order, with / between; empty where they are paths below a folder.
    beside : int
        How many images are left out: beside those of the pattern, or excluded.
    folder : str
        The folder below which all of them are, as the pattern names it.
    limited : bool
        Whether a part of the pattern takes few of the images, on purpose.
    unmatched : list of str
        Where they were matched to other images: the names that those lack.
    """

    parts: tuple[str, ...] = ()
    beside: int = 0
    folder: str = ""
    limited: bool = False
    unmatched: Sequence[str] = ()


def find(
    pattern: str,
    key: str,
    suffix: str = "",
    exclude: list[str] | None = None,
    folder: str | None = None,
    unmatched_excludes: bool = False,
) -> Images:
    """List the images of a pattern, by name.

    The name of an image that a glob finds is the path below the glob's fixed folder, without extension and without
    the declared suffix: ``gt/*.png`` with suffix ``_x4`` calls ``gt/baby_x4.png`` "baby"; ``gt/**/*.png`` calls
    ``gt/faces/baby.png`` "faces/baby". Where a pattern has named parts, these are the name, with / between:
    ``{scene}/sharp/{frame}.png`` calls ``road/sharp/0001.png`` "road/0001".

    Images beside those of the pattern, whose names differ in nothing but extension, case or a leading dot, or whose
    parts disagree, are reported in one warning.

    Parameters
    ----------
    pattern : str
        Glob of the files, in which named parts may stand, or a folder of images; ``**`` stands for any sub-folders,
        each visited once, however many links lead to it; ``~`` for the home folder.
    key : str
        The configuration key that holds the pattern, for the error message.
    suffix : str
        End of every file stem that is not part of the name.
    exclude : list of str
        Names (or wildcards of names) to leave out.
    folder : str or None
        Where the pattern begins, taken literally; None: the pattern's own fixed folder.
    unmatched_excludes : bool
        Whether `exclude` may name images that do not exist.

    Returns
    -------
    Images

    Raises
    ------
    InputError
        No image, a stem without the suffix, two files of one name, a path that can be read in two ways, a broken link,
        or an `exclude` that matches nothing.
    """
    named = Pattern(pattern if folder else os.path.expanduser(pattern), key)
    if named.parts and suffix:
        raise InputError(
            f"{key}: {pattern!r} has named parts, where no suffix can be declared; write {suffix!r} into the pattern"
        )
    files = Files(named, folder)
    excluded: dict[str, set[str]] = {name: set() for name in exclude or []}
    images = _named(files, key, suffix, excluded)
    if not images and not any(excluded.values()):
        raise InputError(f"{key}: {files.why_none()}")
    _check_exclude(excluded, images, key, unmatched_excludes)
    _by_form(images, key)
    files.warn(key)
    ordered = Images(sorted(images.items()))
    ordered.parts, ordered.folder, ordered.limited = named.parts, files.base, named.limited
    ordered.beside = files.beside() + len(set[str]().union(*excluded.values()))
    return ordered


def _named(files: Files, key: str, suffix: str, excluded: dict[str, set[str]]) -> dict[str, str]:
    """Return the images among the files of a pattern, by name, and add the names left out to `excluded`."""
    named, images = files.pattern, dict[str, str]()
    for path, relative, entry in files:
        extension = os.path.splitext(relative)[1].lower()
        if extension in UNREAD:
            files.passed.append(path)
        if extension not in SUFFIXES or not (entry.is_symlink() or entry.is_file()):
            continue
        name = _name(files, path, relative, suffix)
        if name is None:
            if not named.limited:  # else on purpose
                files.passed.append(path)
            continue
        left_out = [one for one in excluded if fnmatch.fnmatchcase(in_nfc(name), in_nfc(one))]
        for one in left_out:
            excluded[one].add(name)
        if left_out:
            continue
        if entry.is_symlink() and not os.path.isfile(path):
            if os.path.isdir(path):
                continue
            raise InputError(f"{key}: {broken(path)}")
        if name in images:
            parts = ", or tell them apart by one more part" if named.parts else ""
            raise InputError(
                f"{key}: {images[name]} and {path} have the same name {name!r}; remove one of them{parts}"
            )
        images[name] = path
    return images


def _name(files: Files, path: str, relative: str, suffix: str) -> str | None:
    """Return the name of an image; None where the parts of its path do not fit."""
    pattern = files.pattern
    if pattern.parts:
        values = pattern.read(path[len(files.base) :].lstrip("/"), files.prefix)
        return "/".join(values[part] for part in pattern.parts) if values else None
    stem, _ = os.path.splitext(relative)
    if not stem.endswith(suffix):
        raise InputError(f"{pattern.key}: {path} does not end in the declared suffix {suffix!r}")
    return stem.removesuffix(suffix)


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
    rename: str = "",
) -> Images:
    """Return the others in the order of the names; none may be missing.

    Where both names are made of parts, the parts are compared, in whatever order the patterns have them. Names are
    compared in Unicode's composed form (NFC): file systems differ in how they write accents.

    Parameters
    ----------
    names, others : dict
        Files by name.
    key : str
        Where the others come from, for the error message.
    add, rename : str
        How to fix missing files, and files with other names; as a configuration does by default.

    Raises
    ------
    InputError
        Names the images that the others lack, and what they hold instead; or the parts.
    """
    others_have_parts = bool(getattr(others, "parts", ()))
    others = reordered(others, getattr(names, "parts", ()), key)
    forms, wanted = _by_form(others, key), _by_form(names, key)
    missing = [name for form, name in wanted.items() if form not in forms]
    spare = [name for form, name in forms.items() if form not in wanted]
    if missing:
        lacks = f"{key}: no file for {_some(missing)} ({len(missing)} of {len(names)} images)"
        if not spare:
            raise InputError(f"{lacks}; {add}")
        if not rename:
            declare = (
                "write what is no part of the names into the pattern"
                if others_have_parts
                else "declare a suffix"
            )
            rename = f"rename the files, or {declare}"
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
    matched = Images((name, others[forms[form]]) for form, name in wanted.items())
    matched.unmatched = spare
    return matched


def reordered(images: dict[str, str], parts: tuple[str, ...], key: str) -> dict[str, str]:
    """Return images whose names are made of parts in another order; those that are not made of parts stay.

    Raises
    ------
    InputError
        They are made of other parts.
    """
    own: tuple[str, ...] = getattr(images, "parts", ())
    if not own or not parts or own == parts:
        return images
    if sorted(own) != sorted(parts):
        here, there = (", ".join(f"{{{part}}}" for part in names) for names in (own, parts))
        raise InputError(
            f"{key}: names images by {here}, but what they are matched to is named by {there}; use the same parts in "
            "both, and * for what does not tell images apart"
        )
    order = [own.index(part) for part in parts]
    result = Images()
    result.parts = parts
    for name, path in images.items():
        values = name.split("/")
        result["/".join(values[place] for place in order)] = path
    return result


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
