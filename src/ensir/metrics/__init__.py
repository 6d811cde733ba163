"""Metrics: how good a result is, compared with its target, as one number.

Every module of this folder is a kind: its section, and `measure(target, result, settings)`, which gets two (height,
width, channel) float64 arrays in 0–255, cropped and in the space of the score, and the section as plain data. A metric
that is used a lot may also have `running(peak)`, which returns an `ensir.images.similarity.Running`: it gets blocks of
rows in 0–`peak`, one after the other, in the space of the score or as luma, so that no image need be in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from pydantic import computed_field

from ensir.networks import heads
from ensir.section import Context, Problem, Section

WEIGHTS = r"\.(pth|pt|safetensors)$"  # names of files that hold weights
PRINTED: dict[str, Any] = {"label": "", "unit": "", "digits": 4, "higher_is_better": True}
NO_COLOURS = "compares colours, and `space: y` leaves luma alone; score in rgb, or leave the metric out"


class Metric(Section):
    """What all metrics have: how their values are printed and ranked.

    A kind sets `label` (its name in tables; empty: the name that the configuration gives it), `unit`, `digits`
    (decimals of a printed value) and `higher_is_better`, as constants or fields, where they differ from `PRINTED`.
    """

    smallest: ClassVar[int] = 1
    """Side of the smallest image that it can measure, in pixels."""

    of_colours: ClassVar[bool] = False
    """Whether it compares colours, of which luma has none."""

    bytes_per_value: ClassVar[int] = 40
    """Memory that it takes, for each value of an image; nothing, where it has `running`."""

    untraced: ClassVar[frozenset[str]] = frozenset({"printed", *PRINTED})

    @classmethod
    def check(cls, context: Context) -> Iterator[Problem]:
        """Check that there are colours to compare, where it does that."""
        yield from super().check(context)
        score = context.experiments[0].get("score") if context.experiments else None
        if cls.of_colours and isinstance(score, dict) and score.get("space") == "y":
            yield Problem(context.key, NO_COLOURS)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def printed(self) -> dict[str, Any]:
        """How its values are printed and ranked, as plain data, for tables and figures."""
        return {name: getattr(self, name, value) for name, value in PRINTED.items()}


def check_weights(context: Context, *names: str) -> Iterator[Problem]:
    """Check that the files of weights that options name are there."""
    for name in names:
        path = context.section.get(name)
        if isinstance(path, str) and re.search(WEIGHTS, path) and not Path(path).is_file():
            yield Problem(f"{context.key}.{name}", f"{path}: no such file; fix the path")


def check_heads(*files: str | None) -> None:
    """Raise an InputError if files of weights are there, and are truncated or something else."""
    for file in files:
        if file and Path(file).is_file():  # else reported by `check_weights`
            heads.check_weights(file)
