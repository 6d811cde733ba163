"""Write a proposal as a configuration with comments, and as a table for people."""

from __future__ import annotations

import glob
import re
import textwrap
from collections.abc import Iterator

from ensir.images import image_files
from ensir.planning.image_sets import ImageSet
from ensir.planning.proposal import Model, Proposal
from ensir.planning.proposed_reference import reference_part

WIDTH = 110
REFERENCE, TEST = "reference", "test"  # the parts of the only set


def as_yaml(proposal: Proposal, command: str) -> str:
    """Return the configuration.

    Parameters
    ----------
    proposal : Proposal
    command : str
        What made it, for the comment on top.
    """
    return "\n".join(_lines(proposal, command)) + "\n"


def _lines(proposal: Proposal, command: str) -> Iterator[str]:
    yield f"# Made by `{command}`. Paths are relative to the folder in which it was called."
    yield (
        "# Not certain, please check:"
        if proposal.unsure
        else "# Everything here was inferred from names and sizes."
    )
    for line in proposal.unsure:
        yield from textwrap.wrap(line, WIDTH, initial_indent="# - ", subsequent_indent="#   ")
    if proposal.unused:
        yield "# Found, but not used:"
    for line in proposal.unused:
        yield from textwrap.wrap(
            line, WIDTH, initial_indent="# - ", subsequent_indent="#   ", break_long_words=False
        )
    yield from ("", "datasets:")
    divided = len(proposal.sets) == 1
    for one in proposal.sets:
        if divided:
            yield from _halves(proposal, one)
        else:
            yield from _dataset(proposal, one, one.name, _quoted(one.pattern), "")
    yield from ("", "models:")
    for model in proposal.models:
        yield f"  {_key(model.name)}: {_model(model)}"
    yield from ("", "experiments:", f"  {_key(proposal.experiment)}:")
    yield f"    models: [{', '.join(_key(model.name) for model in proposal.models)}]"
    reference, tests = (REFERENCE, [TEST]) if divided else (proposal.reference, proposal.tests)
    yield f"    reference: {_key(reference)}"
    yield f"    tests: [{', '.join(map(_key, tests))}]"
    yield "    score: {space: rgb, crop: 0}"
    if proposal.scale > 1:
        yield f"    # score: {{space: y, crop: {proposal.scale}}}   # as in most papers on super-resolution"
    yield "    methods:"
    for method in ("average: {}", "zzpm: {}", "ensir: {bin_width: 32}"):
        yield f"      {method}"
    single = _references(proposal) == 1
    if single:
        yield "      # With two images of a reference, or more:"
    for method in (
        "least_squares: {bin_width: 32}",
        "local_filters: {}",
        "best: {}   # chooses one of the others",
    ):
        yield f"      {'# ' * single}{method}"


def _references(proposal: Proposal) -> int:
    """Return the number of images of the reference."""
    if len(proposal.sets) == 1:
        chosen = reference_part(proposal.sets[0])
        return sum(name[0] in chosen for name in proposal.sets[0].targets)
    return next(len(one.targets) for one in proposal.sets if one.name == proposal.reference)


def _halves(proposal: Proposal, one: ImageSet) -> Iterator[str]:
    """Yield the reference and the test that the only set is divided into."""
    chosen = reference_part(one)
    first = one.parts[0]
    limit = "|".join(map(re.escape, chosen))
    number = sum(name[0] in chosen for name in one.targets)
    rest = len(one.targets) - number
    limited = one.pattern.replace(f"{{{first}}}", f"{{{first},{limit}}}")
    yield from _dataset(proposal, one, REFERENCE, _quoted(limited), f"{number} of")
    names = [glob.escape(value) + ("/*" if len(one.parts) > 1 else "") for value in chosen]
    yield from _dataset(proposal, one, TEST, _quoted(one.pattern), f"the other {rest} of")
    yield f"    exclude: [{', '.join(map(_quoted, names))}]"


def _dataset(proposal: Proposal, one: ImageSet, name: str, target: str, some: str) -> Iterator[str]:
    yield f"  {_key(name)}:   # {some} {facts(proposal, one)}".replace("#  ", "# ")
    yield "    kind: folder"
    if one.has_targets:
        yield f"    target: {target}"
    degraded = proposal.inputs[one.name].pattern if one.name in proposal.inputs else one.pattern
    if one.name in proposal.inputs or not one.has_targets:
        yield f"    input: {_quoted(degraded)}"
        if proposal.scale > 1:
            yield f"    scale: {proposal.scale}"
    if {1, 3} <= {header.channels for header in proposal.headers[one.name]}:
        yield "    grey: replicate   # some images are grey: they get three equal channels"
    if any(header.ranged for header in proposal.headers[one.name]):
        yield "    value_range: [0, 1]   # black and white of the floats: is it so?"
    if proposal.cropped:
        yield "    common_crop: topleft   # other images are a few pixels smaller than targets; or `center`"


def _model(model: Model) -> str:
    if model.algorithm:
        return f"{{kind: classical, algorithm: {model.algorithm}}}   # runs here"
    of_floats = any(
        image_files.header(next(iter(series.files.values()))).ranged for series in model.series.values()
    )
    return f"{{kind: folder, path: {_quoted(model.path)}{', value_range: [0, 1]' if of_floats else ''}}}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _key(name: str) -> str:
    """Return a name in quotes where YAML may take it for a number, a date or a truth value."""
    plain = name[0].isalpha() and name.lower() not in (
        "y",
        "n",
        "yes",
        "no",
        "on",
        "off",
        "true",
        "false",
        "null",
    )
    return name if plain else f'"{name}"'


# ── for people ──────────────────────────────────────────────────────────────────────────────────────────────


def facts(proposal: Proposal, one: ImageSet) -> str:
    """Return number, sizes, channels and depth of the images of a set, of those whose headers were read."""
    headers = proposal.headers[one.name]
    sizes = sorted({(header.height, header.width) for header in headers})
    written = [f"{width}×{height}" for height, width in (sizes if len(sizes) < 3 else (sizes[0], sizes[-1]))]
    kinds = sorted({(header.channels, header.bits or 0, header.ranged) for header in headers})
    kind = " and ".join(
        f"{channels} × {'floats' if ranged else f'{bits} bit'}" for channels, bits, ranged in kinds
    )
    count = f"{len(one.targets)} image" + ("s" if len(one.targets) > 1 else "")
    return f"{count}, {(' … ' if len(sizes) > 2 else ', ').join(written)}, {kind}"


def table(proposal: Proposal) -> str:
    """Return what was found and chosen as a table."""
    divided = len(proposal.sets) == 1
    rows: list[tuple[str, ...]] = []
    for one in proposal.sets:
        role = f"{REFERENCE} and {TEST}" if divided else REFERENCE if one.name == proposal.reference else TEST
        of = "targets" if one.has_targets else "inputs "
        rows.append((one.name, role, f"{of}  {one.pattern}", facts(proposal, one)))
        if one.name in proposal.inputs:
            series = proposal.inputs[one.name]
            rows.append(
                ("", "", f"inputs   {series.pattern}", f"{len(series.files)} images, scale {proposal.scale}")
            )
    lines = ["sets", *_columns(rows), "models"]
    lines += _columns(
        [
            (
                model.name,
                model.path or f"classical, {model.algorithm}",
                ", ".join(f"{name} {len(series.files)}" for name, series in model.series.items())
                or "runs here",
            )
            for model in proposal.models
        ]
    )
    for title, told in (("not certain", proposal.unsure), ("not used", proposal.unused)):
        if told:
            lines += [title, *(f"  {line}" for line in told)]
    return "\n".join(lines)


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
