"""Find test sets whose targets nobody has: inputs, as challenges give them, that belong to no targets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ensir.planning import file_names
from ensir.planning.image_series import find_series
from ensir.planning.image_sets import ImageSet, image_sets

SETS = (file_names.REFERENCE, file_names.TEST, file_names.BENCHMARK)


def hidden_sets(
    targets: Mapping[str, int], inputs: Mapping[str, int], others: Collection[str], sets: list[ImageSet]
) -> tuple[list[ImageSet], list[ImageSet]]:
    """Find the inputs that belong to no targets.

    They lie where other inputs do beside targets, but in the folders of another set (train/gt, train/lq, test/lq); or
    no target is called as any image of their folder.

    Parameters
    ----------
    targets, inputs : dict
        For each file, which component of its path tells that it is one.
    others : collection of str
        Files whose names tell nothing.
    sets : list of ImageSet
        Of the targets.

    Returns
    -------
    list of ImageSet
        The given sets; a single one is named after the folder that tells it from the hidden ones.
    list of ImageSet
        Sets whose `targets` are inputs.
    """
    beside = {_without_role(path, place) for path, place in targets.items()}
    alike = {_depths(path, place) for path, place in inputs.items() if _without_role(path, place) in beside}
    alone = _alone([*inputs, *others], sets)
    found = {
        path: place
        for path, place in inputs.items()
        if path in alone
        or (
            _depths(path, place) in alike
            and _without_role(path, place) not in beside
            and any(file_names.says(words, name) for name in _without_role(path, place) for words in SETS)
        )
    }
    if not found:  # no word tells of inputs, but the folder of a test does
        folders = {path: path.split("/")[:-1] for path in others if path in alone}
        found = {
            path: len(names) - 1
            for path, names in folders.items()
            if names
            and any(file_names.says(words, names[-1]) for words in (file_names.TEST, file_names.HIDDEN))
        }
    if not found:
        return sets, []
    hidden = [replace(one, has_targets=False) for one in image_sets(found)[0]]
    return _named_apart(sets, hidden, targets, found)


def _without_role(path: str, place: int) -> tuple[str, ...]:
    """Return the folders of a file, without the one that tells its role."""
    folders = path.split("/")[:-1]
    return tuple(name for i, name in enumerate(folders) if i != place)


def _depths(path: str, place: int) -> tuple[int, int]:
    return path.count("/"), place


def _alone(paths: Collection[str], sets: list[ImageSet]) -> set[str]:
    """Return the files in whose folders none is called as a target."""
    unmatched = set(find_series(paths, sets).alone)
    matched = {path.rpartition("/")[0] for path in paths if path not in unmatched}
    return {path for path in unmatched if path.rpartition("/")[0] not in matched}


def _named_apart(
    sets: list[ImageSet], hidden: list[ImageSet], targets: Mapping[str, int], inputs: Mapping[str, int]
) -> tuple[list[ImageSet], list[ImageSet]]:
    """Name sets after the first folder in which all of them differ."""
    every, places = [*sets, *hidden], {**targets, **inputs}
    rows = []
    for one in every:
        path = next(iter(one.targets.values()))
        folders = path.split("/")[:-1]
        rows.append(
            [file_names.without_role(name) if i == places[path] else name for i, name in enumerate(folders)]
        )
    for column in zip(*rows, strict=False):
        if all(column) and len(set(column)) == len(every):
            every = [
                one if one.folder else replace(one, name=file_names.as_name(word), folder=word)
                for one, word in zip(every, column, strict=True)
            ]
            break
    return every[: len(sets)], every[len(sets) :]
