"""Propose a configuration for what folders hold: sets, their inputs, models, the reference and the tests."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ensir.errors import InputError
from ensir.images import formats, image_files
from ensir.images.codes import Header
from ensir.images.cropping import BORDER
from ensir.planning import file_names
from ensir.planning.hidden_sets import hidden_sets
from ensir.planning.image_series import Found, Series, find_series
from ensir.planning.image_sets import ImageSet, image_sets, roles
from ensir.planning.image_sets import image_files as list_images
from ensir.planning.proposed_reference import choose_reference
from ensir.section import unknown

BRACES = frozenset("{}<>")  # of which named parts and Snakemake's wildcards are made
SAMPLE = 5  # images of a series whose headers are read; `ensir check` reads all


@dataclass
class Model:
    """A base model: predictions by set, or a classical algorithm that runs here.

    Attributes
    ----------
    name : str
    path : str
        Pattern of its predictions; empty where it runs here.
    series : dict
        Predictions by the name of their set.
    algorithm : str
        What runs; empty for predictions.
    """

    name: str
    path: str = ""
    series: dict[str, Series] = field(default_factory=dict)
    algorithm: str = ""


@dataclass
class Proposal:
    """What is proposed, and all that is not certain about it.

    Attributes
    ----------
    sets : list of ImageSet
    headers : dict
        Headers of some targets, or else inputs, by the name of their set.
    inputs : dict
        Inputs by the name of their set.
    scale : int
    models : list of Model
    reference : str
        Name of a set; of the only one where that is to be divided.
    unsure : list of str
        What may be wrong, each with the alternative.
    unused : list of str
        What was found but not used, and why.
    hidden_scales : dict
        Size of predictions over that of the inputs, by the name of the set without targets.
    cropped : bool
        Whether inputs, enlarged, or predictions are a few pixels smaller than targets.
    experiment : str
        Name of the experiment.
    """

    sets: list[ImageSet]
    headers: dict[str, list[Header]] = field(default_factory=dict)
    inputs: dict[str, Series] = field(default_factory=dict)
    scale: int = 1
    models: list[Model] = field(default_factory=list)
    reference: str = ""
    unsure: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    hidden_scales: dict[str, int] = field(default_factory=dict)
    cropped: bool = False
    experiment: str = "mine"

    @property
    def tests(self) -> list[str]:
        """Names of the sets that are fused: all others, but those called as references are only if all are."""
        others = [one.name for one in self.sets if one.name != self.reference]
        return [name for name in others if not file_names.says(file_names.REFERENCE, name)] or others


def propose(folders: list[str], target: str | None = None, reference: str | None = None) -> Proposal:
    """Look at folders of images.

    Parameters
    ----------
    folders : list of str
    target : str or None
        Name of the folders that hold the targets; None: their names tell.
    reference : str or None
        The set that is the reference; None: it is chosen.

    Raises
    ------
    InputError
        There are no images, no targets, or not two models.
    """
    listed = list_images(folders)
    braced = [path for path in listed if set(path) & BRACES]
    files = [path for path in listed if not set(path) & BRACES]
    told = [f"{_first(braced)}: no workflow reads a path with {{, }}, < or >; rename it"] if braced else []
    paths = [path for path in files if not formats.is_array(path)]
    if not paths:
        raise InputError(
            f"{', '.join(folders)}: no images; {'; '.join([*told, 'give the folders of targets and predictions'])}"
        )
    found = roles(paths, folders, target)
    targets = {path: place for path, (role, place) in found.items() if role == "target"}
    if not targets:
        raise InputError(_no_targets(paths, folders, target))
    sets, *others = image_sets(targets)
    inputs = {path: place for path, (role, place) in found.items() if role == "input"}
    sets, hidden = hidden_sets(targets, inputs, [path for path in paths if path not in found], sets)
    proposal = Proposal(_with_own_names([*sets, *hidden]))
    proposal.unsure += dict.fromkeys(one.why for one in sets if one.why)
    proposal.unused += told
    if arrays := [path for path in files if formats.is_array(path)]:
        proposal.unused.append(
            f"{len(arrays)} files of arrays, the first {arrays[0]}: predictions in them need a model with `value_range`"
        )
    for family in others:
        for one in family:
            proposal.unused.append(
                f"{one.pattern}: {len(one.targets)} images that are called targets, too; `--target NAME` chooses the "
                "folders that hold them"
            )
    images = {path for one in proposal.sets for path in one.targets.values()} | set(targets)
    _add_series(proposal, find_series((path for path in paths if path not in images), proposal.sets), found)
    _keep_covered(proposal)
    _set_scale(proposal)
    _add_classical(proposal)
    choose_reference(proposal, reference)
    return proposal


def _no_targets(paths: list[str], folders: list[str], target: str | None) -> str:
    names = {path.rpartition("/")[0].rpartition("/")[2] for path in paths}
    if target:
        return f"--target: {unknown(f'no folder with images is called {target!r}', target, sorted(names))}"
    return (
        f"{', '.join(folders)}: {len(paths)} images, but no folder or file has a name that targets have (gt, sharp, "
        f"HR, clean, target, …); name their folder: --target {sorted(names)[-1]}"
    )


def _with_own_names(sets: list[ImageSet]) -> list[ImageSet]:
    """Number the sets of one name."""
    names = [one.name for one in sets]
    return [
        replace(one, name=one.name if names.count(one.name) == 1 else f"{one.name}{number}")
        for number, one in enumerate(sets, 1)
    ]


# ── inputs and models ───────────────────────────────────────────────────────────────────────────────────────


def _add_series(proposal: Proposal, found: Found, called: dict[str, tuple[file_names.Role, int]]) -> None:
    """Sort the series of all sets into inputs and predictions, by their sizes and names."""
    predictions = []
    for one in proposal.sets:
        proposal.headers[one.name] = [image_files.header(one.targets[name]) for name in _some(one.targets)]
        inputs = []
        for series in (series for series in found.series if series.of is one):
            if series.problem:
                proposal.unused.append(f"{series.pattern}: {series.problem}")
                continue
            try:
                scale = _scale(series)
            except InputError as error:
                proposal.unused.append(f"{series.pattern}: {error}")
                continue
            path = next(iter(series.files.values()))
            is_input = called.get(path, ("",))[0] == "input"
            if not one.has_targets:
                if is_input or proposal.hidden_scales.setdefault(one.name, scale) != scale:
                    proposal.unused.append(
                        f"{series.pattern}: other inputs of {one.name}, or of another scale"
                    )
                else:
                    predictions.append(series)
            elif scale > 1 or is_input:
                inputs.append((scale, series))
            else:
                predictions.append(series)
        predictions += _choose_input(proposal, one, inputs)
    proposal.models = _models(predictions)
    if found.assumed:
        path, name = found.assumed[0]
        proposal.unsure.append(
            f"names of files that say nothing of their set, {len(found.assumed)} in all, the first {path}: taken to "
            f"belong to {name}"
        )
    for told, files in (
        ("no target belongs to it", found.alone),
        ("may belong to several sets", found.unclear),
    ):
        if files:
            proposal.unused.append(f"{_first(files)}: {told}")


def _first(files: list[str]) -> str:
    return f"{len(files)} files, the first {files[0]}" if len(files) > 1 else files[0]


def _some(files: dict[tuple[str, ...], str]) -> list[tuple[str, ...]]:
    names = list(files)
    return names[:: max(1, len(names) // SAMPLE)]


def _scale(series: Series) -> int:
    """Return the size of targets over that of some files; 1 where all but a border is there.

    Without targets, the size of the files over that of the inputs.

    Raises
    ------
    InputError
        It is no one whole number, or a file cannot be read.
    """
    scales = set()
    for name in _some(series.files):
        target, header = (image_files.header(files[name]) for files in (series.of.targets, series.files))
        large, small = (target, header) if series.of.has_targets else (header, target)
        scale = max(1, round(large.height / small.height))
        border = (large.height - scale * small.height, large.width - scale * small.width)
        if not all(0 <= pixels <= BORDER * series.of.has_targets for pixels in border):
            of = "target" if series.of.has_targets else "input"
            raise InputError(
                f"{header.width}×{header.height} does not fit the {of}, {target.width}×{target.height}"
            )
        scales.add(scale)
    if len(scales) > 1:
        raise InputError(f"of several scales: {', '.join(map(str, sorted(scales)))}")
    return scales.pop()


def _choose_input(proposal: Proposal, one: ImageSet, inputs: list[tuple[int, Series]]) -> Iterator[Series]:
    """Choose the inputs of a set; yield what is of full size and is taken for predictions."""
    inputs.sort(key=lambda pair: (-(pair[0] > 1), -pair[1].beside, -pair[0], pair[1].pattern))
    for number, (scale, series) in enumerate(inputs):
        if number == 0:
            proposal.inputs[one.name] = series
        elif scale == 1 and (inputs[0][0] > 1 or series.beside < inputs[0][1].beside):
            yield series
        else:
            proposal.unsure.append(
                f"the inputs of {one.name} are taken to be {inputs[0][1].pattern}; they may be {series.pattern}"
            )


def _set_scale(proposal: Proposal) -> None:
    scales = {name: _scale(series) for name, series in proposal.inputs.items()}
    if len(set(scales.values())) > 1 or (
        scales and len(scales) < sum(one.has_targets for one in proposal.sets)
    ):
        told = ", ".join(f"{name} ×{scale}" for name, scale in scales.items())
        proposal.unsure.append(
            f"inputs are left out, since they are not of one scale in all sets ({told}); predictions do not need them"
        )
        proposal.inputs.clear()
    kept = {one.name for one in proposal.sets}
    hidden = {name: scale for name, scale in proposal.hidden_scales.items() if name in kept}
    proposal.scale = [*(scales.values() if proposal.inputs else ()), *hidden.values(), 1][0]
    for series in proposal.inputs.values():
        _compare_sizes(proposal, series, proposal.scale)
    for one in [one for one in proposal.sets if not one.has_targets]:
        if hidden.get(one.name, proposal.scale) != proposal.scale:
            proposal.unused.append(
                f"{one.pattern}: of scale {hidden[one.name]}, where others are of {proposal.scale}"
            )
            proposal.sets.remove(one)
        else:
            proposal.unsure.append(
                f"no targets belong to {one.pattern}: it is taken for a test set without any, fused and not scored"
            )


def _models(predictions: list[Series]) -> list[Model]:
    """Make a model of the series that differ in nothing but the name of their set."""
    paths: dict[str, dict[str, Series]] = defaultdict(dict)
    for series in predictions:
        paths[_with_dataset(series)][series.of.name] = series
    for path in list(paths):  # where .png becomes .PNG, or .jpg, from set to set
        any_ending = os.path.splitext(path)[0] + ".*"
        others = [
            other for other in paths if other != path and os.path.splitext(other)[0] + ".*" == any_ending
        ]
        if others and all(paths[path].keys().isdisjoint(paths[other]) for other in others):
            paths[any_ending].update(paths.pop(path))
    names = file_names.model_names(list(paths))
    return [Model(names[path], path, series) for path, series in paths.items()]


def _with_dataset(series: Series) -> str:
    """Return the pattern of predictions with ``{dataset}`` in place of the name of the set."""
    name = series.of.name
    if name != series.of.folder:
        return series.pattern
    *folders, last = series.pattern.split("/")
    for i, part in enumerate(folders):
        for start, end in file_names.runs(part):
            if part[start:end] == name:
                folders[i] = f"{part[:start]}{{dataset}}{part[end:]}"
                break
    return "/".join((*folders, last))


def _keep_covered(proposal: Proposal) -> None:
    """Keep the sets that most models have predictions for, and these models."""
    every = frozenset(one.name for one in proposal.sets)
    with_targets = {one.name for one in proposal.sets if one.has_targets}
    covers = {cover for model in proposal.models if (cover := frozenset(model.series)) & with_targets} or {
        every
    }

    def worth(cover: frozenset[str]) -> tuple[int, int, int]:
        models = sum(cover <= model.series.keys() for model in proposal.models)
        return min(models, 2), len(cover), models

    kept = max(sorted(covers, key=sorted), key=worth)
    for one in proposal.sets:
        if one.name not in kept:
            proposal.unused.append(f"{one.pattern}: not all of the models have predictions for {one.name}")
    for model in proposal.models:
        if lacking := sorted(kept - model.series.keys()):
            proposal.unused.append(f"{model.path}: no predictions for {', '.join(lacking)}")
    proposal.sets = [one for one in proposal.sets if one.name in kept]
    proposal.models = [model for model in proposal.models if kept <= model.series.keys()]
    proposal.inputs = {name: series for name, series in proposal.inputs.items() if name in kept}
    for model in proposal.models:
        if len(kept) == 1:  # which is divided into sets of other names
            model.path = model.series[proposal.sets[0].name].pattern
        for series in model.series.values():
            if series.of.has_targets:
                _compare_sizes(proposal, series)


def _compare_sizes(proposal: Proposal, series: Series, scale: int = 1) -> None:
    """Propose a crop where files are smaller than targets, unless others of the same size are whole."""
    sizes: dict[tuple[int, int], dict[str, tuple[int, int]]] = defaultdict(dict)
    for name in _some(series.files):
        target, header = (image_files.header(files[name]) for files in (series.of.targets, series.files))
        sizes[target[:2]][series.files[name]] = (scale * header.height, scale * header.width)
    for target_size, found in sizes.items():
        for file, size in found.items():
            if size == target_size:
                continue
            held = f"{size[1] // scale}×{size[0] // scale}"
            smaller = f"{file} is {held}, its target {target_size[1]}×{target_size[0]}"
            if target_size in found.values():
                proposal.unsure.append(f"{smaller}, where others are whole: it is taken for a mistake")
            elif not proposal.cropped:
                proposal.cropped = True
                proposal.unsure.append(
                    f"{smaller}: `common_crop: topleft` is assumed, the border missing at the right and below; "
                    "`center` is where it is missing on all sides"
                )


def _add_classical(proposal: Proposal) -> None:
    """Where there are no two models, let classical ones run on the inputs."""
    if len(proposal.models) >= 2:
        if not proposal.inputs and proposal.scale == 1:
            names = ", ".join(model.name for model in proposal.models)
            proposal.unsure.append(
                f"no folder is called as inputs are: {names} are all taken for models; take out what holds the inputs"
            )
        return
    if not proposal.inputs:
        only = proposal.models[0].path if proposal.models else "none"
        raise InputError(
            f"{', '.join(one.pattern for one in proposal.sets)}: targets, but no two models with predictions for them "
            f"(found: {only}), and no inputs that models could restore; give the folders of predictions, too"
            + "".join(f"\n  not used: {line}" for line in proposal.unused)
        )
    algorithms = ["bicubic", "lanczos"] if proposal.scale > 1 else ["nl_means", "identity"]
    for algorithm in algorithms[len(proposal.models) :]:
        proposal.models.append(Model(algorithm, algorithm=algorithm))
    names = " and ".join(model.name for model in proposal.models if model.algorithm)
    proposal.unsure.append(
        f"there are predictions of fewer than two models: {names} of scikit-image and Pillow fill the gap, until you "
        "put yours in their place"
    )
