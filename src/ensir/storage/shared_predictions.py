"""What a shared store of predictions must hold to be that of a model for the images of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ensir.storage.shared import SharedImage, SharedStore

OTHER_KIND = "has other channels or another depth than the targets; use the publisher's"
NAMED = 5  # images that an error names


def mismatches(
    shared: SharedStore, dataset: str, names: Sequence[str], ours: Mapping[str, SharedImage]
) -> Iterator[str]:
    """Yield a line for each way in which a shared store does not hold the predictions for some images.

    Parameters
    ----------
    shared : SharedStore
    dataset : str
        Name of the dataset.
    names : list of str
        Names of the images.
    ours : dict
        The digests of targets and inputs by image name. Those of an image must be those that its prediction was made
        for, where both are recorded; of one without a target, inputs must be. Images that are not in it, as they
        have not been read yet, are found by name alone.
    """
    kinds = {str(shared.attributes(part).get("kind")) for part in shared.parts} - {"prediction"}
    if kinds:
        yield f"{shared.location}: holds {kinds.pop()!r}, not predictions; fix the path"
        return
    where = f"{shared.location}, for dataset {dataset!r}"
    if missing := [name for name in names if name not in shared.images]:
        fix = "fix the path, or leave them out (`exclude`, of a dataset in folders)"
        yield f"{where}: has no prediction for {named(missing)}; {fix}"
    both = [
        (name, ours[name], shared.images[name]) for name in names if name in ours and name in shared.images
    ]
    for what, others in (
        (
            "target",
            [name for name, one, other in both if one.target and other.target not in ("", one.target)],
        ),
        ("input", [name for name, one, other in both if not _same_input(one, other)]),
    ):
        if others:
            yield f"{where}: was made with another {what} for {named(others)}; use the publisher's"


def _same_input(one: SharedImage, other: SharedImage) -> bool:
    """Return whether two images have the same input, as far as is recorded; without a target, it must be."""
    if not (one.target and other.target):
        return one.input == other.input != ""
    return not one.input or other.input in ("", one.input)


def named(names: Sequence[str]) -> str:
    """Name some images in an error."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{'image' if len(names) == 1 else 'images'} {', '.join(map(repr, names[:NAMED]))}{more}"
