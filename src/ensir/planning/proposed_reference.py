"""Choose the reference of a proposal: what methods are fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ensir.errors import InputError
from ensir.planning import file_names
from ensir.planning.image_sets import ImageSet
from ensir.section import unknown

if TYPE_CHECKING:
    from ensir.planning.proposal import Proposal

FEW = 12  # images that make a reference where there is one set only


def choose_reference(proposal: Proposal, wanted: str | None) -> None:
    """Choose the set that methods are fitted to, among those that have targets; a single set is divided."""
    sets = [one for one in proposal.sets if one.has_targets]
    names = [one.name for one in sets]
    if wanted and wanted not in names:
        raise InputError(f"--reference: {unknown(f'no set is called {wanted!r}', wanted, names)}")
    if len(names) == 1 < len(proposal.sets):
        proposal.reference = names[0]
        return
    if wanted and len(names) > 1:
        proposal.reference = wanted
        return
    called = [name for name in names if file_names.says(file_names.REFERENCE, name)]
    unknown_sets = [
        name
        for name in names
        if not any(file_names.says(w, name) for w in (file_names.BENCHMARK, file_names.TEST))
    ]
    largest = max(sets, key=lambda one: len(one.targets)).name
    proposal.reference = (called or (unknown_sets if len(unknown_sets) < len(names) else []) or [largest])[0]
    if len(names) == 1:
        if len(proposal.sets[0].targets) < 2:
            raise InputError(f"{proposal.sets[0].pattern}: one image; a reference and a test need one each")
        proposal.unsure.append(
            "there is one set: a part of it is taken for the reference, and scores are of the rest, not of the whole "
            "set; better is a reference of training images"
        )
    elif not called:
        reason = "it holds the most images"
        if 0 < len(unknown_sets) < len(names):
            alone = unknown_sets == [proposal.reference]
            reason = "the others are known tests" if alone else "its name tells nothing of tests"
        proposal.unsure.append(
            f"{proposal.reference} is taken for the reference, since {reason}; `--reference NAME` chooses another of "
            f"{', '.join(names)}"
        )


def reference_part(one: ImageSet) -> list[str]:
    """Return what is taken for the reference of the only set: whole scenes, or images, of evenly spaced names.

    Returns
    -------
    list of str
        Values of the first part of the names: at most a third of the images and about `FEW`, but two images where
        there are three, as some methods hold one out.
    """
    firsts = sorted({name[0] for name in one.targets})
    per_first = len(one.targets) / len(firsts)
    least = 2 if len(firsts) == len(one.targets) > 2 else 1
    number = max(least, min(round(FEW / per_first), len(firsts) // 3))
    return [firsts[len(firsts) * (2 * i + 1) // (2 * number)] for i in range(number)]
