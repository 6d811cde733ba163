"""Images that are where they should not be, found by content without reading more files than necessary."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import combinations

from ensir.errors import InputError
from ensir.planning.plan import Plan

log = logging.getLogger(__name__)
THREADS = 8  # which wait for the disk or the network
ENDS = 4096  # bytes at the beginning and the end of a file that are compared first
SOME = 3  # images of a dataset whose predictions are compared with each other


def shared_images(plan: Plan) -> Iterator[str]:
    """Yield a line for each test set that holds images of the reference: one file, or equal bytes in two.

    Where the test set has no targets, inputs are compared; of two shared datasets, digests of pixels. Equal pixels in
    files that differ, such as a PNG and a TIFF, or in a file and a shared dataset, are found during the run.
    """
    content = _Content()
    for name, experiment in plan.config.experiments.items():
        for test in experiment.tests:
            if test == experiment.reference:
                continue
            try:
                files = plan.targets if plan.has_targets(test) else plan.inputs
                reference, tested = files(experiment.reference), files(test)
                twins = _shared_twins(plan, experiment.reference, test) or content.twins(reference, tested)
            except (InputError, OSError):  # reported by the plan, or by the headers
                continue
            twins = {image: twin for image, twin in twins.items() if image not in experiment.allow_overlap}
            if not twins:
                continue
            image, twin = next(iter(twins.items()))
            number = f" ({len(twins)} of {len(plan.targets(test))} images)" if len(twins) > 1 else ""
            yield (
                f"experiments.{name}.tests: image {image!r} of {test} and image {twin!r} of the reference "
                f"{experiment.reference} {_alike(tested.get(image), reference.get(twin))}, or name it in "
                f"`allow_overlap`{number}"
            )


def tell_of_copies(plan: Plan) -> None:
    """Warn of models of one experiment that are the same, and of predictions, or inputs, that are the targets.

    An average would count such a model twice, and a fit learn from the targets. Files are compared by content, of some
    images. The plan was found to be without mistakes.
    """
    content, sections = _Content(), plan.config.models
    told: dict[tuple[str, str], str] = {}  # once for each pair
    for _, dataset, models in plan.used():
        files = {model: _single(sections[model], plan.predictions(dataset, model)) for model in models}
        for model, other in combinations(models, 2):
            if sections[model] == sections[other] and "{model}" not in str(sections[model]):
                told.setdefault((model, other), f"models.{other}: is the same as models.{model}")
            elif first := content.same(files[model], files[other]):
                told.setdefault(
                    (model, other),
                    f"models.{other}.path: predictions for {dataset} are those of {model}, such as {first}",
                )
        of_targets = plan.targets(dataset) if plan.has_targets(dataset) else {}
        targets = _single(plan.config.datasets[dataset], of_targets)
        if first := content.same(targets, plan.inputs(dataset)):
            told.setdefault(
                (dataset, ""), f"datasets.{dataset}.input: inputs are the targets, such as {first}"
            )
        for model in models:
            if first := content.same(targets, files[model]):
                told.setdefault(
                    (model, "targets"),
                    f"models.{model}.path: predictions for {dataset} are its targets, such as {first}",
                )
    for line in told.values():
        log.warning("%s; fix it, unless this is intended", line)


def _single(section: object, files: dict[str, str]) -> dict[str, str]:
    """Return files unless they hold several arrays, of which sections choose."""
    return {} if getattr(section, "array", None) else files


def _alike(file: str | None, other: str | None) -> str:
    """Say how two images are equal, and how to keep them apart; those in shared datasets have no files."""
    if not file or not other:
        return "have one digest; choose another dataset"
    same = (
        f"are one file, {other}" if os.path.samefile(file, other) else f"have one content ({file}, {other})"
    )
    return f"{same}; `exclude` it from one of them"


def _shared_twins(plan: Plan, reference: str, test: str) -> dict[str, str]:
    """Return the image of the reference for each test image with equal pixels, where both are shared datasets."""
    held, tested = plan.index(reference), plan.index(test)
    if not (held and tested):
        return {}
    what = "target" if tested.has_targets else "input"
    twins = {digest: name for name, image in held.images.items() if (digest := getattr(image, what))}
    return {
        name: twins[digest]
        for name, image in tested.images.items()
        if (digest := getattr(image, what)) in twins
    }


class _Content:
    """Compares files by size, then by both ends, then whole; each file is read at most once."""

    def __init__(self) -> None:
        self.size = cache(os.path.getsize)
        self.ends = cache(_ends)
        self.whole = cache(_whole)

    def twins(self, reference: dict[str, str], tested: dict[str, str]) -> dict[str, str]:
        """Return the image of the reference for each test image with the same content."""
        left = {image: file for image, file in tested.items() if file}
        right = {image: file for image, file in reference.items() if file}
        found: dict[str, list[str]] = {}
        with ThreadPoolExecutor(THREADS) as pool:
            for measure in (self.size, self.ends, self.whole):
                found = _equal(measure, right, left, pool)
                left = {image: left[image] for image in found}
                kept = {twin for twins in found.values() for twin in twins}
                right = {image: file for image, file in right.items() if image in kept}
        return {image: twins[0] for image, twins in found.items()}

    def same(self, files: dict[str, str], others: dict[str, str]) -> str:
        """Return the first file that has the content of its namesake, if some that are compared have; else nothing."""
        pairs = [(files[image], others[image]) for image in files if files[image] and others.get(image)]
        some = pairs[:: max(1, len(pairs) // SOME)]
        try:
            same = all(self.size(a) == self.size(b) and self.whole(a) == self.whole(b) for a, b in some)
        except OSError:  # reported elsewhere
            return ""
        return some[0][1] if some and same else ""


def _equal(
    measure: Callable[[str], object],
    reference: dict[str, str],
    tested: dict[str, str],
    pool: ThreadPoolExecutor,
) -> dict[str, list[str]]:
    """Return the images of the reference of which something is equal, for each test image that has any."""
    images: dict[object, list[str]] = defaultdict(list)
    for image, value in zip(reference, pool.map(measure, reference.values()), strict=True):
        images[value].append(image)
    values = zip(tested, pool.map(measure, tested.values()), strict=True)
    return {image: images[value] for image, value in values if value in images}


def _ends(file: str) -> bytes:
    with open(file, "rb") as opened:
        digest = hashlib.sha256(opened.read(ENDS))
        opened.seek(max(0, os.fstat(opened.fileno()).st_size - ENDS))
        digest.update(opened.read())
    return digest.digest()


def _whole(file: str) -> bytes:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()
